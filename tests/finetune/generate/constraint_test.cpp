// Answers that have a form: over random schemas and random choices of tokens, whatever the vocabulary.
#include "finetune/generate/constraint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <regex>
#include <set>

#include "finetune/generate/grammar_constraint.h"
#include "finetune/generate/label_constraint.h"
#include "finetune/generate/predictor.h"
#include "finetune/text/decode_stream.h"
#include "finetune/text/unicode.h"
#include "kernels/core/random.h"
#include "tests/support/golden_folder.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

namespace json = platform::json;
using kernels::Random;

std::uint64_t seed_of_run() {
  const char* given = std::getenv("ANNEAL_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261124;
  std::cout << "seed: " << seed << "\n";
  return seed;
}

// A small judge of its own, straight from the words of JSON schema.
bool fits(const json::object& schema, const json::value& value);

bool fits_type(const json::object& schema, const std::string& type, const json::value& value) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_bool();
  if (type == "integer") return value.is_int64() || value.is_uint64();
  if (type == "number") return value.is_number();
  const auto count = [&](const char* key, std::size_t fallback) {
    return schema.contains(key) ? schema.at(key).to_number<std::size_t>() : fallback;
  };
  if (type == "string") {
    if (!value.is_string()) return false;
    const std::string text(value.get_string());
    if (!is_utf8(text)) return false;
    std::size_t characters = 0;
    for (std::size_t at = 0; at < text.size(); ++characters) next_code_point(text, at);
    if (schema.contains("pattern") &&
        !std::regex_search(text, std::regex(std::string(schema.at("pattern").as_string()))))
      return false;
    return characters >= count("minLength", 0) && characters <= count("maxLength", SIZE_MAX);
  }
  if (type == "array") {
    if (!value.is_array()) return false;
    const json::array& items = value.get_array();
    return items.size() >= count("minItems", 0) && items.size() <= count("maxItems", SIZE_MAX) &&
           std::all_of(items.begin(), items.end(), [&](const json::value& item) {
             return !schema.contains("items") || fits(schema.at("items").as_object(), item);
           });
  }
  if (!value.is_object()) return false;
  const json::object& members = value.get_object();
  const json::object none;
  const json::object& named = schema.contains("properties") ? schema.at("properties").as_object() : none;
  if (schema.contains("required")) {
    for (const json::value& name : schema.at("required").as_array())
      if (!members.contains(name.as_string())) return false;
  }
  return std::all_of(members.begin(), members.end(), [&](const auto& pair) {
    const json::value* each = named.if_contains(pair.key());
    if (each != nullptr) return fits(each->as_object(), pair.value());
    return !schema.contains("additionalProperties") || schema.at("additionalProperties").as_bool();
  });
}

bool fits(const json::object& schema, const json::value& value) {
  if (schema.contains("anyOf")) {
    const json::array& any = schema.at("anyOf").as_array();
    return std::any_of(any.begin(), any.end(), [&](const json::value& each) { return fits(each.as_object(), value); });
  }
  if (schema.contains("const")) return schema.at("const") == value;
  if (schema.contains("enum")) {
    const json::array& values = schema.at("enum").as_array();
    return std::find(values.begin(), values.end(), value) != values.end();
  }
  if (!schema.contains("type")) return true;
  if (schema.at("type").is_string()) return fits_type(schema, std::string(schema.at("type").as_string()), value);
  const json::array& types = schema.at("type").as_array();
  return std::any_of(types.begin(), types.end(),
                     [&](const json::value& type) { return fits_type(schema, std::string(type.as_string()), value); });
}

const char* const kNames[] = {"id", "부품", "상태 \"코드\"", "temperature_c", "a", "ab", "설비번호\\", "note"};
const char* const kPatterns[] = {"^[A-Z]{2}-[0-9]{3}$", "^(ok|not ok)$", "[0-9]+",       "^x*y?$",
                                 "^[^a-z]+$",           "^정상|이상",    "^(정상|이상)$"};

json::object random_schema(Random& random, int depth) {
  const auto coin = [&] { return random.below(2) == 0; };
  switch (random.below(depth > 0 ? 11 : 8)) {
    case 0: return {{"type", "integer"}};
    case 1: return {{"type", "number"}};
    case 2: return {{"type", coin() ? json::value("boolean") : json::value("null")}};
    case 3: {
      json::object text{{"type", "string"}};
      const std::uint64_t least = random.below(3);
      if (coin()) text["minLength"] = least;
      if (coin()) text["maxLength"] = least + random.below(5);
      return text;
    }
    case 4: {
      const char* pattern = kPatterns[random.below(std::size(kPatterns))];
      return {{"type", "string"}, {"pattern", std::string(pattern) == "^정상|이상" ? "^(정상|이상)" : pattern}};
    }
    case 5: {
      json::array values;
      for (std::uint64_t i = 0; i <= random.below(4); ++i)
        values.push_back(coin() ? json::value(kNames[random.below(std::size(kNames))])
                                : json::value(random.below(200)));
      return {{"enum", values}};
    }
    case 6: return {{"const", kNames[random.below(std::size(kNames))]}};
    case 7: return coin() ? json::object{} : json::object{{"type", {"integer", "null", "string"}}};
    case 8: {
      json::array any;
      for (std::uint64_t i = 0; i <= random.below(3); ++i) any.push_back(random_schema(random, depth - 1));
      return {{"anyOf", any}};
    }
    case 9: {
      json::object list{{"type", "array"}, {"items", random_schema(random, depth - 1)}};
      const std::uint64_t least = random.below(3);
      if (coin()) list["minItems"] = least;
      if (coin()) list["maxItems"] = least + random.below(3);
      return list;
    }
    default: {
      json::object members;
      json::array required;
      for (std::uint64_t i = 0; i < random.below(5); ++i) {
        const char* name = kNames[random.below(std::size(kNames))];
        if (!members.contains(name) && coin()) required.emplace_back(name);
        members[name] = random_schema(random, depth - 1);
      }
      return {{"type", "object"}, {"properties", members}, {"required", required}, {"additionalProperties", false}};
    }
  }
}

std::vector<std::int32_t> tokens_of(std::span<const std::uint64_t> set) {
  std::vector<std::int32_t> tokens;
  for (std::size_t token = 0; token < set.size() * 64; ++token) {
    if (holds(set, token)) tokens.push_back(static_cast<std::int32_t>(token));
  }
  return tokens;
}

// An answer of tokens drawn evenly from those that are allowed; nothing where it did not come to an end.
std::optional<std::string> drawn_answer(Constraint& constraint, const Tokenizer& tokenizer, std::int64_t limit,
                                        const std::vector<std::int32_t>& ends, Random& random) {
  DecodeStream stream(tokenizer);
  std::string text;
  for (std::int64_t left = limit; left > 0 && !constraint.finished(); --left) {
    const std::vector<std::int32_t> choices = tokens_of(constraint.allowed(left));
    if (choices.empty()) return std::nullopt;
    const std::int32_t token = choices[random.below(choices.size())];
    if (std::find(ends.begin(), ends.end(), token) != ends.end()) break;
    text += stream.push(token);
    constraint.take(token);
  }
  text += stream.finish();
  return constraint.complete() ? std::optional(text) : std::nullopt;
}

void expect_document(const json::object& schema, const std::string& text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  ASSERT_FALSE(error) << error.message() << "\n" << json::serialize(schema) << "\n" << text;
  EXPECT_TRUE(fits(schema, value)) << json::serialize(schema) << "\n" << text;
}

std::vector<std::int32_t> ends_of(const Tokenizer& tokenizer) {
  if (const auto end = tokenizer.eos_id()) return {*end};
  return {tokenizer.vocabulary_size()};  // none of its own
}

TEST(ConstraintGolden, AnAnswerFitsItsSchemaWithinTheLimitInEveryVocabulary) {
  SKIP_WITHOUT_GOLDEN("tokenizers");
  const std::uint64_t seed = seed_of_run();
  int answers = 0;
  for (const std::filesystem::path& folder : support::golden_cases("tokenizers")) {
    SCOPED_TRACE(folder.string());
    const Tokenizer tokenizer = Tokenizer::load(folder);
    const std::vector<std::int32_t> ends = ends_of(tokenizer);
    const TokenTrie trie(tokenizer, ends);
    int finished = 0;
    for (std::uint64_t i = 0; i < 60; ++i) {
      Random random(kernels::random_bits(seed, i));
      const json::object schema = random_schema(random, 3);
      GrammarConstraint constraint(grammar_of_schema(schema), trie, ends);
      const std::int64_t least = constraint.tokens_to_finish();
      if (least == kNeverFinished) continue;
      const std::int64_t limit = least + static_cast<std::int64_t>(random.below(3) == 0 ? 0 : random.below(60));
      const auto text = drawn_answer(constraint, tokenizer, limit, ends, random);
      ASSERT_TRUE(text) << "case " << i << " was cut: " << json::serialize(schema);
      expect_document(schema, *text);
      ++finished;
    }
    std::cout << folder.filename().string() << ": " << finished << " of 60\n";
    if (trie.writes_any_byte()) {
      EXPECT_EQ(finished, 60);
    }
    answers += finished;
  }
  EXPECT_GT(answers, 0);
  std::cout << "cases checked: " << answers << "\n";
}

TEST(ConstraintGolden, ATokenIsAllowedExactlyIfItsBytesKeepTheTextABeginning) {
  const auto folder = support::golden_folder() / "tokenizers/llama2_metaspace";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no golden tokenizers";
  const Tokenizer tokenizer = Tokenizer::load(folder);
  const TokenTrie trie(tokenizer, ends_of(tokenizer));
  const auto grammar = grammar_of_schema(json::parse(
      R"({"type":"object","properties":{"부품":{"enum":["베어링","벨트"]},"n":{"type":"string","maxLength":3}},"required":["n"]})"));
  for (const char* text :
       {"{", "{\"", "{\"\xeb", "{\"부품\": \"베", "{\"n\":\"한\xea", "{\"n\": \"한글\\", "{\"n\": \"ab"}) {
    GrammarAutomaton automaton(grammar);
    GrammarConstraint constraint(grammar, trie, ends_of(tokenizer));
    GrammarAutomaton::State state = automaton.start();
    for (const char* byte = text; *byte != '\0'; ++byte) {
      state = automaton.next(state, static_cast<unsigned char>(*byte));
      constraint.take(tokenizer
                          .token_id("<0x" +
                                    [&] {
                                      char hex[3];
                                      std::snprintf(hex, sizeof hex, "%02X",
                                                    static_cast<unsigned>(static_cast<unsigned char>(*byte)));
                                      return std::string(hex);
                                    }() +
                                    ">")
                          .value());
    }
    const std::vector<std::int32_t> allowed = tokens_of(constraint.allowed(1000));
    const std::set<std::int32_t> chosen(allowed.begin(), allowed.end());
    EXPECT_FALSE(chosen.empty()) << text;
    for (std::int32_t token = 0; token < tokenizer.vocabulary_size(); ++token) {
      const std::string bytes = tokenizer.is_special(token) ? std::string() : tokenizer.token_bytes(token);
      GrammarAutomaton::State then = state;
      for (const char byte : bytes)
        then = then == GrammarAutomaton::kDead ? then : automaton.next(then, static_cast<unsigned char>(byte));
      EXPECT_EQ(chosen.contains(token), !bytes.empty() && then != GrammarAutomaton::kDead) << text << " + " << bytes;
    }
  }
}

TEST(ConstraintGolden, ChoicesAreWrittenWholeInEveryVocabulary) {
  SKIP_WITHOUT_GOLDEN("tokenizers");
  Random random(seed_of_run());
  for (const std::filesystem::path& folder : support::golden_cases("tokenizers")) {
    SCOPED_TRACE(folder.string());
    const Tokenizer tokenizer = Tokenizer::load(folder);
    const std::vector<std::int32_t> ends = ends_of(tokenizer);
    std::vector<std::string> labels;
    for (const char* label : {"정상", "정상 아님", "bearing", "bearing noise", "베어링", "b"}) {
      if (tokenizer.decode(tokenizer.encode(label)) == label) labels.emplace_back(label);
    }
    if (labels.empty()) continue;
    std::set<std::string> written;
    for (int i = 0; i < 200; ++i) {
      LabelConstraint constraint(tokenizer, labels, ends);
      const std::int64_t limit = constraint.tokens_to_finish() + static_cast<std::int64_t>(random.below(12));
      const auto text = drawn_answer(constraint, tokenizer, limit, ends, random);
      ASSERT_TRUE(text);
      EXPECT_NE(std::find(labels.begin(), labels.end(), *text), labels.end()) << *text;
      written.insert(*text);
    }
    EXPECT_EQ(written.size(), labels.size()) << "each can be reached";
  }
}

TEST(Constraint, ALongAnswerForgetsWhatItHasPassed) {
  platform::TemporaryFolder folder;
  support::write_tiny_base(folder.path());
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  const std::vector<std::int32_t> ends = ends_of(tokenizer);
  const TokenTrie trie(tokenizer, ends);
  // Each place in a text of a bounded length is a state of its own, for each of the alternatives.
  const json::object schema = json::parse(R"({"anyOf":[{"type":"string","minLength":6000,"maxLength":6001},
      {"type":"array","items":{"type":"string","minLength":90,"maxLength":100},"minItems":60}]})")
                                  .as_object();
  for (const std::int64_t limit : {6500, 9000}) {
    Random random(seed_of_run());
    GrammarConstraint constraint(grammar_of_schema(schema), trie, ends);
    const auto text = drawn_answer(constraint, tokenizer, limit, ends, random);
    ASSERT_TRUE(text);
    expect_document(schema, *text);
  }
}

// A model whose weights are random writes what it is not kept from.
class ConstrainedModel : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<platform::TemporaryFolder>();
    support::write_tiny_base(folder_->path() / "base");
    predictor_ = std::make_unique<Predictor>(folder_->path() / "base", std::nullopt, 1);
  }
  static void TearDownTestSuite() {
    predictor_.reset();
    folder_.reset();
  }
  static std::string refusal(const GenerateOptions& options, const AnswerForm& form) {
    try {
      predictor_->complete("spindle", options, {}, form);
      return "taken";
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput) << error.what();
      return error.what();
    }
  }
  static std::unique_ptr<platform::TemporaryFolder> folder_;
  static std::unique_ptr<Predictor> predictor_;
};
std::unique_ptr<platform::TemporaryFolder> ConstrainedModel::folder_;
std::unique_ptr<Predictor> ConstrainedModel::predictor_;

TEST_F(ConstrainedModel, EveryFinishedAnswerParsesAndFitsItsSchema) {
  const std::uint64_t seed = seed_of_run();
  int written = 0, too_short = 0;
  for (std::uint64_t i = 0; i < 120; ++i) {
    Random random(kernels::random_bits(seed, 1000 + i));
    const json::object schema = random_schema(random, 3);
    const GenerateOptions options{
        .max_tokens = static_cast<std::int64_t>(1 + random.below(100)), .temperature = 1.0f, .seed = random.bits()};
    try {
      const Generation answer = predictor_->complete("spindle load", options, {}, AnswerForm::json(schema));
      EXPECT_EQ(answer.finish_reason, "stop") << "case " << i;
      EXPECT_LE(answer.completion_tokens, options.max_tokens);
      expect_document(schema, answer.text);
      ++written;
    } catch (const platform::Error& error) {
      EXPECT_NE(std::string(error.what()).find("the shortest answer of this form has"), std::string::npos)
          << "case " << i << ": " << error.what();
      ++too_short;
    }
  }
  std::cout << written << " answers, " << too_short << " limits too short\n";
  EXPECT_GT(written, 60);
}

TEST_F(ConstrainedModel, AnObjectIsWrittenWhereAnyIsAskedFor) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const GenerateOptions options{.max_tokens = 60, .temperature = 1.5f, .seed = seed};
    const std::string text = predictor_->complete("spindle", options, {}, AnswerForm::any_json_object()).text;
    EXPECT_TRUE(json::parse(text).is_object()) << text;
  }
}

TEST_F(ConstrainedModel, AChoiceIsWrittenWholeAndThenEnds) {
  std::set<std::string> written;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const GenerateOptions options{.max_tokens = 40, .temperature = 2.0f, .seed = seed};
    std::string streamed;
    const Generation answer = predictor_->complete(
        "spindle", options, [&](std::string_view piece) { return streamed += piece, true; },
        AnswerForm::one_of({" high", " 높음", " hot, bearing"}));
    EXPECT_EQ(answer.finish_reason, "stop");
    EXPECT_EQ(streamed, answer.text);
    written.insert(answer.text);
  }
  for (const std::string& text : written)
    EXPECT_TRUE(text == " high" || text == " 높음" || text == " hot, bearing") << text;
  EXPECT_GT(written.size(), 1u);
}

TEST_F(ConstrainedModel, WhatNoAnswerCouldMeetIsRefusedBeforeItIsWritten) {
  const AnswerForm form = AnswerForm::json(json::parse(R"({"enum":["spindle load high"]})"));
  EXPECT_NE(refusal({.max_tokens = 2}, form).find("raise max_tokens"), std::string::npos);
  EXPECT_NE(refusal({.max_tokens = 40, .stop = {"}"}}, form).find("leave stop out"), std::string::npos);
  EXPECT_NE(refusal({.max_tokens = 40, .no_repeat_ngram_size = 2}, form).find("no_repeat_ngram_size"),
            std::string::npos);
  EXPECT_EQ(refusal({.max_tokens = 40, .repetition_penalty = 2.0f}, form), "taken");
  EXPECT_NE(refusal({}, AnswerForm::one_of({"a", "a"})).find("twice"), std::string::npos);
  EXPECT_NE(refusal({}, AnswerForm::one_of({""})).find("empty"), std::string::npos);
}

TEST_F(ConstrainedModel, LogprobsAreThoseOfTheModelItself) {
  const GenerateOptions options{.max_tokens = 30, .logprobs = 2};
  const Generation answer =
      predictor_->complete("spindle", options, {}, AnswerForm::json(json::parse(R"({"enum":["bearing"]})")));
  EXPECT_EQ(answer.text, "\"bearing\"");
  ASSERT_FALSE(answer.tokens.empty());
  const Generation free = predictor_->complete("spindle", {.max_tokens = 1, .logprobs = 2});
  EXPECT_EQ(answer.tokens[0].alternatives[0].token, free.tokens.at(0).alternatives[0].token);
  EXPECT_EQ(answer.tokens[0].alternatives[0].logprob, free.tokens.at(0).alternatives[0].logprob);
}

}  // namespace
}  // namespace finetune
