#include "connectors/record_parser.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "platform/base/digest.h"
#include "platform/dataset/render.h"
#include "platform/dataset/unicode_text.h"

namespace connectors {

using platform::Error;
using platform::ErrorCode;
using platform::Observation;
namespace json = platform::json;

namespace {

struct Piece {
  std::string_view text;
  std::int64_t line = 1;
};

// The elements of a JSON array by brackets and strings alone, so that one broken element does not cost the others.
std::vector<Piece> array_elements(std::string_view body, std::string& error) {
  std::vector<Piece> pieces;
  std::int64_t line = 1;
  int depth = 0;
  bool in_string = false;
  std::size_t begin = std::string_view::npos;
  std::int64_t begin_line = 1;
  const auto close = [&](std::size_t end) {
    if (begin != std::string_view::npos) pieces.push_back({body.substr(begin, end - begin), begin_line});
    begin = std::string_view::npos;
  };
  for (std::size_t at = 0; at < body.size(); ++at) {
    const char c = body[at];
    if (c == '\n') ++line;
    if (in_string) {
      if (c == '\\') ++at;
      if (c == '"') in_string = false;
      continue;
    }
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (depth == 1 && c == ',') {
      close(at);
      continue;
    }
    if (c == ']' || c == '}') --depth;
    if (depth == 0) {
      if (c == ']') {
        close(at);
        if (body.find_first_not_of(" \t\r\n", at + 1) != std::string_view::npos) error = "text follows the array";
        return pieces;
      }
      if (!blank && c != '[') error = "a JSON array was expected";
    } else if (depth >= 1 && !blank && begin == std::string_view::npos && !(depth == 1 && c == ']')) {
      begin = at;
      begin_line = line;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') ++depth;
  }
  error = "the array is never closed";
  close(body.size());
  return pieces;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

std::string format_of(std::string_view body, std::string_view content_type, const InputFormat& input) {
  const std::string type = lower(content_type.substr(0, content_type.find(';')));
  if (type == "application/x-ndjson" || type == "application/jsonl" || type == "application/ndjson") return "ndjson";
  if (type == "application/json") return "json";
  if (type == "text/csv" || type == "text/tab-separated-values") return input.format == "lines" ? "lines" : "csv";
  if (!input.format.empty()) return input.format;
  const std::size_t first = body.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first != std::string_view::npos && body[first] == '[') return "json";
  if (first != std::string_view::npos && body[first] == '{') return "ndjson";
  return "csv";
}

// One parse of one body.
class BodyParser {
 public:
  BodyParser(std::string_view body, const InputFormat& input, const platform::Profile& profile,
             const std::string& source)
      : body_(body), input_(input), maker_(input, profile, source) {}

  ParsedRecords run(const std::string& format) {
    if (format == "json") json_array();
    if (format == "ndjson") json_lines();
    if (format == "csv") table();
    if (format == "lines") plain_lines();
    return std::move(parsed_);
  }

 private:
  void json_array() {
    const std::size_t first = body_.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return;
    if (body_[first] == '{') return take_json({body_.substr(first), 1}, "", 0);
    std::string error;
    const std::vector<Piece> pieces = array_elements(body_, error);
    if (pieces.empty() && !error.empty()) parsed_.errors.push_back({1, "", "invalid_json", error});
    for (std::size_t i = 0; i < pieces.size(); ++i)
      take_json(pieces[i], "[" + std::to_string(i) + "]", static_cast<std::int64_t>(i));
    if (!pieces.empty() && !error.empty()) parsed_.errors.push_back({pieces.back().line, "", "invalid_json", error});
  }

  void json_lines() {
    std::int64_t line = 0, index = 0;
    for (std::size_t at = 0; at < body_.size();) {
      const std::size_t end = std::min(body_.find('\n', at), body_.size());
      const std::string_view text = body_.substr(at, end - at);
      at = end + 1;
      ++line;
      if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      take_json({text, line}, "", index++);
    }
  }

  void take_json(const Piece& piece, const std::string& path, std::int64_t index) {
    json::value value;
    try {  // one bad record must not cost the others
      value = platform::parse_json(piece.text, "the record");
    } catch (const Error& error) {
      parsed_.errors.push_back({piece.line, path, "invalid_json", error.what()});
      return;
    }
    if (!value.is_object()) {
      parsed_.errors.push_back({piece.line, path, "invalid_record", "a record must be a JSON object"});
      return;
    }
    try {
      parsed_.records.push_back(maker_.from_object(std::move(value.get_object()), input_.first_row + index));
    } catch (const Error& error) {
      const std::string inner = error.path().empty() ? path : path.empty() ? error.path() : path + "." + error.path();
      parsed_.errors.push_back({piece.line, inner, "invalid_record", error.what()});
    }
  }

  void table() {
    const std::string_view sample = body_.substr(0, 64 << 10);
    CsvDialect dialect = detect_dialect(sample);
    if (input_.delimiter) dialect.delimiter = *input_.delimiter;
    const bool comma = input_.decimal_comma.value_or(detect_decimal_comma(sample, dialect));
    CsvParser parser(body_, dialect);
    std::vector<std::string> columns = input_.columns;
    std::int64_t number = input_.first_row;
    bool first = true;
    for (CsvRow row; parser.next(row);) {
      if (first) {
        first = false;
        const bool header = columns.empty() ? input_.header.value_or(looks_like_header(row.cells))
                                            : input_.header.value_or(row.cells == columns);
        if (columns.empty()) columns = header ? trimmed(row.cells) : numbered(row.cells.size());
        if (header) continue;
      }
      take_row(columns, row, comma, number++);
    }
  }

  static std::vector<std::string> trimmed(std::vector<std::string> cells) {
    for (std::string& cell : cells) {
      const std::size_t begin = std::min(cell.find_first_not_of(" \t"), cell.size());
      cell = cell.substr(begin, cell.find_last_not_of(" \t") - begin + 1);
    }
    return cells;
  }
  static std::vector<std::string> numbered(std::size_t count) {
    std::vector<std::string> names;
    for (std::size_t i = 1; i <= count; ++i) names.push_back("c" + std::to_string(i));
    return names;
  }

  void take_row(const std::vector<std::string>& columns, const CsvRow& row, bool comma, std::int64_t number) {
    if (!row.error.empty()) {
      parsed_.errors.push_back({row.line, "", "invalid_row", row.error});
      return;
    }
    try {  // one bad row must not cost the others
      parsed_.records.push_back(maker_.from_cells(columns, row.cells, comma, number));
    } catch (const Error& error) {
      parsed_.errors.push_back({row.line, error.path(), "invalid_row", error.what()});
    }
  }

  void plain_lines() {
    const std::vector<std::string> columns = input_.columns.empty() ? std::vector<std::string>{"text"} : input_.columns;
    std::int64_t line = 0, number = input_.first_row;
    for (std::size_t at = 0; at < body_.size();) {
      const std::size_t end = std::min(body_.find('\n', at), body_.size());
      std::string_view text = body_.substr(at, end - at);
      at = end + 1;
      ++line;
      if (line == 1 && text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
      if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
      if (text.find_first_not_of(" \t") == std::string_view::npos) continue;
      CsvRow row;
      row.line = line;
      const std::size_t cut = input_.split_last.empty() ? std::string_view::npos : text.rfind(input_.split_last);
      if (!input_.split_last.empty() && cut == std::string_view::npos) {
        row.error = "the line has no '" + input_.split_last + "'";
      } else if (cut != std::string_view::npos) {
        row.cells = {std::string(text.substr(0, cut)), std::string(text.substr(cut + input_.split_last.size()))};
      } else {
        row.cells = {std::string(text)};
      }
      take_row(columns, row, false, number++);
    }
  }

  std::string_view body_;
  const InputFormat& input_;
  RecordMaker maker_;
  ParsedRecords parsed_;
};

}  // namespace

json::value to_json(const RecordError& error) {
  return json::object{{"line", error.line}, {"path", error.path}, {"code", error.code}, {"message", error.message}};
}

json::value typed_cell(std::string_view cell, bool decimal_comma) {
  const std::size_t digits = cell.find_first_not_of('-');
  const bool leading_zero = digits != std::string_view::npos && digits + 1 < cell.size() && cell[digits] == '0' &&
                            cell[digits + 1] >= '0' && cell[digits + 1] <= '9';
  if (cell.empty() || leading_zero || cell.find_first_not_of("0123456789-.,eE+") != std::string_view::npos ||
      cell[0] == '+')
    return json::value(cell);
  std::string copy(cell);
  if (decimal_comma && std::count(copy.begin(), copy.end(), ',') == 1 && copy.find('.') == std::string::npos)
    copy[copy.find(',')] = '.';
  const char* begin = copy.data();
  const char* end = begin + copy.size();
  std::int64_t whole = 0;
  if (const auto [stop, error] = std::from_chars(begin, end, whole); error == std::errc() && stop == end) return whole;
  double number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  // A long run of digits without a point is an identifier, not a measurement.
  const bool point = copy.find_first_of(".eE") != std::string::npos;
  if (error == std::errc() && stop == end && point && std::isfinite(number)) return number;
  return json::value(cell);
}

RecordMaker::RecordMaker(const InputFormat& input, const platform::Profile& profile, std::string source)
    : input_(input), profile_(profile), source_(std::move(source)) {}

std::string RecordMaker::content_key(const json::object& fields) {
  const std::string hash = platform::sha256_hex(platform::canonical_json(fields)).substr(0, 32);
  const int again = ++seen_[hash];
  return again == 1 ? hash : hash + "-" + std::to_string(again);
}

void RecordMaker::read_time(Observation& row) const {
  if (row.event_time != platform::Time{}) return;
  if (!input_.time.empty()) {
    const json::value* value = row.fields.if_contains(input_.time);
    if (value == nullptr || !value->is_string())
      throw Error(ErrorCode::kInvalidInput, "the record has no time in '" + input_.time + "'", input_.time);
    row.event_time = platform::parse_time(std::string_view(value->get_string()));
    return;
  }
  for (const char* name : {"event_time", "timestamp", "time"}) {
    const json::value* value = row.fields.if_contains(name);
    if (value == nullptr || !value->is_string()) continue;
    const std::string_view text(value->get_string());
    if (text.size() < 19 || text[4] != '-' || text[7] != '-') continue;
    row.event_time = platform::parse_time(text);
    return;
  }
}

Observation RecordMaker::finish(Observation row, std::int64_t row_number) {
  row.source = source_;
  for (const auto& pair : input_.constants) row.fields[pair.key()] = pair.value();
  if (!input_.row_number.empty()) row.fields[input_.row_number] = row_number;
  read_time(row);
  if (!row.key.empty()) return row;
  const std::string& wanted = input_.key.empty() ? profile_.key : input_.key;
  if (wanted.empty()) {
    row.key = content_key(row.fields);
    return row;
  }
  const std::optional<std::string> key = platform::fill_template(profile_, row, wanted);
  if (!key || key->empty())
    throw Error(ErrorCode::kInvalidInput, "the record lacks a field of its key " + wanted, "key");
  row.key = *key;
  return row;
}

Observation RecordMaker::from_object(json::object object, std::int64_t row_number) {
  json::value normal = std::move(object);
  platform::normalize_strings(normal);
  json::object& record = normal.get_object();
  Observation row;
  const json::value* fields = record.if_contains("fields");
  if (fields == nullptr || !fields->is_object()) {
    if (record.empty()) throw Error(ErrorCode::kInvalidInput, "the record is empty");
    row.fields = std::move(record);
    return finish(std::move(row), row_number);
  }
  platform::refuse_unknown_keys(record, {"fields", "key", "event_time", "text", "signals", "quality"}, "");
  row.fields = fields->get_object();
  row.key = platform::string_or(record, "key", "", "");
  if (platform::find(record, "event_time") != nullptr)
    row.event_time = platform::parse_time(platform::require_string(record, "event_time", ""));
  if (platform::find(record, "text") != nullptr) row.fields["text"] = platform::require_string(record, "text", "");
  if (const json::value* signals = platform::find(record, "signals")) {
    row.signals = platform::example_from_json(json::object{{"prompt", "-"}, {"signals", *signals}}).signals;
  }
  row.usable = platform::string_or(record, "quality", "good", "") != "bad";
  return finish(std::move(row), row_number);
}

Observation RecordMaker::from_cells(const std::vector<std::string>& columns, const std::vector<std::string>& cells,
                                    bool decimal_comma, std::int64_t row_number) {
  if (cells.size() != columns.size()) {
    throw Error(ErrorCode::kInvalidInput,
                "the row has " + std::to_string(cells.size()) + " cells where " + std::to_string(columns.size()) +
                    " columns are named",
                "column " + std::to_string(std::min(cells.size(), columns.size()) + 1));
  }
  Observation row;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string text = platform::normalized_text(cells[i]);
    row.fields[platform::normalized_text(columns[i])] =
        input_.detect_types ? typed_cell(text, decimal_comma) : json::value(text);
  }
  return finish(std::move(row), row_number);
}

ParsedRecords parse_records(std::string_view body, std::string_view content_type, const InputFormat& input,
                            const platform::Profile& profile, const std::string& source) {
  return BodyParser(body, input, profile, source).run(format_of(body, content_type, input));
}

}  // namespace connectors
