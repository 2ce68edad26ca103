#include "finetune/train/example_preview.h"

#include <gtest/gtest.h>

#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

class ExamplePreviews : public ::testing::Test {
 protected:
  ExamplePreviews() {
    support::write_tiny_base(folder_.path());
    tokenizer_.emplace(Tokenizer::load(folder_.path()));
    chat_ = ChatEncoder::load(folder_.path());
  }
  ExamplePreview preview(const platform::Example& example, std::int64_t max_tokens = 1024) {
    schema_ = learn_sensor_schema({&example}, 32);
    form_.horizon = static_cast<std::int64_t>(example.values.size());
    return preview_example({.tokenizer = &*tokenizer_,
                            .chat = &chat_,
                            .schema = &schema_,
                            .task = task_of(example),
                            .labels = &labels_,
                            .form = &form_,
                            .max_tokens = max_tokens},
                           example);
  }
  platform::TemporaryFolder folder_;
  std::optional<Tokenizer> tokenizer_;
  ChatEncoder chat_;
  SensorSchema schema_;
  std::vector<std::string> labels_{"high", "low"};
  HeadForm form_;
};

platform::Example conversation() {
  platform::Example example;
  example.id = "m1";
  example.messages = {{"user", "spindle load"}, {"assistant", "high"}};
  return example;
}

TEST_F(ExamplePreviews, MarkWhatIsTaughtInPlainTextAndInColour) {
  const ExamplePreview shown = preview(conversation());
  EXPECT_EQ(shown.taught, static_cast<std::int64_t>(tokenizer_->encode("high").size() + 1));
  const std::string line =
      "example m1, train: " + std::to_string(shown.tokens) + " tokens, " + std::to_string(shown.taught) + " taught\n";
  EXPECT_EQ(to_text(shown, false), line + "<|begin|><|user|>spindle load<|end|><|assistant|>\u27E6high<|end|>\u27E7\n");
  EXPECT_EQ(to_text(shown, true), line +
                                      "\033[36m<|begin|><|user|>\033[0mspindle load"
                                      "\033[36m<|end|><|assistant|>\033[0m\033[42;30mhigh<|end|>\033[0m\n");
}

TEST_F(ExamplePreviews, NameTheFieldOfASlotAndTheTargetOfAHead) {
  platform::Example example;
  example.prompt = "torque {{ number:torque }} {{ signal:vibration }}";
  example.numbers["torque"] = 12.5;
  example.signals["vibration"].values.assign(100, 0.5f);
  example.label = "high";
  const ExamplePreview shown = preview(example);
  EXPECT_EQ(shown.taught, 1);
  EXPECT_NE(to_text(shown, false).find("(label high)\n<|begin|>torque {torque} {vibration}\n"), std::string::npos)
      << to_text(shown, false);
  EXPECT_EQ(shown.parts.back().tokens, 4) << "100 samples of 32 a slot";
  std::int64_t tokens = 0;
  const platform::json::object document = to_json(shown);
  for (const platform::json::value& part : document.at("parts").as_array())
    tokens += part.at("tokens").to_number<std::int64_t>();
  EXPECT_EQ(tokens, shown.tokens);
}

TEST_F(ExamplePreviews, WriteNumbersAsPeopleDo) {
  platform::Example example;
  example.prompt = "{{ signal:power }}";
  example.signals["power"].values = {1, 2};
  example.values = {0.0, 0.5, std::nullopt, 1200.0};
  EXPECT_EQ(preview(example).target, "values 0, 0.5, not known, 1200");
  example.values.assign(96, 3.0);
  EXPECT_EQ(preview(example).target, "values 3, 3, 3, 3, 3, 3, 3, 3, ... 88 more");
  example.values.clear();
  example.value = 0.0;
  EXPECT_EQ(preview(example).target, "value 0");
}

TEST_F(ExamplePreviews, ShowBothAnswersOfAPair) {
  platform::Example example;
  example.id = "p1";
  example.prompt = "spindle load";
  example.chosen = " high";
  example.rejected = " low";
  const ExamplePreview shown = preview(example);
  ASSERT_TRUE(shown.rejected);
  const std::string text = to_text(shown, false);
  EXPECT_NE(text.find("example p1, train: chosen, "), std::string::npos) << text;
  EXPECT_NE(text.find("<|begin|>spindle load\u27E6 high<|end|>\u27E7\nrejected, "), std::string::npos) << text;
  EXPECT_NE(text.find("<|begin|>spindle load\u27E6 low<|end|>\u27E7\n"), std::string::npos) << text;
  EXPECT_EQ(to_json(shown).at("rejected").at("taught_tokens").to_number<std::int64_t>(),
            static_cast<std::int64_t>(tokenizer_->encode(" low").size() + 1));
}

TEST_F(ExamplePreviews, SayHowMuchOfALongExampleIsLost) {
  platform::Example example = conversation();
  const ExamplePreview whole = preview(example), cut = preview(example, 4);
  EXPECT_EQ(whole.lost, 0);
  EXPECT_EQ(cut.lost, whole.tokens - 4);
  EXPECT_NE(to_text(cut, false).find("cut from the beginning"), std::string::npos);
}

TEST_F(ExamplePreviews, LetNoTextSteerTheTerminal) {
  platform::Example example = conversation();
  example.messages[0].content = "a\033[2Jb\x7f\tc\nd";
  const std::string text = to_text(preview(example), false);
  EXPECT_EQ(text.find('\033'), std::string::npos) << text;
  EXPECT_NE(text.find("a\u241B[2Jb\u2421\u2409c\nd"), std::string::npos) << text;
}

}  // namespace
}  // namespace finetune
