// Aligned tables and short words for people: counts with separators, ages, states in colour where the output is a
// terminal (and NO_COLOR is not set). Columns line up for Korean too: wide letters count two. Pure but for print(); any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace web {

class Table {
 public:
  explicit Table(std::vector<std::string> columns) : columns_(std::move(columns)) {}
  /// A right-aligned column.
  Table& right(std::size_t column);
  /// A column whose words are states: coloured on a terminal.
  Table& states(std::size_t column);
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text(bool colour) const;
  /// To standard output; `when_empty` instead if there is no row.
  void print(std::string_view when_empty) const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::size_t> right_, states_;
  std::vector<std::vector<std::string>> rows_;
};

/// Name and value, one a line.
class Details {
 public:
  /// Empty values are left out.
  Details& add(std::string name, std::string value);
  void print() const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

/// Columns that the text takes on a terminal.
std::size_t display_width(std::string_view text);
/// "12,345".
std::string with_separators(std::int64_t count);
/// "4 s", "12 min", "3 h 5 min", "2 days".
std::string length_of_time(std::chrono::seconds length);
/// "2026-11-24 04:40:19"; empty text stays empty.
std::string short_time(const std::string& rfc3339);
/// "12 min ago".
std::string age(const std::string& rfc3339, platform::Time now = platform::SystemClock().now());
/// "0.9231", "17.8"; whole numbers without a point.
std::string short_number(double value);
/// "sha256:1f2e3d4c5b6a".
std::string short_digest(const std::string& digest);
/// The field as one cell: text as it is, numbers short, absent and null "", objects "a=1, b=2", arrays "a, b".
std::string cell(const platform::json::object& object, std::string_view key);
std::string cell(const platform::json::value& value);

/// Prints pretty JSON to standard output.
void print_json(const platform::json::value& value);

}  // namespace web
