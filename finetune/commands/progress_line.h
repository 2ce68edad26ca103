// Shows training progress: one line that rewrites itself on a terminal, JSON lines otherwise; and turns SIGTERM and
// SIGINT into "save and stop". One object at a time, in main's thread.
#pragma once

#include "finetune/train/training_job.h"

namespace finetune {

class ProgressLine final : public TrainObserver {
 public:
  ProgressLine();
  ~ProgressLine() override;
  void on_step(const TrainProgress& progress) override;
  bool should_stop() override;

 private:
  bool terminal_;
  bool open_line_ = false;
};

}  // namespace finetune
