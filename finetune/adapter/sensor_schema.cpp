#include "finetune/adapter/sensor_schema.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numbers>
#include <set>
#include <stdexcept>

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using Kind = SensorField::Kind;

constexpr std::size_t kQuantiles = 24;
constexpr int kFrequencies = 8;
constexpr double kLargestStandardised = 8.0;
constexpr std::int64_t kLargestPatch = 4096;
constexpr std::int64_t kPatchExtras = 3;  // mean, spread, missing share

std::string_view name_of(Kind kind) {
  return kind == Kind::kNumber ? "number" : kind == Kind::kCategory ? "category" : "signal";
}

Kind kind_from(std::string_view name) {
  for (const Kind kind : {Kind::kNumber, Kind::kCategory, Kind::kSignal}) {
    if (name_of(kind) == name) return kind;
  }
  throw Error(ErrorCode::kCorrupt, "unknown slot kind: " + std::string(name));
}

bool is_slot(const platform::PromptPart& part) {
  return part.kind == platform::PromptPart::Kind::kNumber || part.kind == platform::PromptPart::Kind::kCategory ||
         part.kind == platform::PromptPart::Kind::kSignal;
}

Kind kind_of(const platform::PromptPart& part) {
  if (part.kind == platform::PromptPart::Kind::kNumber) return Kind::kNumber;
  return part.kind == platform::PromptPart::Kind::kCategory ? Kind::kCategory : Kind::kSignal;
}

template <typename Map>
const typename Map::mapped_type& field_of(const Map& map, const std::string& name, const platform::Example& example) {
  const auto found = map.find(name);
  if (found != map.end()) return found->second;
  throw Error(ErrorCode::kInvalidInput,
              "the prompt has a slot for \"" + name + "\" but the example " + example.id + " lacks that field", name);
}

void measure(SensorField& field, std::vector<double>& values) {
  if (values.empty()) return;
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  field.mean = sum / static_cast<double>(values.size());
  for (const double value : values) squares += (value - field.mean) * (value - field.mean);
  field.deviation = usable_deviation(field.mean, std::sqrt(squares / static_cast<double>(values.size())));
  if (field.kind != Kind::kNumber) return;
  std::sort(values.begin(), values.end());
  for (std::size_t i = 0; i <= kQuantiles; ++i) {
    const double value = values[(values.size() - 1) * i / kQuantiles];
    const auto edge = static_cast<float>((value - field.mean) / field.deviation);
    if (field.edges.empty() || edge > field.edges.back() + 1e-5f) field.edges.push_back(edge);
  }
}

void collect(SensorField& field, const platform::Example& example, std::vector<double>& values,
             std::set<std::string>& names) {
  if (field.kind == Kind::kNumber) {
    const auto& value = field_of(example.numbers, field.name, example);
    if (value && std::isfinite(*value)) values.push_back(*value);
  } else if (field.kind == Kind::kCategory) {
    const auto& value = field_of(example.categories, field.name, example);
    if (value) names.insert(*value);
  } else {
    const std::vector<float>& samples = field_of(example.signals, field.name, example).values;
    field.length = std::max(field.length, static_cast<std::int64_t>(samples.size()));
    for (const float sample : samples) {
      if (std::isfinite(sample)) values.push_back(static_cast<double>(sample));
    }
  }
}

// Where the value lies between the quantiles (one step a quantile bin), beside the value itself and a few slow waves.
std::vector<float> number_features(const SensorField& field, double value) {
  const double standard = standardised(field, value);
  std::vector<float> features{static_cast<float>(standard)};
  for (const float step : quantile_steps(field, standard)) features.push_back(step);
  for (int i = 0; i < kFrequencies; ++i) {
    const double angle = 2.0 * std::numbers::pi * standard * std::pow(2.0, 0.5 * i - 3.0);
    features.push_back(static_cast<float>(std::sin(angle)));
    features.push_back(static_cast<float>(std::cos(angle)));
  }
  return features;
}

std::vector<float> patch_features(const SensorSchema& schema, const SensorField& field,
                                  const std::vector<float>& values, std::size_t begin) {
  const auto length = static_cast<std::size_t>(schema.patch_size);
  std::vector<float> features(length + static_cast<std::size_t>(kPatchExtras), 0.0f);
  double sum = 0, squares = 0, count = 0;
  for (std::size_t i = 0; i < length; ++i) {
    if (begin + i >= values.size() || !std::isfinite(values[begin + i])) continue;
    const double standard = standardised(field, static_cast<double>(values[begin + i]));
    features[i] = static_cast<float>(standard);
    sum += standard;
    squares += standard * standard;
    ++count;
  }
  const double mean = count > 0 ? sum / count : 0;
  features[length] = static_cast<float>(mean);
  features[length + 1] = static_cast<float>(count > 0 ? std::sqrt(std::max(0.0, squares / count - mean * mean)) : 0);
  features[length + 2] = static_cast<float>(1.0 - count / static_cast<double>(length));
  return features;
}

}  // namespace

std::size_t SensorSchema::index_of(SensorField::Kind kind, const std::string& name) const {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].kind == kind && fields[i].name == name) return i;
  }
  throw Error(ErrorCode::kInvalidInput,
              "the adapter was not trained with a slot for " + std::string(name_of(kind)) + " \"" + name + "\"", name);
}

double standardised(const SensorField& field, double value) {
  return std::clamp((value - field.mean) / field.deviation, -kLargestStandardised, kLargestStandardised);
}

std::vector<float> quantile_steps(const SensorField& field, double standard) {
  std::vector<float> steps;
  for (std::size_t i = 0; i + 1 < field.edges.size(); ++i) {
    const double low = static_cast<double>(field.edges[i]);
    const double high = static_cast<double>(field.edges[i + 1]);
    steps.push_back(static_cast<float>(std::clamp((standard - low) / (high - low), 0.0, 1.0)));
  }
  return steps;
}

const std::optional<double>& number_of(const platform::Example& example, const std::string& name) {
  return field_of(example.numbers, name, example);
}

const std::optional<std::string>& category_of(const platform::Example& example, const std::string& name) {
  return field_of(example.categories, name, example);
}

const platform::Signal& signal_of(const platform::Example& example, const std::string& name) {
  return field_of(example.signals, name, example);
}

std::string wording_of(const platform::Example& example) {
  std::string text = example.text;
  for (const platform::Message& message : example.messages) text += message.content + "\n";
  for (const platform::PromptPart& part : platform::prompt_parts(example)) {
    if (part.kind == platform::PromptPart::Kind::kText) text += part.text;
  }
  return text;
}

void learn_wording(SensorSchema& schema, const std::vector<const platform::Example*>& examples, std::int64_t limit,
                   const std::function<bool()>& should_stop) {
  std::vector<std::string> texts;
  for (const platform::Example* example : examples) texts.push_back(wording_of(*example));
  schema.wording = TextFeatures::learn(texts, static_cast<std::size_t>(limit), {.should_stop = should_stop});
}

double usable_deviation(double mean, double deviation) {
  return std::isfinite(deviation) && deviation > 1e-12 * std::fabs(mean) ? deviation : 1.0;
}

void SensorSchema::validate() const {
  if (patch_size < 1 || patch_size > kLargestPatch) {
    throw Error(ErrorCode::kCorrupt, "sensors: patch_size must be between 1 and " + std::to_string(kLargestPatch) +
                                         ", not " + std::to_string(patch_size) + "; fetch the adapter again");
  }
  std::set<std::pair<Kind, std::string>> names;
  for (const SensorField& field : fields) {
    const auto check = [&](bool good, const std::string& what) {
      if (!good) throw Error(ErrorCode::kCorrupt, "sensors: " + field.name + " " + what + "; fetch the adapter again");
    };
    check(names.emplace(field.kind, field.name).second, "stands twice");
    check(std::isfinite(field.mean) && std::isfinite(field.deviation) && field.deviation > 0,
          "needs a mean and a positive deviation");
    check(std::adjacent_find(field.values.begin(), field.values.end(), std::greater_equal<>()) == field.values.end(),
          "has values that are not sorted or not different");
    check(field.length >= 0, "has a negative length");
    check(field.edges.size() <= kQuantiles + 1, "has more edges than there are quantiles");
    for (std::size_t i = 0; i < field.edges.size(); ++i) {
      check(std::isfinite(field.edges[i]) && (i == 0 || field.edges[i] > field.edges[i - 1]),
            "has edges that do not rise");
    }
  }
}

SensorSchema learn_sensor_schema(const std::vector<const platform::Example*>& examples, std::int64_t patch_size) {
  SensorSchema schema;
  schema.patch_size = patch_size;
  std::map<std::pair<Kind, std::string>, std::size_t> known;
  std::vector<std::vector<double>> values;
  std::vector<std::set<std::string>> names;
  for (const platform::Example* example : examples) {
    for (const platform::PromptPart& part : platform::prompt_parts(*example)) {
      if (!is_slot(part)) continue;
      const auto [at, fresh] = known.try_emplace({kind_of(part), part.text}, schema.fields.size());
      if (fresh) {
        schema.fields.push_back({});
        schema.fields.back().kind = kind_of(part);
        schema.fields.back().name = part.text;
        values.emplace_back();
        names.emplace_back();
      }
      collect(schema.fields[at->second], *example, values[at->second], names[at->second]);
    }
  }
  for (std::size_t i = 0; i < schema.fields.size(); ++i) {
    measure(schema.fields[i], values[i]);
    schema.fields[i].values.assign(names[i].begin(), names[i].end());
  }
  return schema;
}

std::int64_t feature_count(const SensorSchema& schema, const SensorField& field) {
  if (field.kind == Kind::kSignal) return schema.patch_size + kPatchExtras;
  if (field.kind == Kind::kCategory) return 0;
  return 1 + std::max<std::int64_t>(0, static_cast<std::int64_t>(field.edges.size()) - 1) + 2 * kFrequencies;
}

std::vector<SlotValue> slot_values(const SensorSchema& schema, const platform::PromptPart& part,
                                   const platform::Example& example) {
  const std::size_t index = schema.index_of(kind_of(part), part.text);
  const SensorField& field = schema.fields[index];
  SlotValue slot;
  slot.field = static_cast<std::int32_t>(index);
  if (field.kind == Kind::kNumber) {
    const auto& value = field_of(example.numbers, field.name, example);
    slot.missing = !value || !std::isfinite(*value);
    if (!slot.missing) slot.features = number_features(field, *value);
    return {slot};
  }
  if (field.kind == Kind::kCategory) {
    const auto& value = field_of(example.categories, field.name, example);
    slot.missing = !value;
    const auto found = value ? std::lower_bound(field.values.begin(), field.values.end(), *value) : field.values.end();
    const bool seen = found != field.values.end() && *found == *value;
    slot.row = static_cast<std::int32_t>(seen ? found - field.values.begin()
                                              : static_cast<std::ptrdiff_t>(field.values.size()));
    return {slot};
  }
  const std::vector<float>& samples = field_of(example.signals, field.name, example).values;
  slot.missing = samples.empty();
  if (slot.missing) return {slot};
  std::vector<SlotValue> slots;
  for (std::size_t begin = 0; begin < samples.size(); begin += static_cast<std::size_t>(schema.patch_size)) {
    slot.features = patch_features(schema, field, samples, begin);
    slots.push_back(slot);
  }
  return slots;
}

namespace {

std::vector<float> numbers_from(const json::value& list, const std::string& what) {
  std::vector<float> numbers;
  for (const json::value& each : platform::as_array(list, what)) {
    if (!each.is_number()) throw Error(ErrorCode::kCorrupt, "sensors: one of the " + what + " is no number");
    numbers.push_back(each.to_number<float>());
  }
  return numbers;
}

TextFeatures wording_from(std::vector<std::string> ngrams, std::vector<float> idf) {
  if (ngrams.size() > kMostNgrams) {
    throw Error(ErrorCode::kCorrupt, "sensors: " + std::to_string(ngrams.size()) + " n-grams, where at most " +
                                         std::to_string(kMostNgrams) + " are learned; fetch the adapter again");
  }
  try {
    return {std::move(ngrams), std::move(idf)};
  } catch (const std::invalid_argument& error) {
    throw Error(ErrorCode::kCorrupt, std::string("sensors: ") + error.what() + "; fetch the adapter again");
  }
}

}  // namespace

json::value to_json(const SensorSchema& schema) {
  json::array fields;
  for (const SensorField& field : schema.fields) {
    json::array edges;
    for (const float edge : field.edges) edges.emplace_back(static_cast<double>(edge));
    fields.push_back(json::object{{"kind", name_of(field.kind)},
                                  {"name", field.name},
                                  {"mean", field.mean},
                                  {"deviation", field.deviation},
                                  {"values", platform::to_json(field.values)},
                                  {"edges", edges},
                                  {"length", field.length}});
  }
  json::array idf;
  for (const float each : schema.wording.idf()) idf.emplace_back(static_cast<double>(each));
  return json::object{{"patch_size", schema.patch_size},
                      {"fields", fields},
                      {"ngrams", platform::to_json(schema.wording.ngrams())},
                      {"idf", idf}};
}

SensorSchema sensor_schema_from_json(const json::value& value) {
  SensorSchema schema;
  if (value.is_null()) return schema;
  const json::object& object = platform::as_object(value, "sensors");
  schema.patch_size = platform::require_int(object, "patch_size", "sensors");
  for (const json::value& item : platform::as_array(platform::require(object, "fields", "sensors"), "sensors.fields")) {
    const json::object& entry = platform::as_object(item, "sensors.fields");
    SensorField field;
    field.kind = kind_from(platform::require_string(entry, "kind", "sensors.fields"));
    field.name = platform::require_string(entry, "name", "sensors.fields");
    field.mean = platform::require_number(entry, "mean", "sensors.fields");
    field.deviation = platform::require_number(entry, "deviation", "sensors.fields");
    field.values = platform::strings_from(platform::require(entry, "values", "sensors.fields"), "values");
    field.edges = numbers_from(platform::require(entry, "edges", "sensors.fields"), "edges");
    field.length = platform::int_or(entry, "length", 0, "sensors.fields");
    schema.fields.push_back(std::move(field));
  }
  if (const json::value* ngrams = platform::find(object, "ngrams"))
    schema.wording = wording_from(platform::strings_from(*ngrams, "ngrams"),
                                  numbers_from(platform::require(object, "idf", "sensors"), "idf"));
  schema.validate();
  return schema;
}

}  // namespace finetune
