#include "connectors/record_maker.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "platform/base/digest.h"
#include "platform/dataset/render.h"
#include "platform/dataset/storable.h"
#include "platform/dataset/unicode_text.h"

namespace connectors {

using platform::Error;
using platform::ErrorCode;
using platform::Observation;
namespace json = platform::json;

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

RecordMaker::RecordMaker(const InputFormat& input, const platform::Profile& profile, std::string source, Place place)
    : input_(input), profile_(profile), source_(std::move(source)), place_(std::move(place)) {}

std::string RecordMaker::content_key(const json::object& fields, std::int64_t row) {
  const std::string hash = platform::sha256_hex(platform::canonical_json(fields)).substr(0, 32);
  if (place_.by_row) return hash.substr(0, 16) + "@" + place_.name + ":" + std::to_string(row + 1);
  const int again = ++seen_[hash];
  std::string key = again == 1 ? hash : hash + "-" + std::to_string(again);
  return place_.name.empty() ? key : key + "@" + place_.name;
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

Observation RecordMaker::finish(Observation row, std::int64_t number) {
  row = with_key(std::move(row), number);
  if (const auto reason = platform::what_cannot_be_stored(row)) throw Error(ErrorCode::kInvalidInput, *reason);
  return row;
}

Observation RecordMaker::with_key(Observation row, std::int64_t number) {
  row.source = source_;
  for (const auto& pair : input_.constants) row.fields[pair.key()] = pair.value();
  if (!input_.row_number.empty()) row.fields[input_.row_number] = input_.first_row + number;
  read_time(row);
  if (!row.key.empty()) return row;
  const std::string& wanted = input_.key.empty() ? profile_.key : input_.key;
  if (wanted.empty()) {
    row.key = content_key(row.fields, number);
    return row;
  }
  const std::optional<std::string> key = platform::fill_template(profile_, row, wanted);
  if (!key || key->empty())
    throw Error(ErrorCode::kInvalidInput, "the record lacks a field of its key " + wanted, "key");
  row.key = *key;
  return row;
}

Observation RecordMaker::from_object(json::object object, std::int64_t number) {
  json::value normal = std::move(object);
  platform::normalize_strings(normal);
  json::object& record = normal.get_object();
  Observation row;
  const json::value* fields = record.if_contains("fields");
  if (fields == nullptr || !fields->is_object()) {
    if (record.empty()) throw Error(ErrorCode::kInvalidInput, "the record is empty");
    row.fields = std::move(record);
    return finish(std::move(row), number);
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
  return finish(std::move(row), number);
}

Observation RecordMaker::from_cells(const std::vector<std::string>& columns, const std::vector<std::string>& cells,
                                    bool decimal_comma, std::int64_t number) {
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
  return finish(std::move(row), number);
}

}  // namespace connectors
