#include "connectors/input_format.h"

namespace connectors {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

const std::vector<std::string_view>& input_format_keys() {
  static const std::vector<std::string_view> kKeys = {"format",     "delimiter",     "header",     "columns",
                                                      "split_last", "decimal_comma", "row_number", "first_row",
                                                      "time",       "key",           "constants",  "detect_types"};
  return kKeys;
}

InputFormat InputFormat::from_json(const json::value& value, std::string_view where_view) {
  const std::string where(where_view);
  const json::object& object = platform::as_object(value, where);
  platform::refuse_unknown_keys(object, input_format_keys(), where);
  InputFormat input;
  input.format = platform::string_or(object, "format", "", where);
  if (!input.format.empty() && input.format != "csv" && input.format != "lines" && input.format != "json" &&
      input.format != "ndjson") {
    throw Error(ErrorCode::kInvalidInput,
                where + ".format must be csv, lines, json or ndjson, not '" + input.format + "'", where + ".format");
  }
  if (platform::find(object, "delimiter") != nullptr) {
    std::string text = platform::require_string(object, "delimiter", where);
    if (text == "tab" || text == "\\t") text = "\t";
    if (text == "space") text = " ";
    if (text.size() != 1)
      throw Error(ErrorCode::kInvalidInput, where + ".delimiter must be one character, 'tab' or 'space'",
                  where + ".delimiter");
    input.delimiter = text[0];
  }
  if (platform::find(object, "header") != nullptr) input.header = platform::require_bool(object, "header", where);
  if (const json::value* columns = platform::find(object, "columns"))
    input.columns = platform::strings_from(*columns, where + ".columns");
  input.split_last = platform::string_or(object, "split_last", "", where);
  if (platform::find(object, "decimal_comma") != nullptr)
    input.decimal_comma = platform::require_bool(object, "decimal_comma", where);
  input.row_number = platform::string_or(object, "row_number", "", where);
  input.first_row = platform::int_or(object, "first_row", 1, where);
  input.time = platform::string_or(object, "time", "", where);
  input.key = platform::string_or(object, "key", "", where);
  if (const json::value* constants = platform::find(object, "constants"))
    input.constants = platform::as_object(*constants, where + ".constants");
  input.detect_types = platform::bool_or(object, "detect_types", true, where);
  if (input.format == "lines" && !input.split_last.empty() && input.columns.size() != 2) {
    throw Error(ErrorCode::kInvalidInput,
                where + ".columns must name the two parts of a line that is cut at split_last", where + ".columns");
  }
  return input;
}

json::object merged(json::object base, const json::object& over) {
  for (const auto& pair : over) base[pair.key()] = pair.value();
  return base;
}

}  // namespace connectors
