#include "finetune/train/pretrainer.h"

#include <gtest/gtest.h>

#include "finetune/bases/corpus.h"
#include "tests/support/stop_after.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

class Pretraining : public ::testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(folder_.path() / "tokenizer");
    write_corpus(folder_.path() / "corpus.txt", 20'000, 1);
  }
  PretrainRequest request(const std::string& name) const {
    PretrainRequest request;
    request.model = support::tiny_config();
    request.corpus = folder_.path() / "corpus.txt";
    request.tokenizer_folder = folder_.path() / "tokenizer";
    request.output_folder = folder_.path() / name;
    request.steps = 12;
    request.sequence_tokens = 32;
    request.batch_sequences = 2;
    request.checkpoint_steps = 5;
    request.threads = 1;
    return request;
  }
  platform::TemporaryFolder folder_;
};

TEST_F(Pretraining, AnInterruptedOneEndsInTheSameBytes) {
  TrainObserver observer;
  pretrain(request("whole"), observer);
  for (const std::int64_t steps : {4, 7}) {
    support::StopAfter stopping(steps);
    try {
      pretrain(request("pieces"), stopping);
      FAIL() << "was not stopped";
    } catch (const platform::Error& error) {
      ASSERT_EQ(error.code(), platform::ErrorCode::kCancelled);
    }
  }
  pretrain(request("pieces"), observer);
  for (const char* name :
       {"model.safetensors", "config.json", "tokenizer.json", "loss.jsonl", "checkpoint.safetensors"})
    EXPECT_EQ(platform::read_file(folder_.path() / "pieces" / name),
              platform::read_file(folder_.path() / "whole" / name))
        << name;
}

TEST_F(Pretraining, RefusesSettingsThatNoStepCanBeMadeWith) {
  const auto expect_refused = [&](const std::string& name, auto change) {
    PretrainRequest bad = request("bad");
    change(bad);
    TrainObserver observer;
    try {
      pretrain(bad, observer);
      FAIL() << "accepted: " << name;
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.path(), name) << error.what();
    }
  };
  expect_refused("sequence", [](PretrainRequest& bad) { bad.sequence_tokens = 0; });
  expect_refused("sequence", [](PretrainRequest& bad) { bad.sequence_tokens = 4096; });
  expect_refused("batch", [](PretrainRequest& bad) { bad.batch_sequences = 0; });
  expect_refused("checkpoint-steps", [](PretrainRequest& bad) { bad.checkpoint_steps = 0; });
  expect_refused("steps", [](PretrainRequest& bad) { bad.steps = 0; });
}

TEST_F(Pretraining, LeavesABaseThatIsDoneAsItIs) {
  const std::string before = platform::read_file(folder_.path() / "tokenizer" / "model.safetensors");
  TrainObserver observer;
  EXPECT_THROW(pretrain(request("tokenizer"), observer), platform::Error);
  EXPECT_EQ(platform::read_file(folder_.path() / "tokenizer" / "model.safetensors"), before);
}

}  // namespace
}  // namespace finetune
