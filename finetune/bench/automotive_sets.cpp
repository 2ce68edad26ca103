#include <algorithm>
#include <array>
#include <set>

#include "finetune/bench/data_file.h"
#include "finetune/bench/hash_split.h"
#include "finetune/bench/set_readers.h"
#include "finetune/bench/zip_file.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/base/yaml.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
using platform::Example;
using platform::Split;

// carobd
struct Channel {
  const char* name;
  std::size_t column;
};
constexpr std::array kChannels{Channel{"rpm", 1},  Channel{"speed", 2},    Channel{"throttle", 3},
                               Channel{"load", 4}, Channel{"pressure", 8}, Channel{"timing", 18}};
constexpr std::size_t kSpeedColumn = 2;
constexpr std::size_t kLoggedColumns = 22;  // some loggers drop the columns behind these
constexpr std::size_t kWindow = 10, kAhead = 5, kStride = 5;

using Seconds = std::vector<std::vector<double>>;

Seconds seconds_of(const fs::path& file) {
  Seconds seconds;
  DataTable table = DataTable::read(file, true);
  while (table.next()) {
    if (table.cells().size() < kLoggedColumns) continue;  // the logger was switched off while it wrote
    std::vector<double> row;
    for (std::size_t i = 0; i < kLoggedColumns; ++i) row.push_back(table.number(i));
    seconds.push_back(std::move(row));
  }
  return seconds;
}

Split part_of_drive(const std::string& drive) {
  if (drive == "drive5" || drive == "live6" || drive == "ufpe4") return Split::kTest;
  return drive == "live5" ? Split::kValidation : Split::kTrain;
}

Example window_of_drive(const Seconds& seconds, std::size_t begin, const std::string& prompt) {
  Example example;
  example.prompt = prompt;
  for (const Channel& channel : kChannels) {
    platform::Signal& signal = example.signals[channel.name];
    signal.rate_hz = 1;
    for (std::size_t i = begin; i < begin + kWindow; ++i)
      signal.values.push_back(static_cast<float>(seconds[i][channel.column]));
  }
  example.values = {seconds[begin + kWindow + kAhead - 1][kSpeedColumn]};
  return example;
}

std::vector<fs::path> files_in(const fs::path& folder, const std::string& extension) {
  std::error_code problem;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder, problem)) {
    if (entry.is_regular_file() && entry.path().extension() == extension) files.push_back(entry.path());
  }
  if (files.empty())
    throw platform::Error(platform::ErrorCode::kNotFound, "no " + extension + " file below " + folder.string());
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) { return a.string() < b.string(); });
  return files;
}

// nhtsa_recall_docs
constexpr int kTrainBuckets = 3;

class RecallDocuments {
 public:
  void add(const fs::path& archive, bool test) {
    const std::string name = archive.string();
    DataTable table(unzipped(platform::read_file(archive), name), name + "!csv");
    const std::size_t campaign = table.column("NHTSA ID"), document = table.column("DOCUMENT NAME"),
                      summary = table.column("SUMMARY");
    while (table.next()) {
      const std::vector<std::string>& cells = table.cells();
      if (!seen_.insert(cells[document]).second) continue;
      const std::string kind = cells[document].substr(0, cells[document].find('-'));
      if (kind == "RONE" || kind == "RMRP") continue;
      if (!test && hash_bucket(cells[campaign]) >= kTrainBuckets) continue;
      Example example;
      example.id = std::to_string(examples_.size());
      example.split = test                                      ? Split::kTest
                      : hash_bucket("v" + cells[campaign]) == 0 ? Split::kValidation
                                                                : Split::kTrain;
      example.prompt = "Recall document: " + without_slots(cells[summary]) + " ->";
      example.label = kind;
      examples_.push_back(std::move(example));
    }
  }
  SetExamples take() { return std::move(examples_); }

 private:
  std::set<std::string> seen_;
  SetExamples examples_;
};

// vss
bool is_leaf(const platform::YamlNode& node) {
  const platform::YamlNode* type = node.find("type");
  return type != nullptr && (type->scalar == "sensor" || type->scalar == "actuator" || type->scalar == "attribute");
}

std::string field_of(const platform::YamlNode& node, std::string_view key, const std::string& fallback) {
  const platform::YamlNode* found = node.find(key);
  return found == nullptr ? fallback : std::string(without_blanks(found->scalar));
}

}  // namespace

SetExamples read_carobd(const fs::path& folder, int) {
  std::string prompt;
  for (const Channel& channel : kChannels) prompt += "{{ signal:" + std::string(channel.name) + " }} ";
  prompt += "->";
  SetExamples examples;
  for (const fs::path& file : files_in(folder / "obdiidata", ".csv")) {
    const std::string drive = file.stem().string();
    if (drive.starts_with("idle")) continue;
    const Seconds seconds = seconds_of(file);
    for (std::size_t begin = 0; begin + kWindow + kAhead <= seconds.size(); begin += kStride) {
      Example example = window_of_drive(seconds, begin, prompt);
      example.id = drive + "-" + std::to_string(begin);
      example.split = part_of_drive(drive);
      examples.push_back(std::move(example));
    }
  }
  return examples;
}

SetExamples read_nhtsa_recall_docs(const fs::path& folder, int) {
  RecallDocuments documents;
  documents.add(folder / "data/raw/RCL_FROM_2020_2024.zip", false);
  documents.add(folder / "data/raw/RCL_FROM_2025_2026.zip", true);
  return documents.take();
}

SetExamples read_vss_unit(const fs::path& folder, int fold) {
  SetExamples examples;
  for (const fs::path& file : files_in(folder / "spec", ".vspec")) {
    const std::string key = fs::relative(file, folder / "spec").string();
    for (const platform::YamlEntry& entry : platform::read_yaml_file(file).entries) {
      if (!is_leaf(entry.value)) continue;
      const std::string& name = entry.key.scalar;
      Example example;
      example.id = std::to_string(examples.size());
      example.split = hash_fold(key, fold);
      const std::string description = field_of(entry.value, "description", "");
      example.prompt = name.substr(name.rfind('.') + 1) + " : " + without_slots(description) + " ->";
      example.label = field_of(entry.value, "unit", "none");
      examples.push_back(std::move(example));
    }
  }
  return examples;
}

}  // namespace finetune
