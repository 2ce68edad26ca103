// Tables as text: rows of cells with any delimiter, quoted cells that hold delimiters, quotes and newlines, CR LF or
// LF, a byte order mark, or columns separated by runs of blanks. The parser never fails: a row that is wrong carries
// its error and the next row goes on. A quote that is not closed costs the line it stands on: that is one that the
// text, 1 MiB of further lines or a closing quote with more text behind it ends. The time is linear: where unclosed
// quotes were looked for too often, a quote has to close on its own line. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace connectors {

struct CsvDialect {
  char delimiter = ',';  // ' ' = runs of blanks and tabs, those at the ends of a line ignored
  char quote = '"';
  bool operator==(const CsvDialect&) const = default;
};

struct CsvRow {
  std::vector<std::string> cells;
  std::int64_t line = 0;  // of the row's first line, from 1
  std::size_t begin = 0;  // byte offsets in the text; end is past the newline
  std::size_t end = 0;
  std::string error;  // e.g. a quote that never closes; then there are no cells
};

class CsvParser {
 public:
  /// `text` must outlive the parser. `whole`: the text ends here; otherwise a last row without its newline is not given
  /// out, so that a growing file is read again from consumed().
  CsvParser(std::string_view text, CsvDialect dialect, bool whole = true, std::int64_t first_line = 1);

  /// False at the end. Blank lines are passed over.
  bool next(CsvRow& row);
  /// Bytes up to the end of the last row given out (or blank line passed over).
  std::size_t consumed() const { return at_; }
  std::int64_t line() const { return line_; }

 private:
  enum class Reading { kDone, kMore, kBroken };  // kMore: the text ends inside
  struct Place;
  Reading quoted_cell(Place& place, std::string& cell) const;
  Reading read_row(Place& place, CsvRow& row) const;
  void pass_line(Place& place) const;
  bool end_of_line(std::size_t at) const;

  std::string_view text_;
  CsvDialect dialect_;
  bool whole_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
  std::size_t spent_ = 0;  // bytes read in vain by rows whose quote is not closed
};

/// The delimiter (, ; tab | blank) under which the sample's rows agree best on their number of cells.
CsvDialect detect_dialect(std::string_view sample);
/// Whether numbers are written 12,5 rather than 12.5; nullopt if none of the first `rows` rows tells.
std::optional<bool> decimal_comma_of(std::string_view sample, const CsvDialect& dialect, std::size_t rows = 100);
/// Numbers of the sample are written 12,5 rather than 12.5.
bool detect_decimal_comma(std::string_view sample, const CsvDialect& dialect);
/// True if the row looks like names: no cell is a number or said twice, and at most one is empty beside others (the
/// unnamed index that pandas writes).
bool looks_like_header(const std::vector<std::string>& cells);

}  // namespace connectors
