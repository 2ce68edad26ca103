#include "finetune/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "platform/base/error.h"

namespace finetune {
namespace {

// Where a training stands.
struct Position {
  std::int64_t step, warmup, total;
  const ScheduleOptions& options;

  /// 0 at the end of the warm-up, 1 at the end.
  double progress() const {
    return static_cast<double>(step - warmup) / static_cast<double>(std::max<std::int64_t>(1, total - warmup));
  }
  double above_minimum(double factor) const { return std::max(0.0, factor * (1 - options.minimum) + options.minimum); }
};

double half_cosine(double progress) { return std::max(0.0, 0.5 * (1 + std::cos(std::numbers::pi * progress))); }
double warming(const Position& at) { return static_cast<double>(at.step) / static_cast<double>(at.warmup); }

double with_restarts(const Position& at) {
  if (at.progress() >= 1) return 0;
  return half_cosine(std::fmod(at.options.cycles * at.progress(), 1.0));
}

double inverse_root(const Position& at) {
  constexpr std::int64_t kWithoutWarmup = 10'000;
  const std::int64_t scale = at.warmup > 0 ? at.warmup : kWithoutWarmup;
  return 1 / std::sqrt(static_cast<double>(at.step + scale - at.warmup) / static_cast<double>(scale));
}

double stable_then_decay(const Position& at) {
  const std::int64_t decay = at.options.decay_steps >= 0 ? at.options.decay_steps : at.total / 10;
  const std::int64_t stable =
      at.options.stable_steps >= 0 ? at.options.stable_steps : std::max<std::int64_t>(0, at.total - at.warmup - decay);
  const std::int64_t falling = at.step - at.warmup - stable;
  if (falling < 0) return 1;
  if (falling >= decay) return at.options.minimum;
  return at.above_minimum(half_cosine(static_cast<double>(falling) / static_cast<double>(decay)));
}

struct Schedule {
  std::string_view name;
  double (*warm_up)(const Position&);  // null: none
  double (*after)(const Position&);
};

constexpr Schedule kSchedules[] = {
    {"constant", nullptr, [](const Position&) { return 1.0; }},
    {"constant_with_warmup", warming, [](const Position&) { return 1.0; }},
    {"cosine", warming, [](const Position& at) { return half_cosine(at.progress()); }},
    {"cosine_with_min_lr", warming, [](const Position& at) { return at.above_minimum(half_cosine(at.progress())); }},
    {"cosine_with_restarts", warming, with_restarts},
    {"inverse_sqrt", warming, inverse_root},
    {"linear", warming, [](const Position& at) { return std::max(0.0, 1 - at.progress()); }},
    {"polynomial", warming, [](const Position& at) { return at.above_minimum(std::max(0.0, 1 - at.progress())); }},
    {"warmup_stable_decay", [](const Position& at) { return at.above_minimum(warming(at)); }, stable_then_decay},
};

}  // namespace

double schedule_factor(std::string_view schedule, std::int64_t step, std::int64_t warmup, std::int64_t total,
                       const ScheduleOptions& options) {
  const Position at{step, warmup, total, options};
  for (const Schedule& known : kSchedules) {
    if (known.name != schedule) continue;
    return step < warmup && known.warm_up != nullptr ? known.warm_up(at) : known.after(at);
  }
  std::string names;
  for (const std::string_view name : schedule_names()) names += (names.empty() ? "" : ", ") + std::string(name);
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        "schedule must be one of " + names + ", not \"" + std::string(schedule) + "\"", "schedule");
}

double step_factor(std::string_view schedule, std::int64_t step, std::int64_t warmup, std::int64_t total) {
  return schedule_factor(schedule, step + 1, warmup + 1, total + 1);
}

const std::vector<std::string_view>& schedule_names() {
  static const std::vector<std::string_view> kNames = [] {
    std::vector<std::string_view> names;
    for (const Schedule& schedule : kSchedules) names.push_back(schedule.name);
    return names;
  }();
  return kNames;
}

}  // namespace finetune
