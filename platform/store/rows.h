// How the stores turn rows of an answer into values. Included by platform/store only. Pure.
#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

namespace platform {

/// The column as text; empty for NULL.
inline std::string text(const pqxx::row& row, const char* column) {
  return row[column].is_null() ? std::string() : std::string(row[column].c_str());
}

/// Every row through `from`.
template <class From>
auto all(const pqxx::result& rows, From&& from) {
  std::vector<decltype(from(rows[0]))> list;
  for (const auto& row : rows) list.push_back(from(row));
  return list;
}

/// The first row through `from`, if there is one.
template <class From>
auto first(const pqxx::result& rows, From&& from) -> std::optional<decltype(from(rows[0]))> {
  if (rows.empty()) return std::nullopt;
  return from(rows[0]);
}

}  // namespace platform
