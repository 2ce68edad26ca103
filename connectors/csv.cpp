#include "connectors/csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace connectors {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kCellLimit = 16 << 20;
constexpr std::size_t kMostCells = 100'000;
constexpr std::size_t kReach = 1 << 20;  // how far behind its first line a row's quotes may close

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

std::vector<CsvRow> sample_rows(std::string_view sample, const CsvDialect& dialect, std::size_t most = 100) {
  std::vector<CsvRow> rows;
  CsvParser parser(sample, dialect, false);
  for (CsvRow row; rows.size() < most && parser.next(row);) rows.push_back(row);
  if (rows.empty()) {
    CsvParser whole(sample, dialect, true);
    for (CsvRow row; rows.size() < most && whole.next(row);) rows.push_back(row);
  }
  return rows;
}

}  // namespace

// Where reading of one row stands.
struct CsvParser::Place {
  std::size_t at = 0;
  std::int64_t lines = 0;                      // newlines passed
  std::size_t reach = 0;                       // bytes that may follow the first newline
  std::size_t limit = std::string_view::npos;  // where quotes must have closed; known from the first newline on
};

CsvParser::CsvParser(std::string_view text, CsvDialect dialect, bool whole, std::int64_t first_line)
    : text_(text), dialect_(dialect), whole_(whole), line_(first_line) {
  if (text_.substr(0, kByteOrderMark.size()) == kByteOrderMark) at_ = kByteOrderMark.size();
}

bool CsvParser::end_of_line(std::size_t at) const { return text_[at] == '\n' || text_[at] == '\r'; }

// Reads from the opening quote.
CsvParser::Reading CsvParser::quoted_cell(Place& place, std::string& cell) const {
  const std::int64_t lines_before = place.lines;
  std::size_t& at = ++place.at;
  while (at < text_.size() && at < place.limit && cell.size() <= kCellLimit) {
    if (text_[at] == '\n' && ++place.lines == 1) place.limit = at + place.reach;
    if (text_[at] != dialect_.quote) {
      cell += text_[at++];
      continue;
    }
    if (at + 1 < text_.size() && text_[at + 1] == dialect_.quote) {
      cell += dialect_.quote;
      at += 2;
      continue;
    }
    // Text between the closing quote and the delimiter belongs to the cell, as spreadsheets read it; on a later line
    // it is the quote of another row, and this cell's own is missing.
    for (++at; at < text_.size() && text_[at] != dialect_.delimiter && !end_of_line(at); ++at) {
      if (is_blank(text_[at])) continue;
      if (place.lines > lines_before) return Reading::kBroken;
      cell += text_[at];
    }
    return Reading::kDone;
  }
  return at < text_.size() || whole_ ? Reading::kBroken : Reading::kMore;
}

CsvParser::Reading CsvParser::read_row(Place& place, CsvRow& row) const {
  const bool blanks = dialect_.delimiter == ' ';
  std::size_t& at = place.at;
  while (row.cells.size() <= kMostCells) {
    while (blanks && at < text_.size() && is_blank(text_[at])) ++at;
    if (blanks && at < text_.size() && end_of_line(at)) break;
    std::string cell;
    if (at < text_.size() && text_[at] == dialect_.quote) {
      const Reading reading = quoted_cell(place, cell);
      if (reading != Reading::kDone) return reading;
    } else {
      while (at < text_.size() && text_[at] != dialect_.delimiter && !end_of_line(at) &&
             !(blanks && is_blank(text_[at])))
        cell += text_[at++];
    }
    const bool ended = at >= text_.size() || end_of_line(at);
    if (!(blanks && cell.empty() && at >= text_.size())) row.cells.push_back(std::move(cell));
    if (ended) break;
    ++at;
  }
  if (row.cells.size() > kMostCells) return Reading::kBroken;
  if (at >= text_.size()) return whole_ ? Reading::kDone : Reading::kMore;
  if (text_[at] == '\r' && at + 1 >= text_.size() && !whole_) return Reading::kMore;
  if (text_[at] == '\r' && at + 1 < text_.size() && text_[at + 1] == '\n') ++at;
  ++at;
  ++place.lines;
  return Reading::kDone;
}

void CsvParser::pass_line(Place& place) const {
  place = {.at = text_.find_first_of("\r\n", at_)};
  if (place.at == std::string_view::npos) {
    place.at = text_.size();
    return;
  }
  if (text_.substr(place.at, 2) == "\r\n") ++place.at;
  ++place.at;
  place.lines = 1;
}

bool CsvParser::next(CsvRow& row) {
  while (at_ < text_.size()) {
    row = {};
    row.line = line_;
    row.begin = at_;
    Place place{.at = at_, .reach = spent_ > 4 * text_.size() + 16 * kReach ? 0 : kReach};
    const Reading reading = read_row(place, row);
    if (reading == Reading::kMore) return false;
    if (reading == Reading::kBroken) {
      row.error = row.cells.size() > kMostCells
                      ? "the row has more than " + std::to_string(kMostCells) + " cells; check the delimiter"
                      : "a quote of cell " + std::to_string(row.cells.size() + 1) + " is never closed; close it";
      row.cells.clear();
      spent_ += place.at - at_;
      pass_line(place);
    }
    row.end = at_ = place.at;
    line_ += place.lines;
    const bool blank =
        row.cells.empty() || (row.cells.size() == 1 && row.cells[0].find_first_not_of(" \t") == std::string::npos);
    if (!row.error.empty() || !blank) return true;
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

std::optional<bool> decimal_comma_of(std::string_view sample, const CsvDialect& dialect, std::size_t rows) {
  if (dialect.delimiter == ',') return false;
  std::size_t with_comma = 0, with_point = 0;
  for (const CsvRow& row : sample_rows(sample, dialect, rows)) {
    for (const std::string& cell : row.cells) {
      if (cell.find(',') != std::string::npos && is_number(cell, true)) ++with_comma;
      if (cell.find('.') != std::string::npos && is_number(cell, false)) ++with_point;
    }
  }
  if (with_comma == 0 && with_point == 0) return std::nullopt;
  return with_comma > with_point;
}

bool detect_decimal_comma(std::string_view sample, const CsvDialect& dialect) {
  return decimal_comma_of(sample, dialect).value_or(false);
}

bool looks_like_header(const std::vector<std::string>& cells) {
  std::set<std::string> seen;
  for (const std::string& cell : cells) {
    if (is_number(cell, true) || !seen.insert(cell).second) return false;
  }
  return seen.size() > (seen.contains("") ? 1 : 0);
}

}  // namespace connectors
