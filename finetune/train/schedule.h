// The course of the learning rate over a training. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace finetune {

/// What some schedules ask for beside their length.
struct ScheduleOptions {
  double minimum = 0;              // cosine_with_min_lr, polynomial, warmup_stable_decay: share of the rate at the end
  double cycles = 1;               // cosine_with_restarts
  std::int64_t decay_steps = -1;   // warmup_stable_decay; -1 = a tenth of all steps
  std::int64_t stable_steps = -1;  // warmup_stable_decay; -1 = what warm-up and decay leave
};

/// Multiplier of the learning rate before step `step` (from 0) of `total`: from 0 in a line over `warmup` steps, then
/// by name. constant has no warm-up; inverse_sqrt falls as 1 / sqrt(step / warmup), with 10,000 for no warm-up;
/// warmup_stable_decay warms up from its minimum. Throws kInvalidInput on another name.
double schedule_factor(std::string_view schedule, std::int64_t step, std::int64_t warmup, std::int64_t total,
                       const ScheduleOptions& options = {});
/// schedule_factor() one step on, as a training takes it: its first step already moves, and its last one too.
double step_factor(std::string_view schedule, std::int64_t step, std::int64_t warmup, std::int64_t total);
/// In alphabetical order.
const std::vector<std::string_view>& schedule_names();

}  // namespace finetune
