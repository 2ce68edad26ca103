#include "finetune/bench/adaptation_report.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "platform/dataset/example.h"

namespace finetune {
namespace {

namespace json = platform::json;
using Row = std::vector<std::string>;

constexpr std::array kColumns{"set",       "metric", "mean",    "sd",       "min - max",  "bar",   "result",
                              "classical", "linear", "nearest", "majority", "training s", "steps", "test examples"};

std::string fixed(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

// Errors have units, shares have none.
int digits_of(const PublicSet& set) { return higher_is_better(set.metric) ? 3 : 2; }

// The better one is the harder one to beat.
std::string best_classical(const PublicSet& set) {
  const bool higher = higher_is_better(set.metric);
  const auto best = std::max_element(
      set.classical.begin(), set.classical.end(),
      [&](const ClassicalScore& a, const ClassicalScore& b) { return higher ? a.value < b.value : a.value > b.value; });
  return best == set.classical.end() ? "-" : best->method + " " + fixed(best->value, digits_of(set));
}

std::string baseline(const SetResult& result, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const auto found = result.baselines.find(name); found != result.baselines.end())
      return fixed(found->second, digits_of(result.set));
  }
  return "-";
}

std::string bar_of(const PublicSet& set) {
  return (higher_is_better(set.metric) ? ">= " : "<= ") + fixed(set.bar, digits_of(set));
}

std::string verdict(const SetResult& result) {
  if (result.passed()) return "passed";
  return "misses by " + fixed(-result.distance(), digits_of(result.set) + 1);
}

std::string name_of(const SetResult& result) {
  if (!result.measured() || result.set.folds == 1) return result.set.name;
  const std::string folds = std::to_string(result.set.folds);
  if (result.folds == result.set.folds) return result.set.name + ", " + folds + " folds";
  return result.set.name + ", " + std::to_string(result.folds) + " of " + folds + " folds";
}

Row row_of(const SetResult& result) {
  const int digits = digits_of(result.set);
  if (!result.measured())
    return {result.set.name,
            result.set.metric,
            "-",
            "-",
            "-",
            bar_of(result.set),
            result.left_out,
            best_classical(result.set),
            "-",
            "-",
            "-",
            "-",
            "-",
            "-"};
  return {name_of(result),
          result.set.metric,
          fixed(result.mean, digits),
          result.scores.size() > 1 ? fixed(result.deviation, digits) : "-",
          fixed(result.lowest, digits) + " - " + fixed(result.highest, digits),
          bar_of(result.set),
          verdict(result),
          best_classical(result.set),
          baseline(result, {"linear"}),
          baseline(result, {"nearest"}),
          baseline(result, {"majority", "mean"}),
          fixed(result.train_seconds, 0),
          fixed(result.steps, 0),
          std::to_string(result.test_examples)};
}

std::vector<Row> rows_of(const AdaptationResults& results) {
  std::vector<Row> rows;
  for (const SetResult& result : results.sets) rows.push_back(row_of(result));
  return rows;
}

std::string count_of_passed(const AdaptationResults& results) {
  std::size_t measured = 0, passed = 0;
  for (const SetResult& result : results.sets) {
    measured += result.measured() ? 1 : 0;
    passed += result.passed() ? 1 : 0;
  }
  std::string text = std::to_string(passed) + " of " + std::to_string(measured) + " measured sets pass";
  if (measured < results.sets.size()) text += ", " + std::to_string(results.sets.size() - measured) + " were not there";
  return text;
}

std::string note(const AdaptationResults& results) {
  const std::string seeds = results.seeds == 1 ? "seed 1" : "seeds 1 to " + std::to_string(results.seeds);
  const std::string settings =
      results.settings.empty() ? "defaults" : "settings " + platform::canonical_json(results.settings);
  std::string text = count_of_passed(results) + ". Base " + results.base_digest + ", " + seeds + ", " + settings + ".";
  std::size_t others = 0;
  for (const SetResult& result : results.sets) {
    others +=
        static_cast<std::size_t>(std::count_if(result.runs.begin(), result.runs.end(), [&](const FinishedRun& run) {
          return run.program_digest != results.program_digest;
        }));
  }
  if (others > 0)
    text += " " + std::to_string(others) +
            " runs were made by another build of the program; a new work folder repeats them.";
  return text;
}

std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

std::string in_columns(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(kColumns.size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - width_of(row[i]) + 2, ' ');
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string markdown_line(const Row& row) {
  std::string line = "|";
  for (std::string cell : row) {
    for (std::size_t at = 0; (at = cell.find('|', at)) != std::string::npos; at += 2) cell.insert(at, "\\");
    line += " " + cell + " |";
  }
  return line + "\n";
}

json::object set_json(const SetResult& result) {
  json::array classical, scores, runs;
  for (const ClassicalScore& score : result.set.classical)
    classical.push_back(json::object{{"method", score.method}, {"value", score.value}});
  json::object object{{"set", result.set.name},
                      {"domain", result.set.domain},
                      {"task", to_string(result.set.task)},
                      {"metric", result.set.metric},
                      {"bar", result.set.bar},
                      {"higher_is_better", higher_is_better(result.set.metric)},
                      {"settings", result.set.settings},
                      {"classical", std::move(classical)}};
  if (!result.measured()) {
    object["left_out"] = result.left_out;
    return object;
  }
  for (const double score : result.scores) scores.emplace_back(score);
  for (const FinishedRun& run : result.runs) runs.push_back(to_json(run));
  json::object baselines;
  for (const auto& [name, value] : result.baselines) baselines[name] = value;
  const json::object measured{{"folds", result.folds},
                              {"folds_of_the_set", result.set.folds},
                              {"scores", std::move(scores)},
                              {"mean", result.mean},
                              {"deviation", result.deviation},
                              {"lowest", result.lowest},
                              {"highest", result.highest},
                              {"passed", result.passed()},
                              {"distance", result.distance()},
                              {"baselines", std::move(baselines)},
                              {"train_seconds", result.train_seconds},
                              {"steps", result.steps},
                              {"test_examples", result.test_examples},
                              {"runs", std::move(runs)}};
  for (const auto& pair : measured) object[pair.key()] = pair.value();
  return object;
}

}  // namespace

std::string results_text(const AdaptationResults& results) {
  std::vector<Row> rows = rows_of(results);
  rows.insert(rows.begin(), Row(kColumns.begin(), kColumns.end()));
  return in_columns(rows) + "\n" + note(results) + "\n";
}

std::string results_markdown(const AdaptationResults& results) {
  std::string text = markdown_line(Row(kColumns.begin(), kColumns.end())) + "|";
  for (std::size_t i = 0; i < kColumns.size(); ++i) text += "---|";
  text += "\n";
  for (const Row& row : rows_of(results)) text += markdown_line(row);
  return text + "\n" + note(results) + "\n";
}

json::value to_json(const AdaptationResults& results) {
  json::array sets;
  for (const SetResult& result : results.sets) sets.push_back(set_json(result));
  return json::object{{"format", kRunFormat},   {"base", results.base_digest},  {"program", results.program_digest},
                      {"seeds", results.seeds}, {"settings", results.settings}, {"sets", std::move(sets)}};
}

}  // namespace finetune
