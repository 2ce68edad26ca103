#include "finetune/train/example_encoding.h"

#include <gtest/gtest.h>

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
