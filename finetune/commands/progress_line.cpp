#include "finetune/commands/progress_line.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace finetune {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

ProgressLine::ProgressLine() : terminal_(::isatty(STDERR_FILENO) != 0) {}

ProgressLine::~ProgressLine() {
  if (open_line_) std::fputc('\n', stderr);
}

void ProgressLine::on_step(const TrainProgress& progress) {
  if (terminal_) {
    std::fprintf(stderr, "\rstep %lld/%lld  loss %.4f  %.0f tokens/s  ETA %.0f s",
                 static_cast<long long>(progress.step), static_cast<long long>(progress.total_steps), progress.loss,
                 progress.tokens_per_second, progress.seconds_left);
    if (progress.validation_metric)
      std::fprintf(stderr, "  %s %.4f", progress.metric.c_str(), *progress.validation_metric);
    if (progress.reward_accuracy) std::fprintf(stderr, "  reward accuracy %.3f", *progress.reward_accuracy);
    std::fputs("   ", stderr);
    open_line_ = true;
    return;
  }
  if (progress.step % 10 != 0 && !progress.validation_metric && progress.step != progress.total_steps) return;
  platform::json::object line{{"step", progress.step},
                              {"total_steps", progress.total_steps},
                              {"loss", std::isfinite(progress.loss) ? platform::json::value(progress.loss) : nullptr},
                              {"learning_rate", progress.learning_rate},
                              {"tokens_per_second", progress.tokens_per_second},
                              {"seconds_left", progress.seconds_left}};
  if (progress.validation_metric) line["validation_" + progress.metric] = *progress.validation_metric;
  if (progress.reward_accuracy) line["validation_reward_accuracy"] = *progress.reward_accuracy;
  if (progress.reward_margin) line["validation_reward_margin"] = *progress.reward_margin;
  std::fprintf(stderr, "%s\n", platform::json::serialize(line).c_str());
}

void ProgressLine::on_notice(const std::string& notice) {
  if (terminal_) {
    std::fprintf(stderr, "note: %s\n", notice.c_str());
  } else {
    std::fprintf(stderr, "%s\n", platform::json::serialize(platform::json::object{{"note", notice}}).c_str());
  }
}

bool ProgressLine::should_stop() {
  stopped_ = stopped_ || signals_.comes_within(std::chrono::milliseconds{0});
  return stopped_;
}

StageLine::StageLine() : terminal_(::isatty(STDERR_FILENO) != 0) {}

void StageLine::begin(std::string_view stage) {
  done();
  stage_ = stage;
  begin_ = shown_ = Clock::now();
  if (terminal_) std::fprintf(stderr, "%s ...", stage_.c_str());
}

void StageLine::tick() {
  if (!terminal_ || stage_.empty() || Clock::now() - shown_ < std::chrono::seconds(1)) return;
  shown_ = Clock::now();
  std::fprintf(stderr, "\r%s ... %.0f s", stage_.c_str(), std::chrono::duration<double>(shown_ - begin_).count());
}

void StageLine::done() {
  if (stage_.empty()) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  if (terminal_) {
    std::fprintf(stderr, "\r%s ... %.1f s\n", stage_.c_str(), seconds);
  } else {
    const platform::json::object line{{"stage", stage_}, {"seconds", std::round(seconds * 1000) / 1000}};
    std::fprintf(stderr, "%s\n", platform::json::serialize(line).c_str());
  }
  stage_.clear();
}

void StageLine::say(std::string_view result) {
  done();
  if (terminal_) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(result.size()), result.data());
  } else {
    std::fprintf(stderr, "%s\n", platform::json::serialize(platform::json::object{{"result", result}}).c_str());
  }
}

}  // namespace finetune
