// Observers that stop a training at a chosen place. For tests only.
#pragma once

#include "finetune/train/training_job.h"

namespace support {

/// Stops after the optimizer step `limit`.
struct StopAfter final : finetune::TrainObserver {
  std::int64_t limit;
  std::int64_t seen = 0;
  explicit StopAfter(std::int64_t steps) : limit(steps) {}
  void on_step(const finetune::TrainProgress& progress) override { seen = progress.step; }
  bool should_stop() override { return seen >= limit; }
};

/// Stops when it is asked for the `limit`th time: between steps, in a step, or in a validation pass.
struct StopAtQuestion final : finetune::TrainObserver {
  int limit;
  int asked = 0;
  std::int64_t seen = 0;
  explicit StopAtQuestion(int questions) : limit(questions) {}
  void on_step(const finetune::TrainProgress& progress) override { seen = progress.step; }
  bool should_stop() override { return ++asked >= limit; }
};

}  // namespace support
