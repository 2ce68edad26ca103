#include "platform/dataset/snapshot_report.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <unordered_map>

namespace platform {
namespace {

json::object spread_of(std::vector<double> values) {
  json::object out{{"count", static_cast<std::int64_t>(values.size())}};
  if (values.empty()) return out;
  std::sort(values.begin(), values.end());  // also fixes the order of the sums
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const double mean = sum / static_cast<double>(values.size());
  for (const double value : values) squares += (value - mean) * (value - mean);
  out["mean"] = mean;
  out["deviation"] = std::sqrt(squares / static_cast<double>(values.size()));
  out["minimum"] = values.front();
  out["maximum"] = values.back();
  json::object quantiles;
  for (const auto& [name, share] :
       {std::pair<const char*, double>{"0.05", 0.05}, {"0.25", 0.25}, {"0.5", 0.5}, {"0.75", 0.75}, {"0.95", 0.95}}) {
    quantiles[name] = values[static_cast<std::size_t>(std::floor(share * static_cast<double>(values.size() - 1)))];
  }
  out["quantiles"] = std::move(quantiles);
  return out;
}

json::object counts_of(const std::map<std::string, std::int64_t>& counts, std::size_t most = 200) {
  std::vector<std::pair<std::string, std::int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  if (sorted.size() > most) sorted.resize(most);
  json::object out;
  for (const auto& [name, count] : sorted) out[name] = count;
  return out;
}

json::object number_statistics(const std::string& name, const std::vector<Example>& examples) {
  std::vector<double> values;
  std::int64_t missing = 0;
  for (const Example& example : examples) {
    const auto found = example.numbers.find(name);
    if (found != example.numbers.end() && found->second)
      values.push_back(*found->second);
    else
      ++missing;
  }
  json::object out = spread_of(std::move(values));
  out["missing"] = missing;
  return out;
}

json::object signal_statistics(const std::string& name, const std::vector<Example>& examples) {
  std::vector<double> values;
  std::int64_t missing = 0;
  for (const Example& example : examples) {
    const auto found = example.signals.find(name);
    if (found == example.signals.end()) continue;
    for (const float value : found->second.values) {
      if (std::isfinite(value))
        values.push_back(value);
      else
        ++missing;
    }
  }
  json::object out = spread_of(std::move(values));
  out["missing"] = missing;
  return out;
}

json::object category_statistics(const std::string& name, const std::vector<Example>& examples) {
  std::map<std::string, std::int64_t> counts;
  std::int64_t missing = 0, present = 0;
  for (const Example& example : examples) {
    const auto found = example.categories.find(name);
    if (found != example.categories.end() && found->second)
      ++counts[*found->second], ++present;
    else
      ++missing;
  }
  return {{"count", present},
          {"missing", missing},
          {"distinct", static_cast<std::int64_t>(counts.size())},
          {"values", counts_of(counts, 50)}};
}

// Equal for equal numbers only.
std::string exactly(double value) {
  char buffer[40];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

// Everything that a model sees of an example, as one text.
std::string input_of(const Example& example) {
  Example bare = example;
  bare.id = bare.source = bare.group = bare.completion = {};
  bare.chosen.reset();
  bare.rejected.reset();
  bare.teacher.reset();
  bare.split = Split::kTrain;
  bare.label.reset();
  bare.value.reset();
  bare.labels.reset();
  bare.values.clear();
  bare.weight = 1;
  return canonical_json(to_json(bare));
}

json::object across_parts(const std::vector<Example>& examples, std::string (*key_of)(const Example&)) {
  std::unordered_map<std::string, const Example*> first;
  std::int64_t count = 0;
  json::array shown;
  for (const Example& example : examples) {
    const std::string key = key_of(example);
    if (key.empty()) continue;
    const auto [found, fresh] = first.emplace(key, &example);
    if (fresh || found->second->split == example.split) continue;
    ++count;
    if (shown.size() < 5) shown.push_back(json::array{found->second->id, example.id});
  }
  return {{"count", count}, {"examples", std::move(shown)}};
}

}  // namespace

json::object statistics_of(const Profile& profile, const std::vector<Example>& examples) {
  json::object fields;
  for (const Field& field : profile.fields) {
    json::object one;
    if (!examples.empty() && examples.front().numbers.contains(field.name))
      one = number_statistics(field.name, examples);
    else if (!examples.empty() && examples.front().signals.contains(field.name))
      one = signal_statistics(field.name, examples);
    else if (!examples.empty() && examples.front().categories.contains(field.name))
      one = category_statistics(field.name, examples);
    else
      continue;
    one["kind"] = to_string(field.kind);
    fields[field.name] = std::move(one);
  }
  std::map<std::string, std::int64_t> splits;
  std::map<std::string, std::map<std::string, std::int64_t>> labels;
  std::map<std::string, std::vector<double>> values;
  for (const Example& example : examples) {
    const std::string part(to_string(example.split));
    ++splits[part];
    if (example.label) ++labels[part][*example.label];
    if (example.value) values[part].push_back(*example.value);
  }
  json::object label_counts, targets;
  for (const auto& [part, counts] : labels) label_counts[part] = counts_of(counts);
  for (auto& [part, list] : values) targets[part] = spread_of(std::move(list));
  json::object out{{"examples", static_cast<std::int64_t>(examples.size())},
                   {"splits", counts_of(splits)},
                   {"fields", std::move(fields)}};
  if (!label_counts.empty()) out["labels"] = std::move(label_counts);
  if (!targets.empty()) out["target"] = std::move(targets);
  return out;
}

json::object schema_of(const Profile& profile) {
  json::object whole = to_json(profile).get_object();
  json::object out{{"profile", profile.name},
                   {"task", to_string(profile.target.task)},
                   {"prompt", profile.prompt},
                   {"fields", whole["fields"]}};
  if (!profile.target.labels.empty()) out["labels"] = to_json(profile.target.labels);
  if (!profile.target.positive.empty()) out["positive"] = profile.target.positive;
  return out;
}

std::set<std::string> constant_slots(const std::vector<Example>& examples) {
  std::map<std::string, std::set<std::string>> seen;  // at most two values of each slot are kept
  const auto note = [&](const std::string& name, const std::string& value) {
    if (auto& values = seen[name]; values.size() < 2) values.insert(value);
  };
  for (const Example& example : examples) {
    if (example.split != Split::kTrain) continue;
    for (const auto& [name, value] : example.numbers) note(name, value ? exactly(*value) : "");
    for (const auto& [name, value] : example.categories) note(name, value.value_or(""));
    for (const auto& [name, signal] : example.signals) {
      for (const float value : signal.values) note(name, exactly(static_cast<double>(value)));
    }
  }
  std::set<std::string> constant;
  for (const auto& [name, values] : seen) {
    if (values.size() < 2) constant.insert(name);
  }
  return constant;
}

json::object duplicates_across_parts(const std::vector<Example>& examples) { return across_parts(examples, input_of); }

json::object groups_across_parts(const std::vector<Example>& examples) {
  return across_parts(examples, [](const Example& example) { return example.group; });
}

json::object class_balance(const std::vector<Example>& examples) {
  std::map<std::string, std::map<std::string, std::int64_t>> counts;
  std::map<std::string, std::int64_t> totals;
  for (const Example& example : examples) {
    if (!example.label) continue;
    ++counts[std::string(to_string(example.split))][*example.label];
    ++totals[std::string(to_string(example.split))];
  }
  json::object out;
  for (const auto& [part, labels] : counts) {
    json::object one;
    for (const auto& [label, count] : labels) {
      one[label] =
          json::object{{"count", count}, {"share", static_cast<double>(count) / static_cast<double>(totals[part])}};
    }
    out[part] = std::move(one);
  }
  return out;
}

json::object sizes_of(const std::vector<Example>& examples) {
  std::vector<double> prompt, answer, slots;
  for (const Example& example : examples) {
    prompt.push_back(static_cast<double>(example.prompt.size() + example.text.size()));
    if (!example.label && !example.value)
      answer.push_back(static_cast<double>(example.completion.size() + example.text.size()));
    slots.push_back(static_cast<double>(example.numbers.size() + example.categories.size() + example.signals.size()));
  }
  const auto brief = [](std::vector<double> values) {
    const json::object all = spread_of(std::move(values));
    return json::object{{"minimum", all.at("minimum")}, {"mean", all.at("mean")}, {"maximum", all.at("maximum")}};
  };
  if (examples.empty()) return {};
  json::object out{{"prompt_bytes", brief(prompt)}, {"slots", brief(slots)}};
  if (!answer.empty()) out["answer_bytes"] = brief(answer);
  return out;
}

json::array warnings_of(const Profile& profile, const std::vector<Example>& examples, const json::object& report) {
  json::array out;
  std::map<Split, std::int64_t> parts;
  std::map<std::string, std::int64_t> train_labels, other_labels;
  for (const Example& example : examples) {
    ++parts[example.split];
    if (example.label) ++(example.split == Split::kTrain ? train_labels : other_labels)[*example.label];
  }
  const auto warn = [&](std::string sentence) { out.emplace_back(std::move(sentence)); };
  if (parts[Split::kTest] == 0) warn("there is no test part: nothing can be said about the quality of a model");
  if (parts[Split::kValidation] == 0) warn("there is no validation part: training cannot stop at its best checkpoint");
  if (parts[Split::kTrain] < 50) warn("the train part has only " + std::to_string(parts[Split::kTrain]) + " examples");
  for (const auto& [label, count] : other_labels) {
    if (!train_labels.contains(label)) warn("the label '" + label + "' never stands in the train part");
  }
  if (profile.target.task == TargetTask::kClassify && train_labels.size() < 2)
    warn("the train part has fewer than two classes");
  const auto count_of = [&](const char* key) { return report.at(key).as_object().at("count").as_int64(); };
  if (count_of("duplicates_across_parts") > 0)
    warn(std::to_string(count_of("duplicates_across_parts")) + " examples stand in two parts with the same input");
  if (count_of("groups_across_parts") > 0) warn("a group stands on two sides of the split; use by: group");
  for (const json::value& name : report.at("constant").as_array())
    warn("the field '" + std::string(name.as_string()) + "' never varies in the train part");
  return out;
}

}  // namespace platform
