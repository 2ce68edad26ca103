// A file of records in portions that each can be posted by itself: cut between records, with the table's heading
// repeated and everything pinned that the server would otherwise guess from the portion's own rows. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "connectors/input_format.h"
#include "connectors/table_shape.h"
#include "platform/base/file.h"

namespace web {

struct Portion {
  std::string body;
  std::string content_type;
  std::map<std::string, std::string> query;  // pinned settings; empty when the whole file is one portion
  std::int64_t line_shift = 0;               // line of the file = line of the body + line_shift
  std::uint64_t file_bytes = 0;              // of the file that it covers
};

/// The media type that the file's name tells: .csv, .tsv, .json, .jsonl, .ndjson; "" for any other.
std::string content_type_of_name(const std::string& file);

class PortionReader {
 public:
  /// `input`: how the server reads this source's records, as far as it is known here. `file`: "-" is standard input.
  /// Throws kNotFound, and kInvalidInput for a compressed file.
  PortionReader(const std::string& file, connectors::InputFormat input, std::size_t portion_bytes);

  /// nullopt at the end. Throws as connectors::table_shape() does for a heading that says a name twice, kTooLarge for a
  /// JSON array or a record that does not fit a request.
  std::optional<Portion> next();
  /// Unknown for standard input.
  std::optional<std::uint64_t> total_bytes() const { return total_bytes_; }

 private:
  void fill(std::size_t bytes);
  void find_format();
  Portion whole_file();
  Portion cut();
  /// Bytes of the buffer up to the end of its last whole record, the records and the lines in them.
  struct Extent {
    std::size_t bytes = 0;
    std::int64_t records = 0;
    std::int64_t lines = 0;
  };
  Extent rows_of_table() const;
  Extent lines_of_text() const;
  void take_heading();

  std::string file_;
  connectors::InputFormat input_;
  std::size_t portion_bytes_;
  platform::FileDescriptor descriptor_;
  std::optional<std::uint64_t> total_bytes_;
  std::string buffer_;  // read and not given out
  bool ended_ = false;
  bool begun_ = false;
  bool first_ = true;             // the next portion is the first one
  std::string format_;            // csv, lines, json, ndjson
  connectors::TableShape shape_;  // of a table
  std::string before_heading_;    // rows of the first portion that cannot be read
  std::string heading_;           // the row of names with its newline, if there is one
  std::int64_t rows_before_heading_ = 0;
  std::int64_t lines_before_ = 0;
  std::int64_t rows_before_ = 0;
};

}  // namespace web
