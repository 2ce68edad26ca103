#include "connectors/record_parser.h"

#include <algorithm>

#include "connectors/json_array.h"

namespace connectors {

using platform::Error;
namespace json = platform::json;

namespace {

constexpr std::size_t kErrorsTold = 10'000;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

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

bool blank(std::string_view body) {
  if (body.starts_with(kByteOrderMark)) body.remove_prefix(kByteOrderMark.size());
  return body.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// One parse of one text.
class TextParser {
 public:
  TextParser(std::string_view text, const TextPart& part, const InputFormat& input, const platform::Profile& profile,
             const std::string& source)
      : text_(text), part_(part), input_(input), maker_(input, profile, source, part.place) {}

  ParsedRecords run() {
    if (part_.first && text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
    if (part_.format == "json") json_array();
    if (part_.format == "ndjson") json_lines();
    if (part_.format == "csv") table();
    if (part_.format == "lines") plain_lines();
    if (untold_ > 0) {
      parsed_.errors.push_back({untold_line_, "", "too_many_errors",
                                std::to_string(untold_) + " more records were not taken, from this line on"});
    }
    return std::move(parsed_);
  }

 private:
  void json_array() {
    const std::string_view body = text_.substr(at_);
    const std::size_t first = body.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return;
    if (body[first] == '{')
      return take_json(body.substr(first), 1 + std::count(body.begin(), body.begin() + first, '\n'), "");
    JsonArrayReader reader(body);
    std::int64_t index = 0;
    for (JsonElement element; reader.next(element); ++index) {
      const std::string path = "[" + std::to_string(index) + "]";
      if (element.error.empty())
        take_json(element.text, element.line, path);
      else
        refuse(element.line, path, "invalid_json", element.error);
    }
  }

  void json_lines() {
    for (std::string_view text; next_line(text);) {
      if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      take_json(text, line_, "");
    }
  }

  // Takes the next line; false if there is none, or none that is complete.
  bool next_line(std::string_view& line) {
    if (at_ >= text_.size()) return false;
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    if (end == text_.size() && !part_.whole) return false;
    line = text_.substr(at_, end - at_);
    at_ = std::min(end + 1, text_.size());
    ++line_;
    parsed_.consumed = at_;
    if (end < text_.size()) ++parsed_.lines;
    return true;
  }

  void refuse(std::int64_t line, std::string path, std::string code, std::string message) {
    ++parsed_.rows;
    if (parsed_.errors.size() < kErrorsTold)
      parsed_.errors.push_back({line, std::move(path), std::move(code), std::move(message), number()});
    else if (untold_++ == 0)
      untold_line_ = line;
  }

  void keep(platform::Observation record, std::int64_t line) {
    parsed_.records.push_back(std::move(record));
    ++parsed_.rows;
    parsed_.positions.push_back({number(), line});
  }

  // How many rows stand before the one at hand.
  std::int64_t number() const { return part_.rows_before + parsed_.rows; }

  void take_json(std::string_view text, std::int64_t line, const std::string& path) {
    json::value value;
    try {  // one bad record must not cost the others
      value = platform::parse_json(text, "the record");
    } catch (const Error& error) {
      return refuse(line, path, "invalid_json", error.what());
    }
    if (!value.is_object()) return refuse(line, path, "invalid_record", "a record must be a JSON object");
    try {
      keep(maker_.from_object(std::move(value.get_object()), number()), line);
    } catch (const Error& error) {
      const std::string inner = error.path().empty() ? path : path.empty() ? error.path() : path + "." + error.path();
      refuse(line, inner, "invalid_record", error.what());
    }
  }

  void table() {
    // Without a shape there are at most names and broken rows.
    const TableShape shape = part_.shape != nullptr ? *part_.shape : TableShape{.header = true};
    CsvParser parser(text_, shape.dialect, part_.whole, part_.lines_before + 1);
    bool header = part_.first && shape.header;
    for (CsvRow row; parser.next(row);) {
      if (!header || !row.error.empty())
        take_row(shape.columns, row, shape.decimal_comma.value_or(false));
      else
        header = false;
    }
    parsed_.consumed = parser.consumed();
    parsed_.lines = parser.line() - part_.lines_before - 1;
  }

  void take_row(const std::vector<std::string>& columns, const CsvRow& row, bool comma) {
    if (!row.error.empty()) return refuse(row.line, "", "invalid_row", row.error);
    try {  // one bad row must not cost the others
      keep(maker_.from_cells(columns, row.cells, comma, number()), row.line);
    } catch (const Error& error) {
      refuse(row.line, error.path(), "invalid_row", error.what());
    }
  }

  void plain_lines() {
    const std::vector<std::string> columns = input_.columns.empty() ? std::vector<std::string>{"text"} : input_.columns;
    for (std::string_view text; next_line(text);) {
      if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
      if (text.find_first_not_of(" \t") == std::string_view::npos) continue;
      CsvRow row;
      row.line = line_;
      const std::size_t cut = input_.split_last.empty() ? std::string_view::npos : text.rfind(input_.split_last);
      if (!input_.split_last.empty() && cut == std::string_view::npos) {
        row.error = "the line has no '" + input_.split_last + "'";
      } else if (cut != std::string_view::npos) {
        row.cells = {std::string(text.substr(0, cut)), std::string(text.substr(cut + input_.split_last.size()))};
      } else {
        row.cells = {std::string(text)};
      }
      take_row(columns, row, false);
    }
  }

  std::string_view text_;
  const TextPart& part_;
  const InputFormat& input_;
  RecordMaker maker_;
  ParsedRecords parsed_;
  std::size_t at_ = 0;
  std::int64_t line_ = part_.lines_before;  // of the last line taken
  std::int64_t untold_ = 0, untold_line_ = 0;
};

}  // namespace

json::value to_json(const RecordError& error) {
  return json::object{{"line", error.line}, {"path", error.path}, {"code", error.code}, {"message", error.message}};
}

ParsedRecords parse_part(std::string_view text, const TextPart& part, const InputFormat& input,
                         const platform::Profile& profile, const std::string& source) {
  return TextParser(text, part, input, profile, source).run();
}

ParsedRecords parse_records(std::string_view body, std::string_view content_type, const InputFormat& input,
                            const platform::Profile& profile, const std::string& source) {
  TextPart part;
  part.format = format_of(body, content_type, input);
  part.whole = part.first = true;
  std::optional<TableShape> shape;
  if (part.format == "csv") shape = table_shape(body, input, true);
  if (shape) part.shape = &*shape;
  ParsedRecords parsed = parse_part(body, part, input, profile, source);
  if (parsed.rows == 0 && (part.format != "json" || blank(body))) {
    ++parsed.rows;
    parsed.errors.push_back({1, "", "no_records",
                             blank(body) ? "the body or file is empty; there is no record in it"
                                         : "there is a header and no row; set input.header to "
                                           "false if the line is a record",
                             1});
  }
  return parsed;
}

}  // namespace connectors
