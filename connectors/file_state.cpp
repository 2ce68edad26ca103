#include "connectors/file_state.h"

#include "platform/dataset/unicode_text.h"
#include "platform/http/request.h"

namespace connectors {

namespace json = platform::json;

FileState FileState::from_json(const json::value& value) {
  const json::object& object = platform::as_object(value, "cursor");
  FileState state;
  state.offset = platform::int_or(object, "offset", 0, "cursor");
  state.line = platform::int_or(object, "line", 1, "cursor");
  state.row = platform::int_or(object, "row", 0, "cursor");
  state.generation = platform::int_or(object, "generation", 0, "cursor");
  state.head_size = platform::int_or(object, "head_size", 0, "cursor");
  state.head = platform::string_or(object, "head", "", "cursor");
  if (const json::value* columns = platform::find(object, "columns"))
    state.shape.columns = platform::strings_from(*columns, "cursor.columns");
  const std::string delimiter = platform::string_or(object, "delimiter", ",", "cursor");
  if (delimiter.size() == 1) state.shape.dialect.delimiter = delimiter[0];
  if (platform::find(object, "decimal_comma") != nullptr)
    state.shape.decimal_comma = platform::require_bool(object, "decimal_comma", "cursor");
  state.format = platform::string_or(object, "format", "", "cursor");
  // A cursor of an earlier form says `settled`, with the delimiter '{' for what is no table.
  if (state.format.empty() && platform::bool_or(object, "settled", false, "cursor"))
    state.format = delimiter == "{" ? "ndjson" : "csv";
  const std::string time = platform::string_or(object, "last_time", "", "cursor");
  if (!time.empty()) state.last_time = platform::parse_time(time);
  state.complete = platform::bool_or(object, "complete", false, "cursor");
  state.passing_over = platform::bool_or(object, "passing_over", false, "cursor");
  return state;
}

json::value FileState::to_json() const {
  json::object object{{"offset", offset},         {"line", line},           {"row", row},
                      {"generation", generation}, {"head_size", head_size}, {"head", head},
                      {"format", format},         {"complete", complete},   {"passing_over", passing_over}};
  if (format == "csv") {
    object["columns"] = platform::to_json(shape.columns);
    object["delimiter"] = std::string(1, shape.dialect.delimiter);
    if (shape.decimal_comma) object["decimal_comma"] = *shape.decimal_comma;
  }
  if (last_time != platform::Time{}) object["last_time"] = platform::format_time(last_time);
  return object;
}

std::string file_id(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  try {  // a name in another encoding has no place in a JSON document
    platform::normalized_text(name);
    return name;
  } catch (const platform::Error&) {
    return platform::percent_encode(name);
  }
}

}  // namespace connectors
