// What the commands say while they work. ProgressLine shows a training: one line that rewrites itself on a terminal,
// JSON lines otherwise; and turns SIGTERM and SIGINT into "save and stop" (platform/base/stop_signals.h says what that
// asks for). One object at a time, in main's thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "finetune/train/training_job.h"
#include "platform/base/stop_signals.h"

namespace finetune {

class ProgressLine final : public TrainObserver {
 public:
  ProgressLine();
  ~ProgressLine() override;
  void on_step(const TrainProgress& progress) override;
  void on_notice(const std::string& notice) override;
  bool should_stop() override;

 private:
  platform::StopSignals signals_;
  bool stopped_ = false;
  bool terminal_;
  bool open_line_ = false;
};

/// What a command does just now and how long it took: a line on a terminal, a JSON line otherwise; on standard error,
/// so that standard output holds the answer alone.
class StageLine {
 public:
  StageLine();
  /// Ends the stage before, if there is one.
  void begin(std::string_view stage);
  /// Shows, on a terminal, how long it has taken so far; to be called often.
  void tick();
  void done();
  /// Ends the stage and says what came of it.
  void say(std::string_view result);

 private:
  bool terminal_;
  std::string stage_;  // empty = none
  std::chrono::steady_clock::time_point begin_, shown_;
};

}  // namespace finetune
