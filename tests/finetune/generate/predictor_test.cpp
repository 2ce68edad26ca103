#include "finetune/generate/predictor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
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
    std::string lines;
    for (int i = 0; i < 24; ++i) {
      platform::Example example;
      example.id = "m" + std::to_string(i);
      example.prompt = i % 2 == 0 ? "spindle load" : "bearing";
      example.completion = i % 2 == 0 ? " high" : " cold";
      lines += platform::canonical_json(platform::to_json(example)) + "\n";
    }
    platform::write_file_atomically(folder_.path() / "data.jsonl", lines);
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
