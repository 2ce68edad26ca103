#include "finetune/generate/json_schema.h"

#include <gtest/gtest.h>

#include <chrono>
#include <iostream>

#include "finetune/generate/grammar_automaton.h"
#include "kernels/core/random.h"

namespace finetune {
namespace {

namespace json = platform::json;

bool takes(GrammarAutomaton& automaton, std::string_view text) {
  GrammarAutomaton::State state = automaton.start();
  for (const char byte : text) {
    state = automaton.next(state, static_cast<unsigned char>(byte));
    if (state == GrammarAutomaton::kDead) return false;
  }
  return automaton.accepts(state);
}

// Every text of `good` is an answer of the schema, none of `bad` is.
void expect(const char* schema, const std::vector<const char*>& good, const std::vector<const char*>& bad) {
  GrammarAutomaton automaton(grammar_of_schema(json::parse(schema)));
  for (const char* text : good) EXPECT_TRUE(takes(automaton, text)) << schema << "\n" << text;
  for (const char* text : bad) EXPECT_FALSE(takes(automaton, text)) << schema << "\n" << text;
}

std::string refusal(const json::value& schema) {
  try {
    GrammarAutomaton automaton(grammar_of_schema(schema));
    automaton.next(automaton.start(), '"');
    return "taken";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput);
    return error.what();
  }
}

TEST(JsonSchema, AnObjectHasItsMembersInOrderAndTheRequiredOnesAlways) {
  expect(R"({"type":"object","properties":{"a":{"type":"integer"},"부품":{"type":"string"},"c":{"type":"null"}},
             "required":["부품"],"additionalProperties":false})",
         {R"({"부품":""})", R"({"a":-12, "부품": "베어링"})", R"({"a": 0,"부품":"x","c":null})",
          R"({"부품":"\"\\ \u00e9","c": null})"},
         {"{}", R"({"a":1})", R"({"부품":"x","a":1})", R"({"부품":"x",})", R"({"부품":"x","d":1})", R"({"부품":"x" })",
          R"({,"부품":"x"})", R"({"a":1.5,"부품":"x"})", R"({"a":01,"부품":"x"})", R"({"a":-0,"부품":"x"})"});
  expect(R"({"type":"object","properties":{"a":{"type":"boolean"}}})", {"{}", R"({"a":true})"}, {R"({"a":"true"})"});
  expect(R"({"type":"object","properties":{},"additionalProperties":false})", {"{}"}, {R"({"a":1})"});
}

TEST(JsonSchema, NumbersTextsAndListsStayWithinTheirBounds) {
  expect(R"({"type":"number"})", {"0", "-0", "12.50", "1e9", "-3.2E-04", "123456789012345"},
         {"", "-", ".5", "1.", "01", "1e", "1e123", "1234567890123456", "+1", "NaN"});
  expect(R"({"type":"string","maxLength":2})", {"\"\"", "\"ab\"", "\"한글\"", "\"\\n\\u1234\"", "\"\xf0\x9f\x94\xa7\""},
         {"\"abc\"", "\"\xed\x95\"", "\"\xed\xa0\x80\"", "\"\\ud800\"", "\"a\nb\"", "\"\\x\"", "ab", "\"\xc0\x80\""});
  expect(R"({"type":"string","minLength":2})", {"\"ab\"", "\"한글 시험\""}, {"\"한\"", "\"\""});
  expect(R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})", {"[1]", "[1, 2,3]"},
         {"[]", "[1,2,3,4]", "[1,]", "[1 ,2]", "[1,  2]"});
  expect(R"({"type":"array","items":{"enum":["a"]},"minItems":2})", {R"(["a","a"])", R"(["a","a","a","a","a"])"},
         {R"(["a"])"});
  expect(R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"});
}

TEST(JsonSchema, ChoicesAreTakenWhole) {
  expect(R"({"enum":["정상","경고",3,null,{"b":1,"a":[true]}]})", {"\"정상\"", "3", "null", R"({"a":[true],"b":1})"},
         {"\"정\"", "\"정상경고\"", "33", R"({"b":1,"a":[true]})"});
  expect(R"({"const":"x"})", {"\"x\""}, {"\"y\""});
  expect(R"({"const":null})", {"null"}, {"nul", "0"});
  expect(R"({"const":[1,{"a":[]}]})", {R"([1,{"a":[]}])"}, {"1", "[1]"});
  expect(R"({"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"integer"}},{"type":"null"}]})",
         {"1", "[1,2]", "null"}, {"[null]", "1.0"});
  expect(R"({"type":["string","null"],"maxLength":1})", {"null", "\"a\""}, {"\"ab\"", "1"});
  expect(
      R"({"$ref":"#/$defs/part","$defs":{"part":{"type":"object","properties":{"n":{"$ref":"#/$defs/n"},"m":{"$ref":"#/$defs/n"}},
             "required":["n","m"]},"n":{"type":"integer"}}})",
      {R"({"n":1,"m":2})"}, {R"({"n":1})"});
}

TEST(JsonSchema, AnyValueIsAnyJson) {
  for (const char* schema : {"{}", "true", R"({"description":"free"})"})
    expect(schema, {R"({"a":[1,{"b":"한"}],"c":null})", "true", "-1.5e3", "\"\"", "[[[]]]"},
           {"{a:1}", "[1", "tru", ""});
  GrammarAutomaton object(grammar_of_any_object());
  EXPECT_TRUE(takes(object, R"({"a":[1,{"b":{}}]})"));
  EXPECT_TRUE(takes(object, "{}"));
  EXPECT_FALSE(takes(object, "[]"));
  EXPECT_FALSE(takes(object, R"({"1":{"2":{"3":{"4":{"5":{"6":{"7":{}}}}}}}})")) << "six deep";
}

TEST(JsonSchema, APatternHoldsInsideOfTheQuotes) {
  const auto pattern = [](const char* text) {
    return json::serialize(json::object{{"type", "string"}, {"pattern", text}});
  };
  expect(pattern("^[A-Z]{2}-\\d{3,4}$").c_str(), {"\"AB-123\"", "\"XY-0001\""},
         {"\"AB-12\"", "\"AB-12345\"", "\"ab-123\""});
  expect(pattern("^(정상|이상)(_[a-z]+)?$").c_str(), {"\"정상\"", "\"이상_a\""}, {"\"정상_\"", "\"정\""});
  expect(pattern("\\d").c_str(), {"\"a1b\"", "\"1\""}, {"\"ab\""});
  expect(pattern("^[^0-9]\"\\\\.$").c_str(), {"\"a\\\"\\\\한\"", "\"한\\\"\\\\x\""},
         {"\"1\\\"\\\\x\"", "\"a\"\\\\x\""});
  expect(pattern("^\\$x*$").c_str(), {"\"$\"", "\"$xx\""}, {"\"x\""});
  expect(pattern("^\x7f$").c_str(), {"\"\x7f\""}, {"\"\xc2\x80\""});
  expect(pattern("^(a*)*b$").c_str(), {"\"b\"", "\"aaab\""}, {"\"a\""});
  for (const char* bad : {"(?=a)", "a**", "\\bx", "[가-힣]", "(a", "a)", "[a", "^a|b$", "a{2000}", "a{3,2}", "*a",
                          "a\\", "x{,3}", "[z-a]", "a$b", "((((((((((((((((((a))))))))))))))))))"}) {
    const std::string said = refusal(json::object{{"type", "string"}, {"pattern", bad}});
    EXPECT_NE(said.find("schema.pattern"), std::string::npos) << bad << ": " << said;
  }
}

TEST(JsonSchema, WhatIsNotUnderstoodIsRefusedWithItsPath) {
  for (const auto& [schema, said] : std::vector<std::pair<const char*, const char*>>{
           {R"({"type":"object","properties":{"age":{"type":"integer","minimum":3}}})",
            "schema.properties.age.minimum"},
           {R"({"type":"array","items":{"type":"string","format":"date"}})", "schema.items.format"},
           {R"({"anyOf":[{"type":"null"},{"oneOf":[]}]})", "schema.anyOf[1].oneOf"},
           {R"({"type":"object","additionalProperties":{"type":"string"}})", "schema.additionalProperties"},
           {R"({"type":"object","properties":{"a":{}},"required":["b"]})", "schema.required"},
           {R"({"type":"float"})", "schema.type"},
           {R"({"type":"string","properties":{}})", "schema.properties"},
           {R"({"type":"string","enum":[1]})", "schema.enum"},
           {R"({"enum":[]})", "schema.enum"},
           {R"({"anyOf":[]})", "schema.anyOf"},
           {R"({"type":"string","minLength":3,"maxLength":2})", "schema.maxLength"},
           {R"({"type":"array","minItems":-1})", "schema.minItems"},
           {R"({"type":"string","maxLength":3,"pattern":"a"})", "schema.pattern"},
           {R"({"properties":{"a":false}})", "schema.properties"},
           {R"({"type":"object","properties":{"a":false}})", "schema.properties.a"},
           {R"({"type":"string","pattern":"^[]a]$"})", "an empty class"},
           {R"({"$ref":"http://example.com/x"})", "schema.$ref"},
           {R"([])", "schema"},
           {R"(3)", "schema"}})
    EXPECT_NE(refusal(json::parse(schema)).find(said), std::string::npos)
        << schema << ": " << refusal(json::parse(schema));
}

TEST(JsonSchema, AHostileSchemaIsRefusedFast) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_NE(refusal(json::parse(R"({"$ref":"#/$defs/a","$defs":{"a":{"type":"array","items":{"$ref":"#/$defs/a"}}}})"))
                .find("leads back to itself"),
            std::string::npos);
  json::value deep = json::object{{"type", "null"}};
  for (int i = 0; i < 40; ++i) deep = json::object{{"type", "array"}, {"items", std::move(deep)}};
  EXPECT_NE(refusal(deep).find("deeper than 32"), std::string::npos);
  json::object definitions{
      {"d0", json::object{{"type", "array"}, {"minItems", 9}, {"items", json::object{{"type", "null"}}}}}};
  for (int i = 1; i < 12; ++i)
    definitions["d" + std::to_string(i)] = json::object{
        {"type", "array"}, {"minItems", 9}, {"items", json::object{{"$ref", "#/$defs/d" + std::to_string(i - 1)}}}};
  EXPECT_NE(refusal(json::object{{"$ref", "#/$defs/d11"}, {"$defs", definitions}}).find("too big"), std::string::npos);
  json::array many;
  for (int i = 0; i < 5001; ++i) many.push_back(i);
  EXPECT_NE(refusal(json::object{{"enum", many}}).find("5001 values"), std::string::npos);
  many.pop_back();
  EXPECT_EQ(refusal(json::object{{"enum", many}}), "taken");
  json::array nested;
  for (int i = 0; i < 3; ++i) nested.push_back(json::object{{"enum", many}});
  EXPECT_NE(refusal(json::object{{"anyOf", nested}}).find("too many ways"), std::string::npos);
  json::object members;
  for (int i = 0; i < 1001; ++i) members["m" + std::to_string(i)] = json::object();
  EXPECT_NE(refusal(json::object{{"type", "object"}, {"properties", members}}).find("1001 members"), std::string::npos);
  EXPECT_NE(refusal(json::object{{"type", "string"}, {"minLength", 1000000}}).find("too big"), std::string::npos);
  EXPECT_NE(refusal(json::object{{"type", "array"}, {"minItems", 1000000}}).find("too big"), std::string::npos);
  EXPECT_NE(refusal(json::object{{"const", std::string(300u << 10, 'x')}}).find("too big"), std::string::npos);
  std::string repeated = "[a-z]";
  for (int i = 0; i < 15; ++i) repeated = "(" + repeated + "{0,1000})";
  const std::string ambiguous = refusal(json::object{{"type", "string"}, {"pattern", "^" + repeated + "$"}});
  EXPECT_NE(ambiguous.find("too many ways"), std::string::npos) << ambiguous.substr(0, 200);
  json::value chain = json::object{{"type", "null"}};
  json::object links{{"l0", chain}}, all;
  for (int i = 1; i < 200; ++i)
    links["l" + std::to_string(i)] =
        json::object{{"type", "array"}, {"items", json::object{{"$ref", "#/$defs/l" + std::to_string(i - 1)}}}};
  for (int i = 0; i < 200; ++i) all["m" + std::to_string(i)] = json::object{{"$ref", "#/$defs/l" + std::to_string(i)}};
  EXPECT_NE(refusal(json::object{{"type", "object"}, {"properties", all}, {"$defs", links}}).find("deep in each other"),
            std::string::npos);
  json::array empty;
  for (int i = 0; i < 300'000; ++i) empty.push_back(json::object());
  const json::object named{{std::string(1000, 'n'), json::object{{"anyOf", empty}}}};
  EXPECT_NE(refusal(json::object{{"type", "object"}, {"properties", named}}).find("more than 20000 schemas"),
            std::string::npos);
  const json::object long_name{{std::string(1'400'000, 'n'), json::object{{"type", "null"}}}};
  EXPECT_NE(refusal(json::object{{"type", "object"}, {"properties", long_name}}).find("a name of 1400000 bytes"),
            std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(JsonSchemaFuzz, ADamagedSchemaIsReadOrRefused) {
  const char* given = std::getenv("ANNEAL_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261124;
  std::cout << "seed: " << seed << "\n";
  const std::string whole =
      R"({"type":"object","properties":{"a":{"type":["string","null"],"minLength":1,"maxLength":9},"b":{"type":"array",
          "items":{"$ref":"#/$defs/p"},"minItems":2,"maxItems":3},"c":{"anyOf":[{"enum":["x",1]},{"const":null},true]},
          "d":{"type":"string","pattern":"^([A-Z]{2,3}-\\d+|한.?[^x-z])$"}},"required":["a","b"],
          "additionalProperties":false,"$defs":{"p":{"type":"number","title":"p"}}})";
  const std::string_view kParts = "{}[]\",:0129-\\^$|()*+?.atn ";
  int taken = 0;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    kernels::Random random(kernels::random_bits(seed, i));
    std::string text = whole;
    for (std::uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
      const std::size_t at = random.below(text.size());
      if (random.below(2) == 0)
        text[at] = kParts[random.below(kParts.size())];
      else
        text.erase(at, 1 + random.below(12));
    }
    try {
      GrammarAutomaton automaton(grammar_of_schema(platform::parse_json(text, "schema")));
      GrammarAutomaton::State state = automaton.start();
      const std::string shortest = automaton.rest(state);
      EXPECT_TRUE(takes(automaton, shortest)) << text << "\n" << shortest;
      EXPECT_NO_THROW(json::parse(shortest)) << text << "\n" << shortest;
      for (std::size_t place = 0; place <= shortest.size(); ++place) {
        EXPECT_EQ(automaton.rest(state), shortest.substr(place)) << "the way to it changes the goal: " << text;
        EXPECT_LE(automaton.rest(state).size(), automaton.longest_rest());
        if (place < shortest.size()) state = automaton.next(state, static_cast<unsigned char>(shortest[place]));
      }
      ++taken;
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput) << text;
    }
  }
  std::cout << taken << " of 20000 were taken\n";
  EXPECT_GT(taken, 100);
}

}  // namespace
}  // namespace finetune
