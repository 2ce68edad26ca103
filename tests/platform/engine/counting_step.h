// A step for engine tests: it counts to `to` in a file of its work folder, one number every `pause_ms`, and goes on
// where an earlier try stopped. What it counted is its output. Kinds: "count", "fail" (always fails), "ask" (asks for
// approval), "wait" (hands itself back between looks), "impatient" (meets a database that is away), "mumble" (its text
// and numbers fit no database), "crash" (kills its process `times` times, first reporting how often it has done so
// where `gets_on` is set).
#pragma once

#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <memory>
#include <thread>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/engine/step.h"
#include "platform/store/database.h"

namespace platform::test {

class CountingStep final : public Step {
 public:
  StepOutcome execute(StepContext& context) override {
    const std::int64_t to = int_or(context.inputs(), "to", 3, "with");
    const std::chrono::milliseconds pause(int_or(context.inputs(), "pause_ms", 0, "with"));
    const auto file = context.work_folder() / "count";
    std::int64_t count = std::filesystem::exists(file) ? std::stoll(read_file(file)) : 0;
    while (count < to) {
      if (context.should_stop()) throw Error(ErrorCode::kCancelled, "asked to stop at " + std::to_string(count));
      write_file_atomically(file, std::to_string(++count));
      context.report_metric("count", count, static_cast<double>(count));
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
    }
    context.say("counted to " + std::to_string(count));
    return {StepOutcome::Kind::kSucceeded, {{"count", count}}, ""};
  }
};

class FailingStep final : public Step {
 public:
  StepOutcome execute(StepContext& context) override {
    if (bool_or(context.inputs(), "permanent", false, "with"))
      return {StepOutcome::Kind::kFailed, {}, "it never works"};
    throw Error(ErrorCode::kUnavailable, "the peer is away");
  }
};

class CrashingStep final : public Step {
 public:
  StepOutcome execute(StepContext& context) override {
    const auto file = context.work_folder() / "crashes";
    const std::int64_t crashes = std::filesystem::exists(file) ? std::stoll(read_file(file)) : 0;
    if (crashes >= int_or(context.inputs(), "times", 1, "with")) return {};
    write_file_atomically(file, std::to_string(crashes + 1));
    if (bool_or(context.inputs(), "gets_on", false, "with")) context.report_metric("crashes", crashes, 1.0);
    // Long enough for a heartbeat to carry the report away.
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    std::raise(SIGKILL);
    return {};
  }
};

// Says what no database holds: broken UTF-8, NUL, NaN.
class MumblingStep final : public Step {
 public:
  StepOutcome execute(StepContext& context) override {
    context.say("half a syllable: \xED\x95");
    context.report_progress({{"loss", std::nan("")}, {"step", 3}});
    std::this_thread::sleep_for(std::chrono::milliseconds(int_or(context.inputs(), "pause_ms", 0, "with")));
    const std::string as = string_or(context.inputs(), "as", "error", "with");
    if (as == "error") throw Error(ErrorCode::kInvalidInput, std::string("cut in \xEB\x9D and a NUL ") + '\0');
    if (as == "number") return {StepOutcome::Kind::kSucceeded, {{"score", std::nan("")}}, ""};
    return {StepOutcome::Kind::kSucceeded, {{"name", "\xFF"}}, ""};
  }
};

// Meets a database that is away the first `times` times.
class ImpatientStep final : public Step {
 public:
  StepOutcome execute(StepContext& context) override {
    const auto file = context.work_folder() / "times";
    const std::int64_t times = std::filesystem::exists(file) ? std::stoll(read_file(file)) : 0;
    write_file_atomically(file, std::to_string(times + 1));
    if (times < int_or(context.inputs(), "times", 1, "with")) throw DatabaseUnavailable("the database went away");
    return {};
  }
};

// Looks `looks` times, a moment apart, and holds no worker in between.
class WaitingStep final : public Step {
 public:
  StepOutcome execute(StepContext& context) override {
    const auto file = context.work_folder() / "looks";
    const std::int64_t looks = (std::filesystem::exists(file) ? std::stoll(read_file(file)) : 0) + 1;
    write_file_atomically(file, std::to_string(looks));
    StepOutcome outcome;
    outcome.outputs["looks"] = looks;
    if (looks >= int_or(context.inputs(), "looks", 3, "with")) return outcome;
    if (context.should_stop()) throw Error(ErrorCode::kCancelled, "asked to stop at look " + std::to_string(looks));
    outcome.kind = StepOutcome::Kind::kWaits;
    outcome.wait = std::chrono::milliseconds(30);
    return outcome;
  }
};

class AskingStep final : public Step {
 public:
  StepOutcome execute(StepContext&) override {
    return {StepOutcome::Kind::kAsksApproval, {{"role", "engineer"}, {"not_by", "starter"}}, ""};
  }
};

inline std::unique_ptr<Step> make_test_step(const std::string& kind) {
  if (kind == "count") return std::make_unique<CountingStep>();
  if (kind == "wait") return std::make_unique<WaitingStep>();
  if (kind == "impatient") return std::make_unique<ImpatientStep>();
  if (kind == "mumble") return std::make_unique<MumblingStep>();
  if (kind == "crash") return std::make_unique<CrashingStep>();
  if (kind == "fail") return std::make_unique<FailingStep>();
  return std::make_unique<AskingStep>();
}

}  // namespace platform::test
