// A milling machine that does not exist: readings of speed, torque, temperatures and tool wear that depend on each
// other as in a real one, failures that follow from them by rules, and the remarks of a maintenance crew. Record n of a
// seed is the same on every machine. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace connectors {

struct MillingOptions {
  std::uint64_t seed = 1;
  std::string machine = "mill-3";
  platform::Time start{};  // of record 1; one record a minute
};

class MillingMachine {
 public:
  explicit MillingMachine(MillingOptions options = {});

  /// {key, event_time, text, fields: {sequence, machine, grade, air_temperature, process_temperature, rotational_speed,
  /// torque, tool_wear, failure, failure_mode}} of the next cycle. failure is 1 by one of these rules, else 0:
  /// tool (wear past 200 min), heat (temperatures closer than 8.6 K below 1380 rpm), power (below 3500 or above 9000
  /// W), strain (wear x torque above 11000, 12000 or 13000 min Nm for grades L, M and H).
  platform::json::object next();
  std::int64_t sequence() const { return sequence_; }

 private:
  double uniform();  // [0, 1)
  double normal();
  std::string failure_of(const std::string& grade, double process_minus_air, double speed, double torque) const;
  std::string remark_of(const std::string& failure);

  MillingOptions options_;
  std::uint64_t state_;
  std::int64_t sequence_ = 0;
  double air_ = 300, process_ = 310, wear_ = 0;
};

}  // namespace connectors
