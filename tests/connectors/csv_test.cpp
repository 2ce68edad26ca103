#include "connectors/csv.h"

#include <gtest/gtest.h>

#include <random>

namespace connectors {
namespace {

std::vector<std::vector<std::string>> cells_of(std::string_view text, CsvDialect dialect = {}) {
  std::vector<std::vector<std::string>> out;
  CsvParser parser(text, dialect);
  for (CsvRow row; parser.next(row);) out.push_back(row.cells);
  return out;
}

using Cells = std::vector<std::vector<std::string>>;

TEST(CsvParser, ReadsQuotesNewlinesByteOrderMarkAndBothLineEnds) {
  EXPECT_EQ(cells_of("\xEF\xBB\xBF"
                     "a,b\r\n\"x,\"\"y\"\"\nz\",2\n\n,\n"),
            (Cells{{"a", "b"}, {"x,\"y\"\nz", "2"}, {"", ""}}));
}

TEST(CsvParser, ReadsColumnsSeparatedByRunsOfBlanks) {
  EXPECT_EQ(cells_of("1 2  3.5 \n 4\t5 6", {' ', '"'}), (Cells{{"1", "2", "3.5"}, {"4", "5", "6"}}));
}

TEST(CsvParser, SaysThatAQuoteNeverCloses) {
  CsvParser parser("a\n\"b", {});
  CsvRow row;
  ASSERT_TRUE(parser.next(row));
  ASSERT_TRUE(parser.next(row));
  EXPECT_NE(row.error.find("never closed"), std::string::npos);
  EXPECT_EQ(row.line, 2);
  EXPECT_FALSE(parser.next(row));
}

TEST(CsvParser, GoesOnBehindTheLineOfAQuoteThatIsNeverClosed) {
  for (const std::string tail : {"", "9,\"z\"\n", "9,\"z\n"}) {
    SCOPED_TRACE(tail);
    const std::string text = "1,a\n2,\"b\n3,c\n4,d\n" + tail;
    CsvParser parser(text, {});
    std::vector<std::int64_t> good, bad;
    for (CsvRow row; parser.next(row);) (row.error.empty() ? good : bad).push_back(row.line);
    EXPECT_EQ(bad.size(), tail == "9,\"z\n" ? 2u : 1u);
    EXPECT_EQ(bad[0], 2);
    EXPECT_EQ(good.size(), tail == "9,\"z\"\n" ? 4u : 3u);
  }
}

TEST(CsvParser, DecidesInAGrowingFileThatAQuoteIsNeverClosedAfterAMebibyteOfFurtherLines) {
  std::string text = "1,\"a\n";
  while (text.size() < (std::size_t{1} << 20) + 100) text += "2,b\n";
  CsvParser early(std::string_view(text).substr(0, 1000), {}, false), late(text, {}, false);
  CsvRow row;
  EXPECT_FALSE(early.next(row));
  ASSERT_TRUE(late.next(row));
  EXPECT_FALSE(row.error.empty());
  ASSERT_TRUE(late.next(row));
  EXPECT_EQ(row.cells, (std::vector<std::string>{"2", "b"}));
}

TEST(CsvParser, ReadsTextThatIsMadeToBeReadAgainAndAgainInLinearTime) {
  for (const std::string line : {"x\",\"y\n", "\"\"\",\"x\n", "\"\n", ",\"a\"\"\n", "\"a\",\"\n"}) {
    std::string text;
    while (text.size() < std::size_t{8} << 20) text += line;
    CsvParser parser(text, {});
    std::int64_t rows = 0;
    for (CsvRow row; parser.next(row);) ++rows;
    EXPECT_GT(rows, 0) << line;
    EXPECT_EQ(parser.consumed(), text.size());
  }
}

TEST(CsvParser, RefusesARowWithMoreCellsThanATableHas) {
  const std::string text = std::string(200'000, ',') + "\n1,2\n";
  CsvParser wide(text, {});
  CsvRow row;
  ASSERT_TRUE(wide.next(row));
  EXPECT_NE(row.error.find("100000 cells"), std::string::npos);
  ASSERT_TRUE(wide.next(row));
  EXPECT_EQ(row.cells.size(), 2u);
}

TEST(CsvParser, TakesOneNamelessColumnAsPartOfAHeader) {
  EXPECT_TRUE(looks_like_header({"", "a", "b"}));
  EXPECT_FALSE(looks_like_header({"", "", "b"}));
  EXPECT_FALSE(looks_like_header({""}));
  EXPECT_FALSE(looks_like_header({"a", "1"}));
}

TEST(CsvParser, LeavesAnUnfinishedRowForTheNextReading) {
  CsvParser parser("a,b\nc,\"d\ne", {}, false);
  CsvRow row;
  ASSERT_TRUE(parser.next(row));
  EXPECT_FALSE(parser.next(row));
  EXPECT_EQ(parser.consumed(), 4u);
}

TEST(CsvParser, FindsTheDelimiterAndTheDecimalComma) {
  EXPECT_EQ(detect_dialect("a;b\n1,5;2\n2,5;3\n").delimiter, ';');
  EXPECT_EQ(detect_dialect("a\tb\n1\t2\n").delimiter, '\t');
  EXPECT_EQ(detect_dialect("1 2 3\n4 5 6\n").delimiter, ' ');
  EXPECT_EQ(detect_dialect("note text,label\nmore words here,x\n").delimiter, ',');
  EXPECT_TRUE(detect_decimal_comma("a;b\n1,5;2\n", {';', '"'}));
  EXPECT_FALSE(detect_decimal_comma("a,b\n1.5,2\n", {}));
}

TEST(CsvParserFuzz, NeverFailsAndAlwaysMovesOnOverRandomBytes) {
  constexpr std::string_view kAlphabet = "ab,;\"\r\n \t1.\xEF\xBB\xBF";
  for (std::uint32_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::string text(random() % 60, ' ');
    for (char& c : text) c = kAlphabet[random() % kAlphabet.size()];
    for (const char delimiter : {',', ';', ' '}) {
      CsvParser parser(text, {delimiter, '"'}, seed % 2 == 0);
      std::size_t before = 0;
      int rows = 0;
      for (CsvRow row; parser.next(row) && rows < 200; ++rows) {
        ASSERT_GT(parser.consumed(), before);
        before = parser.consumed();
      }
      ASSERT_LT(rows, 200);
      ASSERT_LE(parser.consumed(), text.size());
    }
    detect_dialect(text);
  }
}

TEST(CsvParserFuzz, ReadsBackWhatItWouldWriteInPiecesOfAnySize) {
  for (std::uint32_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Cells rows(1 + random() % 5);
    std::string text;
    for (auto& row : rows) {
      row.resize(2 + random() % 3);
      for (std::size_t i = 0; i < row.size(); ++i) {
        for (std::size_t n = random() % 5; n > 0; --n) row[i] += "x,\"\n 1"[random() % 6];
        std::string quoted = "\"";
        for (const char c : row[i]) quoted += c == '"' ? "\"\"" : std::string(1, c);
        text += (i == 0 ? "" : ",") + quoted + "\"";
      }
      text += "\n";
    }
    ASSERT_EQ(cells_of(text), rows);
    Cells pieces;
    std::size_t done = 0;
    for (std::size_t have = 1; have <= text.size(); have += 1 + random() % 7) {
      CsvParser parser(std::string_view(text).substr(done, have - done), {}, false);
      for (CsvRow row; parser.next(row);) pieces.push_back(row.cells);
      done += parser.consumed();
    }
    CsvParser rest(std::string_view(text).substr(done), {}, true);
    for (CsvRow row; rest.next(row);) pieces.push_back(row.cells);
    ASSERT_EQ(pieces, rows);
  }
}

}  // namespace
}  // namespace connectors
