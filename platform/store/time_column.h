// How the stores read a timestamptz: as RFC 3339 text in UTC, whatever the server's settings are. Pure.
#pragma once

#include <optional>
#include <string>

#include "platform/base/clock.h"
#include "platform/store/transaction.h"

namespace platform {

/// The SQL expression that gives `column` as text for parse_time.
inline std::string utc_text(const std::string& column) {
  return "to_char(" + column + " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
}

inline std::optional<Time> time_or_nothing(const pqxx::field& field) {
  return field.is_null() ? std::nullopt : std::optional<Time>(parse_time(field.c_str()));
}

}  // namespace platform
