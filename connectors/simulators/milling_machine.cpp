#include "connectors/simulators/milling_machine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace connectors {

namespace json = platform::json;

namespace {

double rounded(double value, double step) { return std::round(value / step) * step; }

// 42.7 rather than 42.7000000001.
double tenths(double value) { return std::round(value * 10) / 10; }

}  // namespace

MillingMachine::MillingMachine(MillingOptions options)
    : options_(std::move(options)), state_(options_.seed * 0x9E3779B97F4A7C15ull + 1) {
  if (options_.start == platform::Time{}) options_.start = platform::parse_time("2026-01-05T06:00:00Z");
}

// A counter through a mixing function: the same on every machine, which std distributions are not.
double MillingMachine::uniform() {
  state_ += 0x9E3779B97F4A7C15ull;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1.0p-53;
}

double MillingMachine::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::string MillingMachine::failure_of(const std::string& grade, double process_minus_air, double speed,
                                       double torque) const {
  const double power = torque * speed * 2 * std::numbers::pi / 60;
  const double strain_limit = grade == "L" ? 11000 : grade == "M" ? 12000 : 13000;
  if (wear_ > 200) return "tool";
  if (process_minus_air < 8.6 && speed < 1380) return "heat";
  if (power < 3500 || power > 9000) return "power";
  if (wear_ * torque > strain_limit) return "strain";
  return {};
}

std::string MillingMachine::remark_of(const std::string& failure) {
  using Remarks = std::array<const char*, 3>;
  static constexpr Remarks kQuiet = {"running quietly", "chips clear, surface good", "no findings on the round"};
  static constexpr Remarks kTool = {"cutting edge worn, tool changed", "tool broke at the shank",
                                    "burrs on the part, insert replaced"};
  static constexpr Remarks kHeat = {"spindle hot, coolant flow weak", "heat does not leave the housing",
                                    "coolant filter clogged"};
  static constexpr Remarks kPower = {"drive tripped on power", "motor stalled under load", "spindle drive fault reset"};
  static constexpr Remarks kStrain = {"spindle overloaded, chatter marks", "part pushed out of the clamp",
                                      "overstrain alarm on the feed"};
  const Remarks& remarks = failure == "tool"     ? kTool
                           : failure == "heat"   ? kHeat
                           : failure == "power"  ? kPower
                           : failure == "strain" ? kStrain
                                                 : kQuiet;
  return remarks[static_cast<std::size_t>(uniform() * 3)];
}

json::object MillingMachine::next() {
  ++sequence_;
  air_ = std::clamp(air_ + 0.3 * normal(), 295.0, 305.0);
  process_ = std::clamp(process_ + 0.2 * normal(), air_ + 7.5, air_ + 12.0);
  const double pick = uniform();
  const std::string grade = pick < 0.5 ? "L" : pick < 0.8 ? "M" : "H";
  const double torque = std::clamp(40 + 10 * normal(), 4.0, 77.0);
  // At about constant power a heavier cut is a slower one.
  const double speed =
      std::clamp(rounded(60 / (2 * std::numbers::pi) * 6600 / std::max(torque, 18.0) * 0.45 + 820 + 60 * normal(), 1),
                 1150.0, 2900.0);
  const double air = tenths(air_), process = tenths(process_), load = tenths(torque);
  const std::string failure = failure_of(grade, process - air, speed, load);
  json::object fields{{"sequence", sequence_},
                      {"machine", options_.machine},
                      {"grade", grade},
                      {"air_temperature", air},
                      {"process_temperature", process},
                      {"rotational_speed", static_cast<std::int64_t>(speed)},
                      {"torque", load},
                      {"tool_wear", static_cast<std::int64_t>(wear_)},
                      {"failure", failure.empty() ? 0 : 1},
                      {"failure_mode", failure.empty() ? "none" : failure}};
  json::object record{{"key", options_.machine + "-" + std::to_string(sequence_)},
                      {"event_time", platform::format_time(options_.start + std::chrono::minutes(sequence_ - 1))},
                      {"text", remark_of(failure)},
                      {"fields", std::move(fields)}};
  // A failed or worn tool is changed; otherwise the cut wears it down, harder grades faster.
  wear_ = failure == "tool" || failure == "strain" || wear_ > 240 ? 0
                                                                  : wear_ + (grade == "L"   ? 2
                                                                             : grade == "M" ? 3
                                                                                            : 5);
  return record;
}

}  // namespace connectors
