// From bytes at the door to records: JSON arrays, NDJSON, CSV and plain lines, each record or its error. What a push
// carries, a file holds and an API answers all pass here, so that equal rows become equal records by every door.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/csv.h"
#include "connectors/input_format.h"
#include "platform/dataset/observation.h"
#include "platform/dataset/profile.h"

namespace connectors {

/// Why one record of a body was not taken.
struct RecordError {
  std::int64_t line = 0;  // in the body, from 1
  std::string path;       // "[3].event_time", "column 4"
  std::string code;       // invalid_json, invalid_record, invalid_row, invalid_text, invalid_time
  std::string message;
};
platform::json::value to_json(const RecordError& error);

struct ParsedRecords {
  std::vector<platform::Observation> records;
  std::vector<RecordError> errors;
};

/// `content_type`: media type or "" (then the input's format, else the first bytes decide). `profile` gives the key
/// template, its field names and the default `input`; an empty Profile has none. `source` is set on every record.
ParsedRecords parse_records(std::string_view body, std::string_view content_type, const InputFormat& input,
                            const platform::Profile& profile, const std::string& source);

/// Makes records of objects and rows one by one; remembers how often equal content came, so that equal rows of one body
/// get different keys and the same body again gets the same ones.
class RecordMaker {
 public:
  RecordMaker(const InputFormat& input, const platform::Profile& profile, std::string source);

  /// A flat object of fields, or {fields, key, event_time, text, signals, quality}. Throws kInvalidInput.
  platform::Observation from_object(platform::json::object object, std::int64_t row_number);
  /// Throws kInvalidInput if the numbers of cells and columns differ.
  platform::Observation from_cells(const std::vector<std::string>& columns, const std::vector<std::string>& cells,
                                   bool decimal_comma, std::int64_t row_number);

 private:
  platform::Observation finish(platform::Observation row, std::int64_t row_number);
  std::string content_key(const platform::json::object& fields);
  void read_time(platform::Observation& row) const;

  const InputFormat& input_;
  const platform::Profile& profile_;
  std::string source_;
  std::map<std::string, int> seen_;
};

/// A cell as the value it looks like: whole number, number, else text. "007" and "+5" stay text.
platform::json::value typed_cell(std::string_view cell, bool decimal_comma);

}  // namespace connectors
