// JSON documents (Boost.JSON) with errors that name the document and the path, and the canonical form that every
// content hash is taken over. Functions are pure; any thread.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/error.h"

namespace platform {

namespace json = boost::json;

/// Parses one document. Nesting is limited to 64 levels; duplicate keys, trailing text and invalid UTF-8 are refused.
/// An integer that 64 bits cannot hold is read as the nearest double; one beyond the doubles is refused.
/// `what` names the document in the error ("adapter_config.json").
json::value parse_json(std::string_view text, std::string_view what);
json::value read_json_file(const std::filesystem::path& path);
/// Writes to a temporary file beside `path`, syncs and renames, so that a reader sees the old or the new file.
void write_json_file(const std::filesystem::path& path, const json::value& value);

/// One line, object keys sorted bytewise, integers as integers, doubles as the shortest text that reads back the same
/// ("1.5", "1e+20"; a whole double prints as "2.0"). Equal values give equal bytes on every machine.
std::string canonical_json(const json::value& value);
/// Two-space indented, keys in document order; for files that people read.
std::string pretty_json(const json::value& value);

/// Field readers. All throw kInvalidInput with the path `where.key` if the field is absent or of another type.
const json::object& as_object(const json::value& value, std::string_view where);
const json::array& as_array(const json::value& value, std::string_view where);
const json::value& require(const json::object& object, std::string_view key, std::string_view where);
std::string require_string(const json::object& object, std::string_view key, std::string_view where);
double require_number(const json::object& object, std::string_view key, std::string_view where);
std::int64_t require_int(const json::object& object, std::string_view key, std::string_view where);
bool require_bool(const json::object& object, std::string_view key, std::string_view where);
/// Absent or null gives `fallback`; a wrong type throws like require_*.
std::string string_or(const json::object& object, std::string_view key, std::string_view fallback,
                      std::string_view where);
double number_or(const json::object& object, std::string_view key, double fallback, std::string_view where);
std::int64_t int_or(const json::object& object, std::string_view key, std::int64_t fallback, std::string_view where);
bool bool_or(const json::object& object, std::string_view key, bool fallback, std::string_view where);
/// nullptr if absent or null.
const json::value* find(const json::object& object, std::string_view key);
/// Throws kInvalidInput naming the first key that is not in `known`, with the nearest known key or else all of them.
void refuse_unknown_keys(const json::object& object, const std::vector<std::string_view>& known,
                         std::string_view where);

json::array to_json(const std::vector<std::string>& values);
std::vector<std::string> strings_from(const json::value& value, std::string_view where);

}  // namespace platform
