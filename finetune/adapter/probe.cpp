#include "finetune/adapter/probe.h"

#include <cmath>
#include <cstdio>

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using Rows = std::vector<std::vector<float>>;

Rows run(kernels::Context& context, AdaptedModel& model, const EncodingRules& rules,
         const std::vector<platform::Example>& examples, bool adapted) {
  std::vector<EncodedExample> encoded;
  for (const platform::Example& example : examples) encoded.push_back(encode_example(rules, example, true));
  std::vector<const EncodedExample*> batch;
  for (const EncodedExample& example : encoded) batch.push_back(&example);
  model.set_adapter_active(adapted);
  Rows rows = model.outputs(context, batch);
  model.set_adapter_active(true);
  return rows;
}

// An adapter that answers with no numbers is none.
const Rows& finite(const Rows& rows, const std::vector<platform::Example>& examples) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const float value : rows[i]) {
      if (std::isfinite(value)) continue;
      throw Error(ErrorCode::kInvalidInput,
                  "the trained adapter answers example " + examples[i].id + " with " + std::to_string(value) +
                      ", which is no finite number; lower learning_rate or alpha, and train again",
                  "learning_rate");
    }
  }
  return rows;
}

json::array rows_to_json(const Rows& rows) {
  json::array all;
  for (const auto& row : rows) {
    json::array values;
    for (const float value : row) values.emplace_back(static_cast<double>(value));
    all.emplace_back(std::move(values));
  }
  return all;
}

Rows rows_from_json(const json::value& value) {
  Rows rows;
  for (const json::value& row : platform::as_array(value, "probe")) {
    rows.emplace_back();
    for (const json::value& item : platform::as_array(row, "probe")) {
      if (!item.is_number()) throw Error(ErrorCode::kCorrupt, "anneal.json: an output of the probe is no number");
      rows.back().push_back(item.to_number<float>());
    }
  }
  return rows;
}

// Largest difference over the largest reference; infinity where the shapes differ.
double relative_difference(const Rows& reference, const Rows& other) {
  if (reference.size() != other.size()) return INFINITY;
  double largest = 1e-6, difference = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    if (reference[i].size() != other[i].size()) return INFINITY;
    for (std::size_t k = 0; k < reference[i].size(); ++k) {
      largest = std::max(largest, static_cast<double>(std::fabs(reference[i][k])));
      const double gap = static_cast<double>(std::fabs(reference[i][k] - other[i][k]));
      difference = std::isfinite(gap) ? std::max(difference, gap) : INFINITY;
    }
  }
  return difference / largest;
}

std::string in_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", value);
  return text;
}

std::vector<platform::Example> examples_of(const json::object& probe) {
  std::vector<platform::Example> examples;
  for (const json::value& item : platform::as_array(platform::require(probe, "examples", "probe"), "probe.examples"))
    examples.push_back(platform::example_from_json(item));
  if (examples.empty()) throw Error(ErrorCode::kCorrupt, "anneal.json: the probe has no example");
  return examples;
}

}  // namespace

json::value record_probe(kernels::Context& context, AdaptedModel& model, const EncodingRules& rules,
                         const std::vector<platform::Example>& examples) {
  json::array inputs;
  for (const platform::Example& example : examples) inputs.push_back(platform::to_json(example));
  return json::object{{"examples", inputs},
                      {"outputs", rows_to_json(finite(run(context, model, rules, examples, true), examples))},
                      {"without_adapter", rows_to_json(run(context, model, rules, examples, false))}};
}

double recorded_effect(const json::value& probe) {
  const json::object& object = platform::as_object(probe, "probe");
  return relative_difference(rows_from_json(platform::require(object, "outputs", "probe")),
                             rows_from_json(platform::require(object, "without_adapter", "probe")));
}

void verify_probe(kernels::Context& context, AdaptedModel& model, const EncodingRules& rules, const json::value& probe,
                  double tolerance) {
  const json::object& object = platform::as_object(probe, "probe");
  const std::vector<platform::Example> examples = examples_of(object);
  const Rows expected = rows_from_json(platform::require(object, "outputs", "probe"));
  const double effect = recorded_effect(probe);
  const double difference = relative_difference(expected, run(context, model, rules, examples, true));
  if (!(difference <= tolerance)) {
    throw Error(ErrorCode::kConflict, "the adapter's probe does not reproduce: outputs differ by " +
                                          in_digits(difference) + " of their size, allowed " + in_digits(tolerance) +
                                          "; check base, adapter and build");
  }
  if (!(effect >= kLeastEffect && effect > 3 * difference)) {
    throw Error(ErrorCode::kConflict, "the adapter does not act: with and without it the outputs differ by only " +
                                          in_digits(effect) + " of their size, and " + in_digits(difference) +
                                          " is what they differ by from those of its training; train longer");
  }
}

void verify_bare(kernels::Context& context, AdaptedModel& model, const EncodingRules& rules, const json::value& probe,
                 double tolerance) {
  const json::object& object = platform::as_object(probe, "probe");
  const Rows expected = rows_from_json(platform::require(object, "without_adapter", "probe"));
  const double difference = relative_difference(expected, run(context, model, rules, examples_of(object), false));
  if (difference <= tolerance) return;
  throw Error(ErrorCode::kConflict, "the model is not the adapter's base: its answers to the probe differ by " +
                                        in_digits(difference) + " of their size, allowed " + in_digits(tolerance) +
                                        "; check that this adapter was merged into it");
}

}  // namespace finetune
