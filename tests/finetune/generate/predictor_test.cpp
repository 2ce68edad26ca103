#include "finetune/generate/predictor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <future>
#include <set>
#include <utility>

#include "finetune/adapter/manifest.h"
#include "finetune/train/training_job.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

class PredictorFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(base());
    support::write_text_examples(folder_.path() / "data.jsonl", 24);
    TrainRequest request;
    request.base_folder = base();
    request.dataset = folder_.path() / "data.jsonl";
    request.task = Task::kLanguageModel;
    request.config.min_steps = 900;
    request.config.max_steps = 900;
    request.config.learning_rate = 1e-2;
    request.work_folder = folder_.path() / "work";
    request.output_folder = adapter();
    request.threads = 1;
    struct LastLoss final : TrainObserver {
      double loss = 0;
      void on_step(const TrainProgress& progress) override { loss = progress.loss; }
    } observer;
    train_adapter(request, observer);
    ASSERT_LT(observer.loss, 0.3);
  }
  std::filesystem::path base() const { return folder_.path() / "base"; }
  std::filesystem::path adapter() const { return folder_.path() / "adapter"; }
  platform::TemporaryFolder folder_;
};

TEST_F(PredictorFiles, WritesTheCompletionItWasTaught) {
  Predictor predictor(base(), adapter(), 1);
  platform::Example example;
  example.prompt = "spindle load";
  EXPECT_EQ(predictor.predict(example).text, " high");
  EXPECT_EQ(predictor.adapter_digest(), adapter_digest(adapter()));
  std::string streamed;
  const Generation generation = predictor.complete("bearing", {.max_tokens = 20}, [&](std::string_view piece) {
    streamed += piece;
    return true;
  });
  EXPECT_EQ(streamed, generation.text);
  EXPECT_EQ(generation.text, " cold");
  EXPECT_EQ(generation.finish_reason, "stop");
}

TEST_F(PredictorFiles, AnswersAPromptThatIsLongerThanTheModel) {
  Predictor predictor(base(), adapter(), 1);
  platform::Example example;
  for (int i = 0; i < 300; ++i) example.prompt += "bearing hot ";
  EXPECT_TRUE(predictor.predict(example).text.has_value());
}

TEST_F(PredictorFiles, OthersAreAnsweredWhileAReaderTakesItsTime) {
  Predictor predictor(base(), adapter(), 1);
  std::promise<void> first_piece, go_on;
  std::future<Generation> slow = std::async(std::launch::async, [&] {
    bool first = true;
    return predictor.complete("spindle load", {}, [&](std::string_view) {
      if (std::exchange(first, false)) {
        first_piece.set_value();
        go_on.get_future().wait();
      }
      return true;
    });
  });
  first_piece.get_future().wait();
  platform::Example example;
  example.prompt = "bearing";
  std::future<Prediction> other = std::async(std::launch::async, [&] { return predictor.predict(example); });
  EXPECT_EQ(other.wait_for(std::chrono::seconds(20)), std::future_status::ready) << "held up by a slow reader";
  go_on.set_value();
  EXPECT_EQ(other.get().text, " cold");
  EXPECT_EQ(slow.get().text, " high");
}

TEST_F(PredictorFiles, RefusesAnotherBase) {
  support::write_tiny_base(folder_.path() / "other", 8);
  try {
    Predictor predictor(folder_.path() / "other", adapter(), 1);
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kConflict);
  }
}

TEST_F(PredictorFiles, RefusesABaseWithAnotherChatTemplate) {
  platform::write_file_atomically(base() / "chat_template.jinja", "{{ messages[0].content }}");
  try {
    Predictor predictor(base(), adapter(), 1);
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kConflict);
    EXPECT_NE(std::string(error.what()).find("tokenizer"), std::string::npos) << error.what();
  }
}

TEST_F(PredictorFiles, ChatsInTheWordsOfTheBasesTemplate) {
  platform::write_file_atomically(base() / "chat_template.jinja", "{{ bos_token }}{{ messages[0].content }}");
  Predictor predictor(base(), std::nullopt, 1);
  const GenerateOptions options{.max_tokens = 12};
  EXPECT_EQ(predictor.chat({{"user", "spindle load"}}, options).text, predictor.complete("spindle load", options).text);
  std::filesystem::remove(base() / "chat_template.jinja");
  Predictor bare(base(), std::nullopt, 1);
  EXPECT_THROW(bare.chat({{"user", "spindle load"}}, options), platform::Error);
}

TEST_F(PredictorFiles, AnswersEndAtTheTokensOfTheGenerationConfiguration) {
  const GenerateOptions options{.max_tokens = 12, .logprobs = 0};
  const auto written = [&] {
    std::vector<std::int32_t> ids;
    for (const GeneratedToken& token : Predictor(base(), std::nullopt, 1).complete("spindle load", options).tokens)
      ids.push_back(token.chosen.token);
    return ids;
  };
  const std::vector<std::int32_t> longer = written();
  ASSERT_GT(longer.size(), 1u);
  const std::int32_t end = longer.back();
  platform::write_file_atomically(base() / "generation_config.json",
                                  R"({"eos_token_id": [2, )" + std::to_string(end) + "]}");
  const auto cut = std::find(longer.begin(), longer.end(), end);
  EXPECT_EQ(written(), std::vector<std::int32_t>(longer.begin(), cut));
  platform::write_file_atomically(base() / "generation_config.json", R"({"eos_token_id": "x"})");
  EXPECT_THROW(written(), platform::Error);
}

TEST_F(PredictorFiles, ReportsTheLogarithmOfEachTokensProbability) {
  Predictor predictor(base(), adapter(), 1);
  const Generation generation = predictor.complete("spindle load", {.max_tokens = 20, .logprobs = 3});
  ASSERT_EQ(generation.tokens.size(), static_cast<std::size_t>(generation.completion_tokens));
  std::string text;
  for (const GeneratedToken& token : generation.tokens) {
    text += token.chosen.bytes;
    ASSERT_EQ(token.alternatives.size(), 3u);
    EXPECT_EQ(token.alternatives[0].token, token.chosen.token) << "greedy takes the most probable one";
    EXPECT_EQ(token.alternatives[0].logprob, token.chosen.logprob);
    double sum = 0;
    for (const TokenLogprob& other : token.alternatives) sum += std::exp(other.logprob);
    EXPECT_GT(token.alternatives[0].logprob, token.alternatives[1].logprob);
    EXPECT_LE(sum, 1.0 + 1e-6);
    EXPECT_GT(sum, 0.2) << "of " << 300 << " tokens, three of the most probable";
  }
  EXPECT_EQ(text, generation.text);
  EXPECT_TRUE(predictor.complete("spindle load", {.max_tokens = 4}).tokens.empty());
}

TEST_F(PredictorFiles, OptionsChangeWhatIsChosen) {
  Predictor predictor(base(), std::nullopt, 1);
  const auto tokens_of = [&](GenerateOptions options) {
    options.max_tokens = 40;
    options.logprobs = 0;
    std::vector<std::int32_t> ids;
    for (const GeneratedToken& token : predictor.complete("spindle load", options).tokens)
      ids.push_back(token.chosen.token);
    return ids;
  };
  const std::vector<std::int32_t> greedy = tokens_of({});
  // One candidate is left, whichever way.
  EXPECT_EQ(tokens_of({.temperature = 1.5f, .top_k = 1}), greedy);
  EXPECT_EQ(tokens_of({.temperature = 1.5f, .min_p = 1.0f}), greedy);
  EXPECT_NE(tokens_of({.temperature = 1.5f}), greedy);
  EXPECT_EQ(tokens_of({.temperature = 1.5f, .seed = 5}), tokens_of({.temperature = 1.5f, .seed = 5}));
  const std::vector<std::int32_t> once = tokens_of({.no_repeat_ngram_size = 1});
  EXPECT_EQ(std::set<std::int32_t>(once.begin(), once.end()).size(), once.size());
  EXPECT_NE(tokens_of({.repetition_penalty = 2.0f}), greedy);
  EXPECT_THROW(tokens_of({.typical_p = 0.0f}), platform::Error);
}

TEST_F(PredictorFiles, RefusesAChangedFile) {
  std::string bytes = platform::read_file(adapter() / "adapter_model.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  platform::write_file_atomically(adapter() / "adapter_model.safetensors", bytes);
  try {
    Predictor predictor(base(), adapter(), 1);
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCorrupt);
  }
}

TEST_F(PredictorFiles, RefusesAnAdapterWhoseProbeDoesNotReproduce) {
  platform::json::value manifest = platform::read_json_file(adapter() / "anneal.json");
  platform::json::array& outputs = manifest.as_object()["probe"].as_object()["outputs"].as_array();
  outputs[0].as_array()[0] = outputs[0].as_array()[0].to_number<double>() + 1.0;
  platform::write_json_file(adapter() / "anneal.json", manifest);
  try {
    Predictor predictor(base(), adapter(), 1);
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kConflict);
    EXPECT_NE(std::string(error.what()).find("probe"), std::string::npos);
  }
}

}  // namespace
}  // namespace finetune
