#include "connectors/record_parser.h"

#include <gtest/gtest.h>

namespace connectors {
namespace {

namespace json = platform::json;

ParsedRecords parse(std::string_view body, std::string_view type, const InputFormat& input = {},
                    const platform::Profile& profile = {}) {
  return parse_records(body, type, input, profile, "line-3");
}

TEST(RecordParser, KeepsNineHundredNinetyNineOfAThousandWhenOneIsMalformed) {
  std::string array = "[";
  std::string lines;
  for (int i = 0; i < 1000; ++i) {
    const std::string record = i == 417 ? "{\"n\": 4 17}" : "{\"n\": " + std::to_string(i) + "}";
    array += (i == 0 ? "" : ",\n") + record;
    lines += record + "\n";
  }
  for (const auto& [body, type] :
       {std::pair<std::string, std::string>{array + "]", "application/json"}, {lines, "application/x-ndjson"}}) {
    const ParsedRecords parsed = parse(body, type);
    EXPECT_EQ(parsed.records.size(), 999u);
    ASSERT_EQ(parsed.errors.size(), 1u);
    EXPECT_EQ(parsed.errors[0].line, 418);
    EXPECT_EQ(parsed.errors[0].code, "invalid_json");
  }
  EXPECT_EQ(parse(array + "]", "application/json").errors[0].path, "[417]");
}

TEST(RecordParser, KeepsNineHundredNinetyNineOfATableWithAQuoteThatIsNeverClosed) {
  std::string body = "n,name\n";
  for (int i = 0; i < 1000; ++i) body += std::to_string(i) + (i == 417 ? ",\"part\n" : ",part\n");
  const ParsedRecords parsed = parse(body, "text/csv");
  EXPECT_EQ(parsed.records.size(), 999u);
  ASSERT_EQ(parsed.errors.size(), 1u);
  EXPECT_EQ(parsed.errors[0].line, 419);
}

TEST(RecordParser, KeepsThePlacesOfRecordsAndErrorsInTheText) {
  const auto places = [](const ParsedRecords& parsed) {
    std::string text;
    for (const RecordPosition& at : parsed.positions)
      text += std::to_string(at.row) + "@" + std::to_string(at.line) + " ";
    for (const RecordError& error : parsed.errors)
      text += "not " + std::to_string(error.row) + "@" + std::to_string(error.line);
    return text;
  };
  EXPECT_EQ(places(parse("a,b\n1,2\n3\n\n\"5\n\",6\n7,8\n", "text/csv")), "1@2 3@5 4@7 not 2@3");
  EXPECT_EQ(places(parse("{\"a\":1}\n{\n{\"a\":3}\n", "application/x-ndjson")), "1@1 3@3 not 2@2");
  EXPECT_EQ(places(parse("[{\"a\":1}, 2,\n{\"a\":3}]", "application/json")), "1@1 3@2 not 2@1");
  EXPECT_EQ(places(parse("", "text/csv")), "not 1@1");
}

TEST(RecordParser, BlamesTheEncodingOfATableOnceAndOnTheLineOfItsNames) {
  const auto refusal = [](std::string_view body) {
    try {
      parse(body, "text/csv");
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput);
      EXPECT_EQ(error.path(), "line 1");
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string korean = refusal("\xBF\xC2\xB5\xB5,\xC5\xE4\xC5\xA9\n1,\xB0\xA1\n2,\xB3\xAA\n");
  EXPECT_NE(korean.find("line 1: the file is not UTF-8, most likely EUC-KR (CP949)"), std::string::npos) << korean;
  EXPECT_NE(korean.find("iconv -f CP949 -t UTF-8"), std::string::npos) << korean;
  for (const std::string_view wide : {std::string_view("\xFF\xFE"
                                                       "a\0,\0b\0\n\0001\0,\0002\0\n\0",
                                                       18),
                                      std::string_view("\xFE\xFF\0a\0,\0b\0\n\0001\0,\0002\0\n", 18)})
    EXPECT_NE(refusal(wide).find("but UTF-16; convert it with iconv -f UTF-16 -t UTF-8"), std::string::npos)
        << refusal(wide);
  EXPECT_NE(refusal("caf\xE9,b\n1,2\n").find("no EUC-KR"), std::string::npos);
  EXPECT_EQ(refusal("\xEC\x98\xA8\xEB\x8F\x84,b\n1,2\n"), "");
}

TEST(RecordParser, TakesOneByteOrderMarkAwayByEveryDoor) {
  for (const auto& [body, type] : {std::pair<std::string, std::string>{"[{\"a\": 1}]", "application/json"},
                                   {"{\"a\": 1}", "application/json"},
                                   {"{\"a\": 1}\n", "application/x-ndjson"},
                                   {"[{\"a\": 1}]", ""},
                                   {"a\n1\n", "text/csv"}}) {
    const ParsedRecords parsed = parse("\xEF\xBB\xBF" + body, type);
    ASSERT_EQ(parsed.records.size(), 1u) << body << type;
    EXPECT_TRUE(parsed.errors.empty());
    EXPECT_EQ(parsed.records[0].fields.at("a"), json::value(1));
  }
}

TEST(RecordParser, TellsTenThousandErrorsAndThenHowManyMoreThereAre) {
  std::string body;
  for (int i = 0; i < 10'500; ++i) body += "x\n";
  const ParsedRecords parsed = parse(body, "application/x-ndjson");
  ASSERT_EQ(parsed.errors.size(), 10'001u);
  EXPECT_EQ(parsed.errors.back().code, "too_many_errors");
  EXPECT_EQ(parsed.errors.back().line, 10'001);
  EXPECT_EQ(parsed.errors.back().message.substr(0, 4), "500 ");
  EXPECT_EQ(parsed.rows, 10'500);
}

TEST(RecordParser, NamesColumnsWithoutANameAndThoseSaidTwice) {
  InputFormat input;
  input.header = true;
  const ParsedRecords parsed = parse(",a,a\n0,1,2\n", "text/csv", input);
  ASSERT_EQ(parsed.records.size(), 1u);
  EXPECT_EQ(parsed.records[0].fields, (json::object{{"column_1", 0}, {"a", 1}, {"a_2", 2}}));
}

TEST(RecordParser, ReadsTypesHeaderAndDecimalCommaOfATable) {
  const ParsedRecords parsed = parse("name;value;code\nA;1,5;007\nB;-2;9\n", "text/csv");
  ASSERT_EQ(parsed.records.size(), 2u);
  EXPECT_EQ(parsed.records[0].fields.at("value"), json::value(1.5));
  EXPECT_EQ(parsed.records[0].fields.at("code"), json::value("007"));
  EXPECT_EQ(parsed.records[1].fields.at("value"), json::value(-2));
}

TEST(RecordParser, NamesTheRowWithTooFewCells) {
  const ParsedRecords parsed = parse("a,b\n1,2\n3\n4,5\n", "text/csv");
  EXPECT_EQ(parsed.records.size(), 2u);
  ASSERT_EQ(parsed.errors.size(), 1u);
  EXPECT_EQ(parsed.errors[0].line, 3);
  EXPECT_EQ(parsed.errors[0].code, "invalid_row");
}

TEST(RecordParser, GivesEqualRowsOfOneBodyDifferentKeysAndTheSameBodyTheSameOnes) {
  const std::string body = "a,b\n1,2\n1,2\n3,4\n";
  const ParsedRecords once = parse(body, "text/csv"), again = parse(body, "text/csv");
  ASSERT_EQ(once.records.size(), 3u);
  EXPECT_NE(once.records[0].key, once.records[1].key);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(once.records[i].key, again.records[i].key);
}

TEST(RecordParser, MakesTheSameRecordOfEqualRowsByEveryDoor) {
  const auto csv = parse("a,b\n1,x\n", "text/csv").records.at(0);
  const auto array = parse("[{\"a\": 1, \"b\": \"x\"}]", "application/json").records.at(0);
  const auto line = parse("{\"b\": \"x\", \"a\": 1}", "application/x-ndjson").records.at(0);
  EXPECT_EQ(csv.key, array.key);
  EXPECT_EQ(csv.key, line.key);
  EXPECT_EQ(csv.fields, array.fields);
}

TEST(RecordParser, FillsTheKeyTemplateAndRefusesARecordWithoutItsFields) {
  InputFormat input;
  input.key = "{{ machine }}-{{ n }}";
  const ParsedRecords parsed = parse("[{\"machine\": \"M1\", \"n\": 7}, {\"n\": 8}]", "application/json", input);
  ASSERT_EQ(parsed.records.size(), 1u);
  EXPECT_EQ(parsed.records[0].key, "M1-7");
  ASSERT_EQ(parsed.errors.size(), 1u);
  EXPECT_EQ(parsed.errors[0].path, "[1].key");
}

TEST(RecordParser, ReadsTheWholeFormWithTimeSignalsAndQuality) {
  const ParsedRecords parsed =
      parse(R"([{"key": "k", "event_time": "2026-03-01T08:15:30Z", "text": "loud", "quality": "bad",
      "fields": {"a": 1}, "signals": {"v": {"rate_hz": 100, "values": [1, null]}}}, {"fields": {}, "feilds": 1}])",
            "application/json");
  ASSERT_EQ(parsed.records.size(), 1u);
  EXPECT_FALSE(parsed.records[0].usable);
  EXPECT_EQ(parsed.records[0].fields.at("text"), json::value("loud"));
  EXPECT_EQ(parsed.records[0].signals.at("v").values.size(), 2u);
  EXPECT_EQ(platform::format_time(parsed.records[0].event_time), "2026-03-01T08:15:30Z");
  ASSERT_EQ(parsed.errors.size(), 1u);
  EXPECT_EQ(parsed.errors[0].path, "[1].feilds");
}

TEST(RecordParser, BringsKoreanTextIntoNormalFormCAndRefusesBytesThatAreNotUtf8) {
  const ParsedRecords parsed = parse("text\n\xE1\x84\x80\xE1\x85\xA1 broken\n\xFF\xFE bad\n", "text/csv", [] {
    InputFormat i;
    i.format = "csv";
    i.delimiter = ',';
    i.header = true;
    return i;
  }());
  ASSERT_EQ(parsed.records.size(), 1u);
  EXPECT_EQ(parsed.records[0].fields.at("text"), json::value("\xEA\xB0\x80 broken"));
  EXPECT_EQ(parsed.errors.size(), 1u);
}

TEST(RecordParser, RefusesWhatTheDatabaseCannotHoldWithItsPlace) {
  const ParsedRecords parsed =
      parse(R"([{"a": "x\u0000y"}, {"a": 1}, {"event_time": "9999-12-31T23:59:59-01:00"}])", "application/json");
  ASSERT_EQ(parsed.records.size(), 1u);
  EXPECT_EQ(parsed.records[0].fields.at("a"), json::value(1));
  ASSERT_EQ(parsed.errors.size(), 2u);
  EXPECT_EQ(parsed.errors[0].path, "[0]");
  EXPECT_NE(parsed.errors[0].message.find("NUL"), std::string::npos) << parsed.errors[0].message;
  EXPECT_EQ(parsed.errors[1].path, "[2]");
}

TEST(RecordParser, CutsALineAtItsLastComma) {
  InputFormat input;
  input.format = "lines";
  input.columns = {"observation", "label"};
  input.split_last = ",";
  input.row_number = "row";
  const ParsedRecords parsed = parse("leaks, badly,Leaking\nnothing\n", "", input);
  ASSERT_EQ(parsed.records.size(), 1u);
  EXPECT_EQ(parsed.records[0].fields.at("observation"), json::value("leaks, badly"));
  EXPECT_EQ(parsed.records[0].fields.at("row"), json::value(1));
  EXPECT_EQ(parsed.errors.at(0).line, 2);
}

TEST(RecordParser, SaysThatAnArrayIsCutOffAndKeepsWhatCameBefore) {
  const ParsedRecords parsed = parse("[{\"a\":1},{\"a\":2},{\"a\":", "application/json");
  EXPECT_EQ(parsed.records.size(), 2u);
  EXPECT_GE(parsed.errors.size(), 1u);
}

TEST(RecordParser, RefusesATableWhoseHeaderSaysANameTwice) {
  try {
    parse("a,a\n1,2\n", "text/csv");
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("two columns are named 'a'"), std::string::npos) << error.what();
  }
  InputFormat input;
  input.header = false;
  EXPECT_EQ(parse("a,a\n1,2\n", "text/csv", input).records.size(), 2u);
}

TEST(RecordParser, SaysWhenABodyIsEmptyOrHoldsAHeaderAlone) {
  for (const auto& [body, told] : {std::pair<std::string, std::string>{"hello\n", "a header and no row"},
                                   {"a,b\n", "a header and no row"},
                                   {"", "empty"},
                                   {"\xEF\xBB\xBF\n", "empty"}}) {
    const ParsedRecords parsed = parse(body, "");
    ASSERT_EQ(parsed.errors.size(), 1u) << body;
    EXPECT_NE(parsed.errors[0].message.find(told), std::string::npos) << parsed.errors[0].message;
  }
  EXPECT_TRUE(parse("[]", "application/json").errors.empty());
}

}  // namespace
}  // namespace connectors
