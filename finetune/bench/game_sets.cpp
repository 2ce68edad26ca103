#include "finetune/bench/data_file.h"
#include "finetune/bench/hash_split.h"
#include "finetune/bench/set_readers.h"
#include "platform/base/json.h"

namespace finetune {

namespace fs = std::filesystem;
using platform::Example;

SetExamples read_light_world(const fs::path& folder, int fold) {
  const fs::path file = folder / "projects/aaai_world_building/ml-aided-maps/src/rooms.json";
  const platform::json::value rooms = platform::read_json_file(file);
  SetExamples examples;
  for (const platform::json::value& room : platform::as_array(rooms, file.string())) {
    const std::string where = file.string() + "[" + std::to_string(examples.size()) + "]";
    const platform::json::object& fields = platform::as_object(room, where);
    Example example;
    example.id = std::to_string(platform::require_int(fields, "id", where));
    example.split = hash_fold("room-" + example.id, fold);
    example.prompt = "Room: " + without_slots(platform::require_string(fields, "description", where)) + " ->";
    example.label = platform::require_string(fields, "category", where);
    examples.push_back(std::move(example));
  }
  return examples;
}

SetExamples read_skillcraft1(const fs::path& folder, int) {
  DataTable table = DataTable::read(folder / "SkillCraft1_Dataset.csv");
  const std::size_t player = table.column("GameID"), league = table.column("LeagueIndex");
  std::vector<std::size_t> columns;
  std::string prompt;
  for (std::size_t i = 0; i < table.names().size(); ++i) {
    if (i == player || i == league) continue;
    columns.push_back(i);
    prompt += "{{ number:" + table.names()[i] + " }} ";
  }
  prompt += "->";
  SetExamples examples;
  while (table.next()) {
    Example example;
    example.id = table.cells()[player];
    example.split = hash_split("sc2-" + example.id);
    example.prompt = prompt;
    for (const std::size_t i : columns) example.numbers[table.names()[i]] = table.number_if_known(i);
    example.label = table.cells()[league];
    examples.push_back(std::move(example));
  }
  return examples;
}

}  // namespace finetune
