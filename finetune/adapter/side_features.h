// What a SideNetwork reads of an example: its fields as one row of numbers, and its wording. The layout follows from
// the schema. Pure functions; any thread.
//   number:   1 when missing, the standardised value, its quantile steps
//   category: one column a value of the training part; none where there are more than 256
//   signal:   its last samples, standardised, a missing one as 0; the share of missing ones
#pragma once

#include <cstdint>
#include <vector>

#include "finetune/adapter/sensor_schema.h"

namespace finetune {

struct SideInput {
  std::vector<float> dense;  // side_width() of them; empty where nobody asked
  TextWeights text;
};

/// Columns of a row.
std::int64_t side_width(const SensorSchema& schema);
/// The columns that a tree reads: all but the quantile steps, which say nothing that a threshold on the value does not;
/// values first, then what says that one is missing; of
/// more values than `most` as many, evenly spread.
std::vector<std::int32_t> tree_columns(const SensorSchema& schema, std::int64_t most);
/// Throws kInvalidInput when the example lacks a field of the schema.
SideInput side_input(const SensorSchema& schema, const platform::Example& example);

}  // namespace finetune
