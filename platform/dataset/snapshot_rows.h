// First half of a snapshot: records become rows that are sorted, without duplicates and with their targets, cut into
// the units that will be examples. Used by build_snapshot alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "platform/dataset/render.h"
#include "platform/dataset/snapshot.h"

namespace platform {

/// Counts with the first few cases of each, for the report.
class CaseCounter {
 public:
  void add(const std::string& reason, json::object detail);
  /// {reason: {count, examples: [...]}}
  json::object to_json() const;

 private:
  struct Cases {
    std::int64_t count = 0;
    json::array examples;
  };
  std::map<std::string, Cases> cases_;
};

/// Rows [begin, end) of `Rows::records` that make one example.
struct Unit {
  std::size_t begin = 0, end = 0;
  bool regular = true;  // ends on the window's stride
  bool last = true;     // ends with its group's last row
  std::string label;
  std::optional<double> value;
  std::string completion;
};

struct Rows {
  std::vector<Observation> records;  // by source, group and order within windows, else by source and key
  std::vector<Unit> units;
  std::int64_t records_read = 0;
};

/// Records without a target, with bad quality or twice the same key are left out and counted in `dropped`.
Rows collect_rows(const Profile& profile, const NextObservation& next, CaseCounter& dropped);

}  // namespace platform
