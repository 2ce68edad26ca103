// A snapshot: the examples that a profile and a split rule make of a set of records, with everything that a dataset
// version keeps: bytes and their hash, schema, statistics and the pre-flight report. The same records give the same
// bytes, in whatever order they arrive. Pure; any thread. Holds all examples in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "platform/base/json.h"
#include "platform/dataset/observation.h"
#include "platform/dataset/profile.h"
#include "platform/dataset/split.h"

namespace platform {

/// Puts the next record into its argument; false at the end. Records of all sources of the snapshot, in any order.
using NextObservation = std::function<bool(Observation&)>;

struct SnapshotResult {
  Profile
      profile;  // as used, with labels, prompt and dropped fields settled: this one belongs into the adapter's manifest
  SplitRule split;
  std::vector<Example> examples;  // sorted by (source, key)
  std::string lines;              // one canonical JSON line an example; what the version stores
  std::string content_hash;       // "sha256:..." of `lines`, `schema` and `split` together
  json::object schema;            // {task, labels, fields: [{name, kind, unit, ...}], prompt}
  json::object statistics;  // {records, examples, splits: {train: n, ...}, labels: {train: {a: 1}}, fields: {x: {count,
                            // missing, mean, ...}}, target}
  json::object report;      // {records, examples, dropped, problems, warnings, class_balance, duplicates_across_parts,
                            // groups_across_parts, constant, sizes}
};

/// `rule` wins over the profile's; with neither, groups are split 70/10/20. Throws kInvalidInput if no example is left
/// (the message says why the records were dropped), if the train part is empty, or if a rule by group or hash would put
/// windows of one group, which share rows, into two parts.
SnapshotResult build_snapshot(const Profile& profile, const NextObservation& next,
                              const std::optional<SplitRule>& rule = std::nullopt);
/// Over records in memory.
SnapshotResult build_snapshot(const Profile& profile, const std::vector<Observation>& records,
                              const std::optional<SplitRule>& rule = std::nullopt);

}  // namespace platform
