#include "finetune/adapter/side_features.h"

#include <algorithm>
#include <cmath>

namespace finetune {
namespace {

using Kind = SensorField::Kind;

// Of a longer signal its end, which is what is known last.
constexpr std::int64_t kMostSamples = 512;
// A category of more values (part numbers, names) has no columns: each would be seen a few times, and rows would be
// long.
constexpr std::size_t kMostCategories = 256;

std::int64_t samples_of(const SensorField& field) { return std::min(field.length, kMostSamples); }

std::int64_t width_of(const SensorField& field) {
  if (field.kind == Kind::kCategory)
    return field.values.size() > kMostCategories ? 0 : static_cast<std::int64_t>(field.values.size());
  if (field.kind == Kind::kSignal) return samples_of(field) + 1;
  return 2 + std::max<std::int64_t>(0, static_cast<std::int64_t>(field.edges.size()) - 1);
}

void write_number(const SensorField& field, const std::optional<double>& value, float* row) {
  if (!value || !std::isfinite(*value)) {
    row[0] = 1;
    return;
  }
  const double standard = standardised(field, *value);
  row[1] = static_cast<float>(standard);
  const std::vector<float> steps = quantile_steps(field, standard);
  std::copy(steps.begin(), steps.end(), row + 2);
}

void write_category(const SensorField& field, const std::optional<std::string>& value, float* row) {
  if (!value || width_of(field) == 0) return;
  const auto found = std::lower_bound(field.values.begin(), field.values.end(), *value);
  if (found != field.values.end() && *found == *value) row[found - field.values.begin()] = 1;
}

void write_signal(const SensorField& field, const std::vector<float>& samples, float* row) {
  const std::int64_t room = samples_of(field), given = static_cast<std::int64_t>(samples.size());
  std::int64_t known = 0;
  for (std::int64_t i = 0; i < std::min(room, given); ++i) {
    const auto sample = static_cast<double>(samples[static_cast<std::size_t>(given - 1 - i)]);
    if (!std::isfinite(sample)) continue;
    row[room - 1 - i] = static_cast<float>(standardised(field, sample));
    ++known;
  }
  row[room] = 1.0f - static_cast<float>(known) / static_cast<float>(std::max<std::int64_t>(1, room));
}

}  // namespace

std::int64_t side_width(const SensorSchema& schema) {
  std::int64_t width = 0;
  for (const SensorField& field : schema.fields) width += width_of(field);
  return width;
}

std::vector<std::int32_t> tree_columns(const SensorSchema& schema, std::int64_t most) {
  std::vector<std::int32_t> values, missing, kept;
  std::int64_t begin = 0;
  for (const SensorField& field : schema.fields) {
    const std::int64_t width = width_of(field);
    const auto place = static_cast<std::int32_t>(begin);
    const auto end = static_cast<std::int32_t>(begin + width);
    begin += width;
    if (field.kind == Kind::kNumber) {
      missing.push_back(place);
      values.push_back(place + 1);
      continue;
    }
    const bool signal = field.kind == Kind::kSignal;
    for (std::int32_t i = place; i < end - (signal ? 1 : 0); ++i) values.push_back(i);
    if (signal) missing.push_back(end - 1);
  }
  const auto count = static_cast<std::int64_t>(values.size());
  for (std::int64_t i = 0; i < std::min(most, count); ++i)
    kept.push_back(values[static_cast<std::size_t>(count <= most ? i : i * count / most)]);
  for (std::size_t i = 0; i < missing.size() && static_cast<std::int64_t>(kept.size()) < most; ++i)
    kept.push_back(missing[i]);
  return kept;
}

SideInput side_input(const SensorSchema& schema, const platform::Example& example) {
  SideInput input;
  input.dense.assign(static_cast<std::size_t>(side_width(schema)), 0.0f);
  float* row = input.dense.data();
  for (const SensorField& field : schema.fields) {
    if (field.kind == Kind::kNumber) write_number(field, number_of(example, field.name), row);
    if (field.kind == Kind::kCategory) write_category(field, category_of(example, field.name), row);
    if (field.kind == Kind::kSignal) write_signal(field, signal_of(example, field.name).values, row);
    row += width_of(field);
  }
  if (!schema.wording.empty()) input.text = schema.wording.weights(wording_of(example));
  return input;
}

}  // namespace finetune
