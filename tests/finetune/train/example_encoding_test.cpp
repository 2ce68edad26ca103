#include "finetune/train/example_encoding.h"

#include <gtest/gtest.h>

#include "finetune/text/chat_format.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

class ExampleEncoding : public ::testing::Test {
 protected:
  static Tokenizer make_tokenizer(const std::filesystem::path& folder) {
    support::write_tiny_base(folder);
    return Tokenizer::load(folder);
  }
  EncodingRules rules(Task task) const {
    return {.tokenizer = &tokenizer_, .chat = &chat_, .schema = &schema_, .task = task, .labels = &labels_};
  }
  static platform::Example conversation() {
    platform::Example example;
    example.messages = {{"user", "spindle load"}};
    example.label = "high";
    example.value = 2.0;
    return example;
  }
  platform::TemporaryFolder folder_;
  Tokenizer tokenizer_ = make_tokenizer(folder_.path());
  ChatEncoder chat_ = ChatEncoder::load(folder_.path());
  SensorSchema schema_;
  std::vector<std::string> labels_{"high", "low"};
};

TEST_F(ExampleEncoding, SupervisesTheCompletionOnly) {
  platform::Example example;
  example.prompt = "spindle load";
  example.completion = " high";
  const EncodedExample encoded = encode_example(rules(Task::kLanguageModel), example, true);
  EXPECT_EQ(encoded.supervised(), static_cast<std::int64_t>(tokenizer_.encode(" high").size() + 1));
  EXPECT_EQ(encoded.ids.front(), tokenizer_.bos_id());
  EXPECT_EQ(encoded.ids.back(), tokenizer_.eos_id());
}

TEST_F(ExampleEncoding, BeginsAsTheTokenizersFileSaysAndNotBecauseItHasABeginToken) {
  platform::json::value document = platform::read_json_file(folder_.path() / "tokenizer.json");
  document.as_object()["post_processor"] = nullptr;
  const Tokenizer without = Tokenizer::from_json(platform::json::serialize(document),
                                                 platform::read_file(folder_.path() / "tokenizer_config.json"));
  ASSERT_EQ(without.bos_id(), tokenizer_.bos_id());
  platform::Example example;
  example.prompt = "spindle load";
  for (const Tokenizer* tokenizer : std::initializer_list<const Tokenizer*>{&tokenizer_, &without}) {
    EncodingRules chosen = rules(Task::kLanguageModel);
    chosen.tokenizer = tokenizer;
    EXPECT_EQ(encode_example(chosen, example, false).ids,
              tokenizer->encode("spindle load", {.add_special_tokens = true}));
    EXPECT_EQ(format_text(*tokenizer, "spindle").ids.front(),
              tokenizer->encode("spindle", {.add_special_tokens = true}).front());
  }
  EXPECT_EQ(encode_example(rules(Task::kLanguageModel), example, false).ids.front(), tokenizer_.bos_id());
}

TEST_F(ExampleEncoding, ClassifiersAndRegressorsReadTheTokensTheyWereTrainedOn) {
  for (const Task task : {Task::kClassify, Task::kRegress}) {
    EXPECT_EQ(encode_example(rules(task), conversation(), false).ids,
              encode_example(rules(task), conversation(), true).ids)
        << to_string(task);
  }
}

TEST_F(ExampleEncoding, ALanguageModelIsAskedForTheAnswerThatItWasTaught) {
  platform::Example taught = conversation();
  taught.messages.push_back({"assistant", "high"});
  const std::vector<std::int32_t> whole = encode_example(rules(Task::kLanguageModel), taught, true).ids;
  for (const platform::Example& asked : {conversation(), taught}) {
    const std::vector<std::int32_t> prompt = encode_example(rules(Task::kLanguageModel), asked, false).ids;
    ASSERT_EQ(prompt.back(), tokenizer_.token_id("<|assistant|>"));
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), whole.begin()));
  }
}

TEST_F(ExampleEncoding, AConversationOfABaseWithoutATemplateIsRefusedWithItsName) {
  EncodingRules bare = rules(Task::kLanguageModel);
  bare.chat = nullptr;
  platform::Example example = conversation();
  example.id = "m7";
  try {
    encode_example(bare, example, true);
    FAIL() << "was encoded";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput);
    EXPECT_NE(std::string(error.what()).find("m7: this base has no chat template"), std::string::npos) << error.what();
  }
}

TEST_F(ExampleEncoding, SupervisesEachTurnOfTheAssistantInTheWordsOfTheTemplate) {
  platform::write_file_atomically(folder_.path() / "chat_template.jinja",
                                  "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
                                  "{% if add_generation_prompt %}assistant: {% endif %}");
  chat_ = ChatEncoder::load(folder_.path());
  platform::Example example = conversation();
  example.messages.push_back({"assistant", "high"});
  example.messages.push_back({"user", "bearing"});
  example.messages.push_back({"assistant", "hot"});
  const EncodedExample encoded = encode_example(rules(Task::kLanguageModel), example, true);
  EXPECT_EQ(tokenizer_.decode(encoded.ids), "user: spindle load\nassistant: high\nuser: bearing\nassistant: hot\n");
  std::vector<std::int32_t> learned;
  for (const std::int32_t target : encoded.targets) {
    if (target >= 0) learned.push_back(target);
  }
  EXPECT_EQ(tokenizer_.decode(learned), " high\n hot\n") << "a token belongs to an answer of which it holds a byte";
}

// The answer that a document's targets spell.
std::string taught_text(const Tokenizer& tokenizer, const EncodedExample& encoded) {
  std::vector<std::int32_t> learned;
  for (const std::int32_t target : encoded.targets) {
    if (target >= 0 && target != tokenizer.eos_id()) learned.push_back(target);
  }
  return tokenizer.decode(learned);
}

TEST_F(ExampleEncoding, APairIsTwoAnswersToOnePrompt) {
  platform::Example example;
  example.id = "p1";
  example.prompt = "spindle load";
  example.chosen = " high";
  example.rejected = " low, low";
  const EncodedExample pair = encode_example(rules(Task::kLanguageModel), example, true);
  ASSERT_EQ(pair.rejected.size(), 1u);
  EXPECT_EQ(taught_text(tokenizer_, pair), " high");
  EXPECT_EQ(taught_text(tokenizer_, pair.rejected[0]), " low, low");
  EXPECT_EQ(pair.tokens(), static_cast<std::int64_t>(pair.ids.size() + pair.rejected[0].ids.size()));
  const std::vector<std::int32_t> prompt = encode_example(rules(Task::kLanguageModel), example, false).ids;
  for (const EncodedExample* answer : {&std::as_const(pair), &pair.rejected[0]})
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), answer->ids.begin()));
  EXPECT_THROW(encode_example(rules(Task::kClassify), example, true), platform::Error);
}

TEST_F(ExampleEncoding, OfAPairOfConversationsTheLastTurnAloneIsCompared) {
  platform::Example example = conversation();
  example.messages.push_back({"assistant", "high"});
  example.messages.push_back({"user", "bearing"});
  example.chosen = "hot";
  example.rejected = "cold, cold";
  const EncodedExample pair = encode_example(rules(Task::kLanguageModel), example, true);
  EXPECT_EQ(taught_text(tokenizer_, pair), "hot");
  EXPECT_EQ(taught_text(tokenizer_, pair.rejected.at(0)), "cold, cold");
  EXPECT_EQ(pair.supervised(), static_cast<std::int64_t>(tokenizer_.encode("hot").size() + 1)) << "and its end";
  EncodingRules cut = rules(Task::kLanguageModel);
  cut.max_tokens = pair.supervised() + 1;
  EXPECT_EQ(taught_text(tokenizer_, encode_example(cut, example, true)), "hot");
}

TEST_F(ExampleEncoding, ATeacherStandsBesideTheTokensOfTheLastAnswer) {
  platform::Example example = conversation();
  example.id = "t1";
  example.messages.push_back({"assistant", "high"});
  example.messages.push_back({"user", "bearing"});
  example.messages.push_back({"assistant", "cold, cold"});
  const std::vector<std::int32_t> answer = tokenizer_.encode("cold, cold");
  example.teacher.emplace();
  for (const std::int32_t token : answer) example.teacher->tokens.push_back({{token, -0.5f}});
  const EncodingRules whole = rules(Task::kLanguageModel);
  EncodingRules cut = whole;
  cut.max_tokens = static_cast<std::int64_t>(answer.size());  // the answer's first tokens go too
  for (const EncodingRules& each : {whole, cut}) {
    const EncodedExample encoded = encode_example(each, example, true);
    ASSERT_EQ(encoded.teacher.size(), encoded.targets.size());
    std::size_t told = 0;
    for (std::size_t i = 0; i < encoded.targets.size(); ++i) {
      if (encoded.teacher[i].empty()) continue;
      EXPECT_EQ(encoded.teacher[i][0].token, encoded.targets[i]) << i;
      ++told;
    }
    EXPECT_EQ(told, each.max_tokens == whole.max_tokens ? answer.size() : answer.size() - 2);
  }
  const auto refused = [&](const std::string& words) {
    try {
      encode_example(whole, example, true);
      ADD_FAILURE() << "was encoded";
    } catch (const platform::Error& error) {
      EXPECT_NE(std::string(error.what()).find("example t1 has a teacher " + words), std::string::npos) << error.what();
    }
  };
  example.teacher->tokens[0][0].token = 100'000;
  refused("with token 100000");
  example.teacher->tokens.assign(40, {});
  refused("of 40 tokens");
}

TEST_F(ExampleEncoding, ALongPromptLosesItsBeginning) {
  platform::Example example = conversation();
  example.messages.clear();
  for (int i = 0; i < 50; ++i) example.prompt += " load high";
  EncodingRules short_rules = rules(Task::kClassify);
  const std::vector<std::int32_t> whole = encode_example(short_rules, example, true).ids;
  short_rules.max_tokens = 8;
  const std::vector<std::int32_t> cut = encode_example(short_rules, example, true).ids;
  EXPECT_EQ(cut, std::vector<std::int32_t>(whole.end() - 8, whole.end()));
}

}  // namespace
}  // namespace finetune
