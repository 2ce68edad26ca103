#include "connectors/json_array.h"

#include <gtest/gtest.h>

#include <random>

#include "connectors/record_parser.h"

namespace connectors {
namespace {

namespace json = platform::json;

// Two hundred records, the 100th of which is `broken`, written in one of the usual ways.
std::string array_with(const std::string& broken, const std::string& before, const std::string& between,
                       const std::function<std::string(int)>& record) {
  std::string body = "[" + before;
  for (int i = 0; i < 200; ++i) body += (i == 0 ? "" : between) + (i == 99 ? broken : record(i));
  return body + "\n]";
}

std::string flat(int i) { return R"({"n": )" + std::to_string(i) + R"(, "s": "part"})"; }
std::string nested(int i) {
  return R"({"n": )" + std::to_string(i) + R"(, "more": {"v": [1, 2], "o": [{"m": 1}, {"m": 2}]}})";
}

TEST(JsonArrayReader, CostsOneRecordWhereABracketOrAQuoteIsMissing) {
  const std::vector<std::string> flat_broken = {
      R"({"n": 99, "s": "part")", R"({"n": 99, "s": "part})",   R"({"n": 99, "s: "part"})", R"({"n: 99, "s": "part"})",
      R"("n": 99, "s": "part"})", R"({"n": 9 9, "s": "part"})", R"({"n": 99 "s": "part"})", R"({"n": 99,)",
      R"({"n": 99, "s": part"})"};
  const std::vector<std::string> nested_broken = {R"({"n": 99, "more": {"v": [1, 2], "o": [{"m": 1}, {"m": 2}]})",
                                                  R"({"n": 99, "more": {"v": [1, 2, "o": [{"m": 1}, {"m": 2}]}})",
                                                  R"({"n": 99, "more": {"v": [1, 2], "o": [{"m": 1}, {"m": 2}}})",
                                                  R"({"n": 99, "more": {"v": [1, 2], "o": [{"m": 1 1}, {"m": 2}]}})"};
  const std::vector<std::pair<std::string, std::string>> layouts = {{"", ","},    {"", ", "},        {"\n", ",\n"},
                                                                    {"", ",\n "}, {"\n  ", ",\n  "}, {"\n  ", "\n, "}};
  for (const auto& [before, between] : layouts) {
    for (const bool deep : {false, true}) {
      for (const std::string& broken : deep ? nested_broken : flat_broken) {
        SCOPED_TRACE(broken + " between '" + between + "'");
        const std::string body = array_with(broken, before, between, deep ? nested : flat);
        const ParsedRecords parsed = parse_records(body, "application/json", {}, {}, "s");
        EXPECT_EQ(parsed.records.size(), 199u);
        ASSERT_EQ(parsed.errors.size(), 1u) << parsed.errors.at(1).message;
        const auto line = std::count(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(body.find(broken)), '\n');
        EXPECT_EQ(parsed.errors[0].line, line + 1);
        for (const auto& row : parsed.records) EXPECT_NE(row.fields.begin()->key(), "m");
      }
    }
  }
}

TEST(JsonArrayReader, ReadsAnArrayThatIsWrittenOverManyLines) {
  std::string body = "[\n";
  for (int i = 0; i < 50; ++i) {
    body += i == 20 ? "  {\n    \"n\": 20,\n    \"o\": [\n      {\n        \"m\": 1 1\n      },\n      {\n        "
                      "\"m\": 2\n      }\n    ]\n  },\n"
                    : "  {\n    \"n\": " + std::to_string(i) + "\n  }" + (i == 49 ? "\n" : ",\n");
  }
  const ParsedRecords parsed = parse_records(body + "]\n", "application/json", {}, {}, "s");
  EXPECT_EQ(parsed.records.size(), 49u);
  ASSERT_EQ(parsed.errors.size(), 1u);
  EXPECT_NE(parsed.errors[0].message.find("',' or '}' was expected at line 66, column 16"), std::string::npos)
      << parsed.errors[0].message;
}

TEST(JsonArrayReader, SaysWhatIsWrongAroundTheRecords) {
  struct {
    std::string body;
    std::size_t records, errors;
  } const cases[] = {{"[]", 0, 0},
                     {" [ {\"a\": 1} , {\"a\": 2} , ] ", 2, 0},
                     {"[{\"a\": 1}, {\"a\": 2}", 2, 1},
                     {"[{\"a\": 1}, {\"a\": ", 1, 1},
                     {"[{\"a\": 1}]]", 1, 1},
                     {"[{\"a\": 1}],\n{\"a\": 2}]", 2, 1},
                     {"[{\"a\": 1}},\n{\"a\": 2}]", 2, 1},
                     {"[{\"a\": 1}\n{\"a\": 2}]", 2, 0},
                     {"x", 0, 1}};
  for (const auto& each : cases) {
    const ParsedRecords parsed = parse_records(each.body, "application/json", {}, {}, "s");
    EXPECT_EQ(parsed.records.size(), each.records) << each.body;
    EXPECT_EQ(parsed.errors.size(), each.errors) << each.body;
  }
}

TEST(JsonArrayReader, CostsOneRecordWhereItIsNestedTooDeep) {
  const std::string deep = std::string(200, '[') + "\"]\"" + std::string(200, ']');
  for (const std::string& broken : {deep, "{\"x\": " + deep + "}"}) {
    const ParsedRecords parsed =
        parse_records("[" + broken + ",{\"n\": 1}, " + broken + ", {\"n\": 2}]", "application/json", {}, {}, "s");
    EXPECT_EQ(parsed.records.size(), 2u);
    ASSERT_EQ(parsed.errors.size(), 2u);
    EXPECT_NE(parsed.errors[0].message.find("64 levels"), std::string::npos) << parsed.errors[0].message;
  }
}

TEST(JsonArrayReader, ReadsHostileTextInLinearTime) {
  for (const std::string piece : {"{", "[", "{\"a\":[\n", "{,", "\"", "{\"a\":1,", "\n", " ,", "{\"a\":\"}, {\"a\": 1",
                                  "{\"a\" x,{\"a\":1", "]", "x ", "{\"a\":[{\"a\":1 1},"}) {
    std::string body = "[";
    while (body.size() < std::size_t{2} << 20) body += piece;
    JsonArrayReader reader(body);
    std::size_t elements = 0;
    for (JsonElement element; reader.next(element);) ++elements;
    EXPECT_LE(elements, body.size()) << piece;
  }
}

TEST(JsonArrayReaderFuzz, CostsAtMostOneRecordWhereverAByteIsLost) {
  std::string body = "[";
  for (int i = 0; i < 6; ++i) body += (i == 0 ? "" : ",\n") + nested(i);
  body += "]";
  for (std::size_t at = 0; at < body.size(); ++at) {
    std::string text = body;
    text.erase(at, 1);
    const ParsedRecords parsed = parse_records(text, "application/json", {}, {}, "s");
    EXPECT_GE(parsed.records.size(), at == 0 ? 0u : 5u) << text;
  }
}

TEST(JsonArrayReaderFuzz, EndsOverRandomText) {
  constexpr std::string_view kAlphabet = "{}[],:\"\\ \n1a";
  for (std::uint32_t seed = 1; seed <= 20'000; ++seed) {
    std::mt19937 random(seed);
    std::string body(random() % 40, ' ');
    for (char& c : body) c = kAlphabet[random() % kAlphabet.size()];
    JsonArrayReader reader(body);
    int elements = 0;
    for (JsonElement element; elements < 100 && reader.next(element);) ++elements;
    ASSERT_LT(elements, 100) << body;
  }
}

}  // namespace
}  // namespace connectors
