// Where reading of one file stands, as the cursor keeps it. Plain value.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "connectors/table_shape.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace connectors {

struct FileState {
  std::int64_t offset = 0;      // of the next row
  std::int64_t line = 1;        // of the next row
  std::int64_t row = 0;         // rows given out, those with errors too
  std::int64_t generation = 0;  // how often the file was replaced
  std::int64_t head_size = 0;
  std::string head;            // hash of the first head_size bytes
  std::string format;          // csv, lines or ndjson; empty while the first rows have not told
  TableShape shape;            // of a csv
  platform::Time last_time{};  // of the last record, else when it was read
  bool complete = false;       // everything that the file held at the last look was taken
  bool passing_over = false;   // inside a row that is too long

  /// Throws kInvalidInput for what is no state.
  static FileState from_json(const platform::json::value& value);
  platform::json::value to_json() const;
};

/// The file's name in cursors: the name itself, with bytes that are not UTF-8 percent-encoded.
std::string file_id(const std::filesystem::path& file);

}  // namespace connectors
