// From bytes at the door to records: JSON arrays, NDJSON, CSV and plain lines, each record or its error. What a push
// carries, a file holds and an API answers all pass here, so that equal rows become equal records by every door.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/record_maker.h"
#include "connectors/table_shape.h"

namespace connectors {

/// Why one record of a body was not taken.
struct RecordError {
  std::int64_t line = 0;  // in the body, from 1
  std::string path;       // "[3].event_time", "column 4"
  std::string code;       // invalid_json, invalid_record, invalid_row, invalid_text, invalid_time, no_records,
                          // too_many_errors
  std::string message;
  std::int64_t row = 0;  // as RecordPosition counts; 0 for what is about no single row
};
platform::json::value to_json(const RecordError& error);

/// Where a record stood.
struct RecordPosition {
  std::int64_t row = 0;   // from 1; those that could not be read count, the names of a table do not
  std::int64_t line = 0;  // from 1, of the row's beginning
};

struct ParsedRecords {
  std::vector<platform::Observation> records;
  std::vector<RecordPosition> positions;  // of the records, one each
  std::vector<RecordError> errors;        // at most 10,001: the last one then says how many more there are
  std::int64_t rows = 0;                  // records and errors, all of them
  std::size_t consumed = 0;               // bytes; less than all only for a part that is not whole
  std::int64_t lines = 0;                 // newlines in them
};

/// `content_type`: media type or "" (then the input's format, else the first bytes decide). `profile` gives the key
/// template, its field names and the default `input`; an empty Profile has none. `source` is set on every record. A
/// body that is empty or holds a header alone is an error; an empty JSON array is none. Throws as table_shape() does.
ParsedRecords parse_records(std::string_view body, std::string_view content_type, const InputFormat& input,
                            const platform::Profile& profile, const std::string& source);

/// A piece of a longer text that is read bit by bit.
struct TextPart {
  std::string format;                 // csv, lines or ndjson
  const TableShape* shape = nullptr;  // of a csv
  bool whole = false;                 // the text ends here: its last record needs no newline
  bool first = false;                 // the text begins here: a byte order mark is passed over, and a header
  std::int64_t rows_before = 0;
  std::int64_t lines_before = 0;
  Place place;
};
/// Takes the complete records at the beginning of `text`; the rest is not consumed.
ParsedRecords parse_part(std::string_view text, const TextPart& part, const InputFormat& input,
                         const platform::Profile& profile, const std::string& source);

}  // namespace connectors
