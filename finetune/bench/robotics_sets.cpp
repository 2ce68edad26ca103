#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "finetune/bench/data_file.h"
#include "finetune/bench/hash_split.h"
#include "finetune/bench/set_readers.h"
#include "platform/base/json.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
using platform::Example;
using platform::Split;

std::string in_small_letters(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

struct Plan {
  std::string title, steps;
};

// "Task: Write an email\nStep 1: Walk to home office\n..."
Plan plan_in(std::string_view text, const std::string& where) {
  Plan plan;
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = without_blanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    if (!first) {
      plan.steps += (plan.steps.empty() ? "" : "\n") + std::string(line);
      continue;
    }
    first = false;
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) plan.title = without_blanks(line.substr(colon + 1));
  }
  if (plan.title.empty() || plan.steps.empty())
    throw platform::Error(platform::ErrorCode::kInvalidInput, where + ": a plan needs a title and steps");
  return plan;
}

constexpr std::size_t kRanges = 24;

}  // namespace

SetExamples read_virtualhome(const fs::path& folder, int) {
  const fs::path file = folder / "src/available_examples.json";
  const platform::json::value plans = platform::read_json_file(file);
  std::set<std::pair<std::string, std::string>> seen;
  SetExamples examples;
  std::size_t place = 0;
  for (const platform::json::value& text : platform::as_array(plans, file.string())) {
    const std::string where = file.string() + "[" + std::to_string(place++) + "]";
    if (!text.is_string()) throw platform::Error(platform::ErrorCode::kInvalidInput, where + ": a plan is a text");
    Plan plan = plan_in(text.get_string(), where);
    const std::string title = in_small_letters(plan.title);
    if (!seen.emplace(title, plan.steps).second) continue;
    Example example;
    example.id = std::to_string(examples.size());
    example.split = hash_split("vh-" + title);
    example.prompt = "Task: " + without_slots(plan.title) + "\n";
    example.completion = std::move(plan.steps);
    examples.push_back(std::move(example));
  }
  return examples;
}

SetExamples read_wall_following(const fs::path& folder, int) {
  DataTable table = DataTable::read(folder / "sensor_readings_24.data");
  std::vector<std::string> names;
  std::string prompt;
  for (std::size_t i = 1; i <= kRanges; ++i) {
    names.push_back("S" + std::to_string(i));
    prompt += "{{ number:" + names.back() + " }} ";
  }
  prompt += "->";
  SetExamples examples;
  while (table.next()) {
    if (table.cells().size() != kRanges + 1)
      refuse_line((folder / "sensor_readings_24.data").string(), table.line(), "24 ranges and a move are expected");
    Example example;
    example.id = std::to_string(examples.size());
    example.prompt = prompt;
    for (std::size_t i = 0; i < kRanges; ++i) example.numbers[names[i]] = table.number(i);
    example.label = table.cells()[kRanges];
    examples.push_back(std::move(example));
  }
  const std::size_t before_test = examples.size() * 3 / 4;
  for (std::size_t i = 0; i < examples.size(); ++i)
    examples[i].split = i >= before_test ? Split::kTest : 10 * i < 9 * before_test ? Split::kTrain : Split::kValidation;
  return examples;
}

}  // namespace finetune
