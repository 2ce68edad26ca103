// How a source's bytes are read as records: the `input` of a profile or of a source's settings, or the query of a push.
// Plain value; any thread.
//
//   input: {format: csv, columns: [unit, cycle, s1, s2], header: false, delimiter: " ", row_number: row}
//   input: {format: lines, columns: [observation, label], split_last: ","}
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace connectors {

struct InputFormat {
  std::string format;                 // csv, lines, json, ndjson; empty = by content type or content
  std::optional<char> delimiter;      // absent = detected
  std::optional<bool> header;         // first row: names or not, whatever it holds; absent = see is_header()
  std::vector<std::string> columns;   // names in order, over those of a header; empty = see column_names()
  std::string split_last;             // lines: the line is cut at the last one of these
  std::optional<bool> decimal_comma;  // absent = detected
  std::string row_number;             // a field of this name gets the row's number, from 1
  std::int64_t first_row = 1;         // what the first row's number is
  std::string time;  // field with the event time; empty = event_time, timestamp or time if it reads as RFC 3339
  std::string key;   // record key template; wins over the profile's
  platform::json::object constants;  // fields added to every record
  bool detect_types = true;          // table cells that are numbers become numbers

  /// Throws kInvalidInput naming the key, prefixed by `where`.
  static InputFormat from_json(const platform::json::value& value, std::string_view where = "input");
};

/// `over` wins key by key.
platform::json::object merged(platform::json::object base, const platform::json::object& over);
/// The keys that an input may have.
const std::vector<std::string_view>& input_format_keys();

}  // namespace connectors
