#include <algorithm>
#include <cstdlib>

#include "finetune/bases/corpus_documents.h"

namespace finetune {
namespace {

struct Signal {
  std::string name;
  std::string unit;
  double low;
  double high;
};

Signal pick_signal(const Grammar& grammar, Random& random) {
  const std::string row = grammar.pick(random.chance(0.4) ? "signal" : "machine_signal", random);
  const std::size_t first = row.find(';');
  const std::size_t second = row.find(';', first + 1);
  const std::size_t third = row.find(';', second + 1);
  return {row.substr(0, first), row.substr(first + 1, second - first - 1),
          std::strtod(row.c_str() + second + 1, nullptr), std::strtod(row.c_str() + third + 1, nullptr)};
}

double sample(const Signal& signal, Random& random) {
  return signal.low + (signal.high - signal.low) * random.uniform();
}

int decimals_of(const Signal& signal) { return signal.high - signal.low > 100 ? 0 : 1; }

std::string key_of(std::string name, char gap) {
  std::replace(name.begin(), name.end(), ' ', gap);
  return name;
}

// Machine records in one of several notations, then a rule that gives the label.
std::string labelled_records(const Grammar& grammar, Random& random) {
  const Signal a = pick_signal(grammar, random);
  const Signal b = pick_signal(grammar, random);
  const double limit = a.low + (a.high - a.low) * (0.3 + 0.4 * random.uniform());
  const auto form = random.below(4);
  const std::vector<std::pair<std::string, std::string>> kLabels = {
      {"failure", "ok"}, {"alarm", "normal"}, {"high", "low"}, {"yes", "no"}, {"이상", "정상"}};
  const auto& labels = random.pick(kLabels);
  std::string text = "Rule: " + labels.first + " if " + a.name + " is above " + fixed(limit, decimals_of(a)) + " " +
                     a.unit + ", else " + labels.second + ".\n";
  for (std::int64_t i = random.between(3, 8); i > 0; --i) {
    const std::string value = fixed(sample(a, random), decimals_of(a));
    const std::string other = fixed(sample(b, random), decimals_of(b));
    const std::string label =
        std::strtod(value.c_str(), nullptr) > std::strtod(fixed(limit, decimals_of(a)).c_str(), nullptr)
            ? labels.first
            : labels.second;
    switch (form) {
      case 0:
        text += a.name + " " + value + " " + a.unit + ", " + b.name + " " + other + " " + b.unit + " -> " + label;
        break;
      case 1:
        text += key_of(a.name, '_') + "=" + value + " " + key_of(b.name, '_') + "=" + other + " label=" + label;
        break;
      case 2:
        text += "{\"" + key_of(a.name, '_') + "\": " + value + ", \"" + key_of(b.name, '_') + "\": " + other +
                ", \"label\": \"" + label + "\"}";
        break;
      default: text += value + "," + other + "," + label; break;
    }
    text += "\n";
  }
  text.pop_back();
  return text;
}

std::string series(const Grammar& grammar, Random& random) {
  const Signal signal = pick_signal(grammar, random);
  const double range = signal.high - signal.low;
  const auto shape = random.below(4);
  double value = signal.low + range * (0.3 + 0.4 * random.uniform());
  const double slope = range * 0.02 * (random.uniform() - 0.5) * 2;
  const double noise = range * 0.004;
  std::vector<double> values;
  for (int i = 0; i < 24; ++i) {
    const double wave = shape == 2 ? range * 0.15 * (i / 4 % 2 ? 1 : -1) : 0;
    const double step = shape == 3 && i >= 12 ? range * 0.3 : 0;
    values.push_back(value + (shape == 1 ? slope * i : 0) + wave + step + noise * random.normal());
  }
  std::string text = signal.name + " (" + signal.unit + "):";
  for (const double v : values) text += " " + fixed(v, decimals_of(signal));
  const double drift = values.back() - values.front();
  text += "\nshape: ";
  text += shape == 0   ? "steady"
          : shape == 2 ? "cycles"
          : shape == 3 ? "step up in the middle"
          : drift > 0  ? "rising"
                       : "falling";
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  text += "\nminimum " + fixed(*low, decimals_of(signal)) + ", maximum " + fixed(*high, decimals_of(signal)) +
          ", first " + fixed(values.front(), decimals_of(signal)) + ", last " +
          fixed(values.back(), decimals_of(signal));
  return text;
}

std::string remaining_life(const Grammar& grammar, Random& random) {
  const auto limit = random.between(100, 400);
  const std::string unit = grammar.expand("{unit} {#1-99}", random);
  std::string text = unit + " wears out at " + std::to_string(limit) + " cycles.\n";
  for (std::int64_t i = random.between(3, 6); i > 0; --i) {
    const auto cycle = random.between(0, limit);
    text += "cycle " + std::to_string(cycle) + ", remaining " + std::to_string(limit - cycle) + "\n";
  }
  text.pop_back();
  return text;
}

std::string csv_table(const Grammar& grammar, Random& random) {
  std::vector<Signal> columns;
  for (int i = 0; i < 3; ++i) columns.push_back(pick_signal(grammar, random));
  std::string text = "time,machine";
  for (const Signal& column : columns) text += "," + key_of(column.name, '_');
  std::int64_t second = 0;
  std::vector<double> values;
  for (const Signal& column : columns) values.push_back(sample(column, random));
  const std::string machine = grammar.expand("M{#1-30}", random);
  for (std::int64_t row = random.between(4, 10); row > 0; --row) {
    text += "\n" + std::to_string(second) + "," + machine;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      values[i] = std::clamp(values[i] + (columns[i].high - columns[i].low) * 0.02 * random.normal(), columns[i].low,
                             columns[i].high);
      text += "," + fixed(values[i], decimals_of(columns[i]));
    }
    second += 10;
  }
  return text;
}

std::string conversions(const Grammar&, Random& random) {
  std::string text;
  for (std::int64_t i = random.between(3, 7); i > 0; --i) {
    const auto n = random.between(1, 90);
    switch (random.below(6)) {
      case 0: text += std::to_string(n) + " bar = " + std::to_string(n * 100) + " kPa"; break;
      case 1: text += std::to_string(n) + " m = " + std::to_string(n * 1000) + " mm"; break;
      case 2: text += std::to_string(n) + " degC = " + std::to_string(n + 273) + ".15 K"; break;
      case 3: text += std::to_string(n) + " h = " + std::to_string(n * 60) + " min"; break;
      case 4: text += std::to_string(n) + " kW = " + std::to_string(n * 1000) + " W"; break;
      default: text += std::to_string(n) + " min = " + std::to_string(n * 60) + " s"; break;
    }
    text += "\n";
  }
  text.pop_back();
  return text;
}

std::string comparisons(const Grammar&, Random& random) {
  std::string text;
  for (std::int64_t i = random.between(3, 8); i > 0; --i) {
    const double a = static_cast<double>(random.between(0, 2000)) / 10;
    const double b = static_cast<double>(random.between(0, 2000)) / 10;
    const auto x = random.between(0, 99);
    const auto y = random.between(0, 99);
    switch (random.below(4)) {
      case 0: text += fixed(a, 1) + (a > b ? " > " : a < b ? " < " : " = ") + fixed(b, 1); break;
      case 1: text += "larger of " + fixed(a, 1) + " and " + fixed(b, 1) + ": " + fixed(std::max(a, b), 1); break;
      case 2: text += std::to_string(x) + " + " + std::to_string(y) + " = " + std::to_string(x + y); break;
      default: text += std::to_string(x + y) + " - " + std::to_string(y) + " = " + std::to_string(x); break;
    }
    text += "\n";
  }
  text.pop_back();
  return text;
}

std::string exercises(const Grammar& grammar, Random& random) {
  std::string text;
  for (std::int64_t i = random.between(2, 5); i > 0; --i) {
    std::vector<std::string> words;
    for (std::int64_t n = random.between(2, 6); n > 0; --n)
      words.push_back(
          grammar.pick(random.pick(std::vector<std::string>{"part", "colour", "unit", "item", "부품"}), random));
    std::string forward;
    std::string backward;
    for (const std::string& word : words) {
      forward += (forward.empty() ? "" : ", ") + word;
      backward = word + (backward.empty() ? "" : ", ") + backward;
    }
    switch (random.below(5)) {
      case 0: text += "copy: " + forward + " -> " + forward; break;
      case 1: text += "reverse: " + forward + " -> " + backward; break;
      case 2: text += "count: " + forward + " -> " + std::to_string(words.size()); break;
      case 3: text += "last: " + forward + " -> " + words.back(); break;
      default: text += "first: " + forward + " -> " + words.front(); break;
    }
    text += "\n";
  }
  text.pop_back();
  return text;
}

std::string json_record(const Grammar& grammar, Random& random) {
  const Signal a = pick_signal(grammar, random);
  Grammar::Names names;
  const std::string machine = grammar.expand("{unit}", random, names);
  const std::string value = fixed(sample(a, random), decimals_of(a));
  const std::string site = grammar.pick("site", random);
  return "{\"id\": " + std::to_string(random.between(1000, 99999)) + ", \"machine\": \"" + machine +
         "\", \"site\": \"" + site + "\", \"" + key_of(a.name, '_') + "\": " + value + "}\nIn words: the " + a.name +
         " of the " + machine + " in " + site + " is " + value + " " + a.unit + ".";
}

}  // namespace

const std::vector<DocumentKind>& number_documents() {
  static const std::vector<DocumentKind> kKinds = {{labelled_records, 7}, {series, 5},      {remaining_life, 3},
                                                   {csv_table, 3},        {conversions, 2}, {comparisons, 4},
                                                   {exercises, 4},        {json_record, 4}};
  return kKinds;
}

}  // namespace finetune
