#include <algorithm>
#include <array>
#include <map>

#include "finetune/bench/data_file.h"
#include "finetune/bench/hash_split.h"
#include "finetune/bench/set_readers.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
using platform::Example;
using platform::Split;

// ai4i2020
struct Measure {
  const char* name;
  const char* column;
};
constexpr std::array kMeasures{Measure{"air_temperature", "Air temperature [K]"},
                               Measure{"process_temperature", "Process temperature [K]"},
                               Measure{"rotational_speed", "Rotational speed [rpm]"}, Measure{"torque", "Torque [Nm]"},
                               Measure{"tool_wear", "Tool wear [min]"}};

// cmapss_fd001: a line is unit, cycle, three settings and 21 sensors, between blanks.
constexpr std::size_t kFirstSensor = 5, kColumns = 26;
constexpr std::size_t kWindow = 30, kStride = 5;
constexpr double kMostCyclesLeft = 125;
constexpr int kValidationEngines = 10;  // every tenth

using Cycles = std::vector<std::vector<double>>;
using Engines = std::map<int, Cycles>;

std::vector<double> numbers_in(std::string_view line, const fs::path& file, std::int64_t number) {
  std::vector<double> values;
  while (!(line = without_blanks(line)).empty()) {
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    values.push_back(number_in(line.substr(0, end), file.string(), number));
    line.remove_prefix(end);
  }
  return values;
}

Engines engines_of(const fs::path& file) {
  Engines engines;
  for_each_line(file, [&](std::string_view line, std::int64_t number) {
    std::vector<double> cycle = numbers_in(line, file, number);
    if (cycle.size() != kColumns)
      refuse_line(file.string(), number, "a cycle has 26 numbers, this one " + std::to_string(cycle.size()));
    engines[static_cast<int>(cycle[0])].push_back(std::move(cycle));
  });
  return engines;
}

std::vector<std::size_t> changing_sensors(const Engines& engines) {
  std::vector<std::size_t> sensors;
  for (std::size_t column = kFirstSensor; column < kColumns; ++column) {
    const double first = engines.begin()->second.front()[column];
    const bool changes = std::any_of(engines.begin(), engines.end(), [&](const auto& engine) {
      return std::any_of(engine.second.begin(), engine.second.end(),
                         [&](const std::vector<double>& cycle) { return cycle[column] != first; });
    });
    if (changes) sensors.push_back(column);
  }
  return sensors;
}

std::string sensor_name(std::size_t column) { return "s" + std::to_string(column - kFirstSensor + 1); }

// The window that ends before cycle `end`; shorter where the engine is younger.
Example window_of_engine(const Cycles& cycles, std::size_t end, const std::vector<std::size_t>& sensors,
                         double cycles_left) {
  Example example;
  for (const std::size_t column : sensors) {
    const std::string name = sensor_name(column);
    example.prompt += (example.prompt.empty() ? "" : ", ") + name + " {{ signal:" + name + " }}";
    for (std::size_t i = end - std::min(end, kWindow); i < end; ++i)
      example.signals[name].values.push_back(static_cast<float>(cycles[i][column]));
  }
  example.prompt += " ->";
  example.value = std::min(kMostCyclesLeft, cycles_left);
  return example;
}

std::vector<double> cycles_left_in(const fs::path& file, std::size_t engines) {
  std::vector<double> left;
  for_each_line(file, [&](std::string_view line, std::int64_t number) {
    left.push_back(number_in(line, file.string(), number));
  });
  if (left.size() != engines)
    refuse_line(file.string(), static_cast<std::int64_t>(left.size()),
                "the file ends; " + std::to_string(engines) + " engines are tested");
  return left;
}

}  // namespace

SetExamples read_ai4i2020(const fs::path& folder, int) {
  DataTable table = DataTable::read(folder / "data/raw/ai4i2020.csv");
  const std::size_t id = table.column("UDI"), grade = table.column("Type"), failure = table.column("Machine failure");
  std::string prompt = "{{ category:grade }}";
  for (const Measure& measure : kMeasures) prompt += " {{ number:" + std::string(measure.name) + " }}";
  prompt += " ->";
  SetExamples examples;
  while (table.next()) {
    Example example;
    example.id = table.cells()[id];
    example.split = hash_split("ai4i-" + example.id);
    example.prompt = prompt;
    example.categories["grade"] = table.cells()[grade];
    for (const Measure& measure : kMeasures) example.numbers[measure.name] = table.number(table.column(measure.column));
    example.label = table.cells()[failure];
    examples.push_back(std::move(example));
  }
  return examples;
}

SetExamples read_cmapss_fd001(const fs::path& folder, int) {
  const fs::path raw = folder / "data/raw";
  const Engines train = engines_of(raw / "train_FD001.txt"), test = engines_of(raw / "test_FD001.txt");
  const std::vector<double> left = cycles_left_in(raw / "RUL_FD001.txt", test.size());
  if (train.empty()) refuse_line((raw / "train_FD001.txt").string(), 1, "there is no cycle");
  const std::vector<std::size_t> sensors = changing_sensors(train);
  SetExamples examples;
  for (const auto& [engine, cycles] : train) {
    for (std::size_t end = kWindow; end <= cycles.size(); end += kStride) {
      Example example = window_of_engine(cycles, end, sensors, static_cast<double>(cycles.size() - end));
      example.id = std::to_string(engine) + "-" + std::to_string(end);
      example.split = engine % kValidationEngines == 0 ? Split::kValidation : Split::kTrain;
      examples.push_back(std::move(example));
    }
  }
  std::size_t tested = 0;
  for (const auto& [engine, cycles] : test) {
    Example example = window_of_engine(cycles, cycles.size(), sensors, left[tested++]);
    example.id = "t" + std::to_string(engine);
    example.split = Split::kTest;
    examples.push_back(std::move(example));
  }
  return examples;
}

SetExamples read_fmc_mwo2kg(const fs::path& folder, int fold) {
  SetExamples examples;
  for (const char* name : {"train.txt", "dev.txt", "test.txt"}) {
    const fs::path file = folder / "mwo2kg/failure_mode_classification/input_data" / name;
    for_each_line(file, [&](std::string_view line, std::int64_t number) {
      const std::size_t comma = line.rfind(',');
      if (comma == std::string_view::npos) refuse_line(file.string(), number, "no comma before a failure mode");
      const std::string text(line.substr(0, comma));
      Example example;
      example.id = "r" + std::to_string(examples.size());
      example.split = hash_fold("fmc-" + text, fold);
      example.prompt = "Failure mode of: " + without_slots(text) + " ->";
      example.label = std::string(line.substr(comma + 1));
      examples.push_back(std::move(example));
    });
  }
  return examples;
}

}  // namespace finetune
