// SensorSchema: which slots the prompts of an adapter have, and the statistics of the training part that turn a raw
// value, or the wording of a text, into features. It travels in the manifest, so that a value is encoded at the plant
// exactly as in training. Plain value.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "finetune/text/text_features.h"
#include "platform/base/json.h"
#include "platform/dataset/example.h"

namespace finetune {

/// N-grams of the largest wording.
inline constexpr std::size_t kMostNgrams = 65536;

struct SensorField {
  enum class Kind { kNumber, kCategory, kSignal };
  Kind kind = Kind::kNumber;
  std::string name;
  double mean = 0;                  // number and signal: of the training part
  double deviation = 1;             // never 0
  std::vector<std::string> values;  // category: sorted; an unseen value gets an embedding of its own
  std::vector<float> edges;         // number: inner quantiles of the training part, in standardised units
  std::int64_t length = 0;          // signal: samples of the training part's longest
};

struct SensorSchema {
  std::vector<SensorField> fields;  // in the order of first use
  std::int64_t patch_size = 32;
  TextFeatures wording;  // of the examples' text, slots left out; empty where it does not differ or is not read

  bool empty() const { return fields.empty(); }
  /// Index of a field. Throws kInvalidInput if the training data had no such slot.
  std::size_t index_of(SensorField::Kind kind, const std::string& name) const;
  /// Throws kCorrupt naming the first field with statistics that learning cannot give (a deviation of 0, edges that do
  /// not rise, unsorted values, a name that stands twice) or a patch size out of range.
  void validate() const;
};

/// What one slot holds: which field, and its features (numbers, signals) or its row (categories).
struct SlotValue {
  std::int32_t field = 0;
  bool missing = false;
  std::int32_t row = 0;
  std::vector<float> features;
};

/// The deviation to divide by: 1 where the values do not differ beyond rounding, in whatever unit they are.
double usable_deviation(double mean, double deviation);
/// Collects the slots of these prompts and their statistics. Missing values and NaN samples do not count.
SensorSchema learn_sensor_schema(const std::vector<const platform::Example*>& examples, std::int64_t patch_size);
/// Learns the schema's `wording` from these examples, with at most `limit` n-grams. Throws kCancelled when
/// `should_stop` says so.
void learn_wording(SensorSchema& schema, const std::vector<const platform::Example*>& examples, std::int64_t limit,
                   const std::function<bool()>& should_stop = {});
/// All that an example says in words.
std::string wording_of(const platform::Example& example);
/// What the example's number, signal or category of a slot holds. Throws kInvalidInput when it has no such field.
const std::optional<double>& number_of(const platform::Example& example, const std::string& name);
const std::optional<std::string>& category_of(const platform::Example& example, const std::string& name);
const platform::Signal& signal_of(const platform::Example& example, const std::string& name);
/// A value as the encoders see it: standardised, within 8 deviations.
double standardised(const SensorField& field, double value);
/// Where a standardised number lies between the quantiles: one step in [0, 1] a quantile bin (piecewise linear
/// encoding, Gorishniy et al. 2022).
std::vector<float> quantile_steps(const SensorField& field, double standard);
/// The slot values of one prompt part: 1 for a number or category, ceil(length / patch) for a signal (at least 1).
/// Throws kInvalidInput when the example has no such field.
std::vector<SlotValue> slot_values(const SensorSchema& schema, const platform::PromptPart& part,
                                   const platform::Example& example);
/// Features of a field's slot: value, quantile steps and periodic features for a number; samples and their scale for a
/// signal.
std::int64_t feature_count(const SensorSchema& schema, const SensorField& field);

platform::json::value to_json(const SensorSchema& schema);
/// Validated.
SensorSchema sensor_schema_from_json(const platform::json::value& value);

}  // namespace finetune
