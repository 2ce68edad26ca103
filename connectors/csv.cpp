#include "connectors/csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace connectors {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kCellLimit = 16 << 20;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool is_number(std::string_view text, bool comma) {
  std::string copy(text);
  if (comma) std::replace(copy.begin(), copy.end(), ',', '.');
  const char* begin = copy.data();
  if (!copy.empty() && *begin == '+') ++begin;
  double value = 0;
  const auto [stop, error] = std::from_chars(begin, copy.data() + copy.size(), value);
  return error == std::errc() && stop == copy.data() + copy.size() && begin != stop;
}

std::vector<CsvRow> sample_rows(std::string_view sample, const CsvDialect& dialect) {
  std::vector<CsvRow> rows;
  CsvParser parser(sample, dialect, false);
  for (CsvRow row; rows.size() < 100 && parser.next(row);) rows.push_back(row);
  if (rows.empty()) {
    CsvParser whole(sample, dialect, true);
    for (CsvRow row; rows.size() < 100 && whole.next(row);) rows.push_back(row);
  }
  return rows;
}

}  // namespace

CsvParser::CsvParser(std::string_view text, CsvDialect dialect, bool whole, std::int64_t first_line)
    : text_(text), dialect_(dialect), whole_(whole), line_(first_line) {
  if (text_.substr(0, kByteOrderMark.size()) == kByteOrderMark) at_ = kByteOrderMark.size();
}

bool CsvParser::end_of_line(std::size_t at) const { return text_[at] == '\n' || text_[at] == '\r'; }

// Reads from the opening quote; false if the text ends inside the cell.
bool CsvParser::quoted_cell(std::size_t& at, std::string& cell, CsvRow& row, std::int64_t& lines) const {
  const std::size_t open = at++;
  while (at < text_.size()) {
    if (text_[at] == dialect_.quote) {
      if (at + 1 < text_.size() && text_[at + 1] == dialect_.quote) {
        cell += dialect_.quote;
        at += 2;
        continue;
      }
      ++at;
      // Text between the closing quote and the delimiter belongs to the cell, as spreadsheets read it.
      while (at < text_.size() && text_[at] != dialect_.delimiter && !end_of_line(at)) {
        if (!is_blank(text_[at])) cell += text_[at];
        ++at;
      }
      return true;
    }
    if (text_[at] == '\n') ++lines;
    if (cell.size() > kCellLimit) break;
    cell += text_[at++];
  }
  row.error = "a quote opened at byte " + std::to_string(open) + " is never closed";
  return false;
}

// False if the row is not complete yet.
bool CsvParser::read_row(CsvRow& row, std::size_t& at, std::int64_t& lines) const {
  const bool blanks = dialect_.delimiter == ' ';
  std::string cell;
  while (true) {
    if (blanks) {
      while (at < text_.size() && is_blank(text_[at])) ++at;
      if (at < text_.size() && end_of_line(at)) break;
    }
    if (at < text_.size() && text_[at] == dialect_.quote) {
      if (!quoted_cell(at, cell, row, lines)) {
        if (!whole_) return false;
      }
    } else {
      while (at < text_.size() && text_[at] != dialect_.delimiter && !end_of_line(at) &&
             !(blanks && is_blank(text_[at])))
        cell += text_[at++];
    }
    const bool ended = at >= text_.size() || end_of_line(at);
    if (!(blanks && ended && cell.empty() && at >= text_.size())) row.cells.push_back(std::move(cell));
    cell.clear();
    if (ended) break;
    ++at;
  }
  if (at >= text_.size()) return whole_;
  if (text_[at] == '\r' && at + 1 >= text_.size() && !whole_) return false;
  if (text_[at] == '\r' && at + 1 < text_.size() && text_[at + 1] == '\n') ++at;
  ++at;
  ++lines;
  return true;
}

bool CsvParser::next(CsvRow& row) {
  while (at_ < text_.size()) {
    row = {};
    row.line = line_;
    row.begin = at_;
    std::size_t at = at_;
    std::int64_t lines = 0;
    if (!read_row(row, at, lines)) return false;
    const std::size_t stop = at;
    row.end = stop;
    at_ = stop;
    line_ += lines;
    const bool blank =
        row.cells.empty() ||
        (row.cells.size() == 1 && row.cells[0].find_first_not_of(" \t") == std::string::npos && row.error.empty());
    if (!blank) return true;
  }
  return false;
}

CsvDialect detect_dialect(std::string_view sample) {
  CsvDialect best;
  double best_score = 0;
  for (const char delimiter : {',', ';', '\t', '|', ' '}) {
    const CsvDialect dialect{delimiter, '"'};
    const std::vector<CsvRow> rows = sample_rows(sample, dialect);
    if (rows.empty() || rows[0].cells.size() < 2) continue;
    std::size_t equal = 0;
    for (const CsvRow& row : rows) equal += row.cells.size() == rows[0].cells.size() ? 1 : 0;
    const double agreement = static_cast<double>(equal) / static_cast<double>(rows.size());
    // Agreement first, then cells; blanks only where nothing else splits the lines.
    const double score = agreement * 1000 + static_cast<double>(std::min<std::size_t>(rows[0].cells.size(), 500)) -
                         (delimiter == ' ' ? 400 : 0);
    if (score > best_score) {
      best_score = score;
      best = dialect;
    }
  }
  return best;
}

bool detect_decimal_comma(std::string_view sample, const CsvDialect& dialect) {
  if (dialect.delimiter == ',') return false;
  std::size_t with_comma = 0, with_point = 0;
  for (const CsvRow& row : sample_rows(sample, dialect)) {
    for (const std::string& cell : row.cells) {
      if (cell.find(',') != std::string::npos && is_number(cell, true)) ++with_comma;
      if (cell.find('.') != std::string::npos && is_number(cell, false)) ++with_point;
    }
  }
  return with_comma > with_point;
}

bool looks_like_header(const std::vector<std::string>& cells) {
  std::set<std::string> seen;
  for (const std::string& cell : cells) {
    if (cell.empty() || is_number(cell, true) || !seen.insert(cell).second) return false;
  }
  return !cells.empty();
}

}  // namespace connectors
