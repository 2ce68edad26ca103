#include "platform/base/json.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "platform/base/did_you_mean.h"
#include "platform/base/file.h"
#include "platform/base/shortened.h"

namespace platform {
namespace {

constexpr std::size_t kMaxDepth = 64;

// From simdjson's tree to ours. simdjson reads numbers exactly (Boost.JSON 1.81 can be one unit in the last place off)
// and keeps both of two equal keys, so that a document that says two things is refused here.
json::value convert(simdjson::dom::element element, std::string_view what);

json::object convert_object(simdjson::dom::object source, std::string_view what) {
  json::object object;
  for (const auto field : source) {
    if (!object.emplace(field.key, convert(field.value, what)).second) {
      throw Error(ErrorCode::kInvalidInput, std::string(what) + ": the key \"" + std::string(field.key) +
                                                "\" stands twice in one object; keep one");
    }
  }
  return object;
}

json::value convert(simdjson::dom::element element, std::string_view what) {
  using Type = simdjson::dom::element_type;
  switch (element.type()) {
    case Type::OBJECT: return convert_object(element.get_object(), what);
    case Type::ARRAY: {
      json::array array;
      const simdjson::dom::array source = element.get_array();
      for (const auto item : source) array.push_back(convert(item, what));
      return array;
    }
    case Type::STRING: return json::value(std::string_view(element.get_string()));
    case Type::INT64: return std::int64_t(element.get_int64());
    case Type::UINT64: return std::uint64_t(element.get_uint64());
    case Type::DOUBLE: return double(element.get_double());
    case Type::BOOL: return bool(element.get_bool());
    case Type::NULL_VALUE: break;
  }
  return nullptr;
}

// The end of the string literal that begins at `at`, behind its closing quote.
std::size_t behind_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) at += text[at] == '\\' ? 1 : 0;
  return std::min(at + 1, text.size());
}

bool fits_an_integer(std::string_view digits) {
  std::int64_t with_sign = 0;
  std::uint64_t without = 0;
  const char* const end = digits.data() + digits.size();
  return std::from_chars(digits.data(), end, with_sign).ec == std::errc() ||
         std::from_chars(digits.data(), end, without).ec == std::errc();
}

// The text with "e0" behind every integer that 64 bits cannot hold, so that simdjson reads it as the nearest double
// instead of refusing the document: PostgreSQL writes 1e+20 back with all its digits.
std::string with_long_integers_as_doubles(std::string_view text) {
  constexpr std::string_view kNumber = "+-.0123456789Ee";
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const bool number = text[at] == '-' || (text[at] >= '0' && text[at] <= '9');
    if (text[at] == '"') {
      at = behind_string(text, at);
    } else {
      at = number ? std::min(text.find_first_not_of(kNumber, at), text.size()) : at + 1;
    }
    const std::string_view token = text.substr(begin, at - begin);
    out += token;
    const bool whole = number && token.find_first_not_of("0123456789", 1) == std::string_view::npos;
    if (whole && token.size() > 18 && !fits_an_integer(token)) out += "e0";
  }
  return out;
}

std::string join(std::string_view where, std::string_view key) {
  return where.empty() ? std::string(key) : std::string(where) + "." + std::string(key);
}

[[noreturn]] void wrong_type(std::string_view where, std::string_view key, std::string_view wanted,
                             const json::value& value) {
  const std::string shown = shortened(json::serialize(value), 60);
  const std::string path = join(where, key);
  throw Error(ErrorCode::kInvalidInput, path + " must be " + std::string(wanted) + ", not " + shown, path);
}

void append_number(std::string& out, double number) {
  if (!std::isfinite(number))
    throw Error(ErrorCode::kInvalidInput, "JSON cannot hold NaN or infinity; leave the field out or use null");
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  out += text;
  if (text.find_first_of(".eE") == std::string_view::npos) out += ".0";
}

void append_canonical(std::string& out, const json::value& value) {
  if (value.is_object()) {
    std::vector<const json::key_value_pair*> pairs;
    for (const auto& pair : value.get_object()) pairs.push_back(&pair);
    std::sort(pairs.begin(), pairs.end(), [](auto* a, auto* b) { return a->key() < b->key(); });
    out += '{';
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (i) out += ',';
      out += json::serialize(json::string(pairs[i]->key()));
      out += ':';
      append_canonical(out, pairs[i]->value());
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const auto& item : value.get_array()) {
      if (!first) out += ',';
      first = false;
      append_canonical(out, item);
    }
    out += ']';
  } else if (value.is_double()) {
    append_number(out, value.get_double());
  } else {
    out += json::serialize(value);
  }
}

void append_pretty(std::string& out, const json::value& value, int depth) {
  const std::string indent(static_cast<std::size_t>(depth + 1) * 2, ' ');
  const std::string closing(static_cast<std::size_t>(depth) * 2, ' ');
  const auto scalars = [](const json::array& array) {
    return std::none_of(array.begin(), array.end(), [](const json::value& v) { return v.is_object() || v.is_array(); });
  };
  if (value.is_object() && !value.get_object().empty()) {
    out += "{\n";
    bool first = true;
    for (const auto& pair : value.get_object()) {
      if (!first) out += ",\n";
      first = false;
      out += indent + json::serialize(json::string(pair.key())) + ": ";
      append_pretty(out, pair.value(), depth + 1);
    }
    out += "\n" + closing + "}";
  } else if (value.is_array() && !value.get_array().empty() &&
             !(scalars(value.get_array()) && value.get_array().size() <= 12)) {
    out += "[\n";
    bool first = true;
    for (const auto& item : value.get_array()) {
      if (!first) out += ",\n";
      first = false;
      out += indent;
      append_pretty(out, item, depth + 1);
    }
    out += "\n" + closing + "]";
  } else {
    append_canonical(out, value);
  }
}

}  // namespace

json::value parse_json(std::string_view text, std::string_view what) {
  simdjson::dom::parser parser;
  simdjson::error_code error = parser.allocate(std::max<std::size_t>(text.size(), 64), kMaxDepth);
  simdjson::dom::element root;
  if (!error) error = parser.parse(text.data(), text.size()).get(root);
  if (error == simdjson::NUMBER_ERROR) {
    const std::string readable = with_long_integers_as_doubles(text);
    error = parser.allocate(std::max<std::size_t>(readable.size(), 64), kMaxDepth);
    if (!error) error = parser.parse(readable).get(root);
  }
  if (error == simdjson::MEMALLOC)
    throw Error(ErrorCode::kTooLarge,
                std::string(what) + " is too large to parse: " + std::to_string(text.size()) + " bytes");
  if (error)
    throw Error(ErrorCode::kInvalidInput, std::string(what) + " is not valid JSON: " + simdjson::error_message(error));
  return convert(root, what);
}

json::value read_json_file(const std::filesystem::path& path) { return parse_json(read_file(path), path.string()); }

void write_json_file(const std::filesystem::path& path, const json::value& value) {
  write_file_atomically(path, pretty_json(value) + "\n");
}

std::string canonical_json(const json::value& value) {
  std::string out;
  append_canonical(out, value);
  return out;
}

std::string pretty_json(const json::value& value) {
  std::string out;
  append_pretty(out, value, 0);
  return out;
}

const json::object& as_object(const json::value& value, std::string_view where) {
  if (!value.is_object()) wrong_type("", where, "an object", value);
  return value.get_object();
}

const json::array& as_array(const json::value& value, std::string_view where) {
  if (!value.is_array()) wrong_type("", where, "an array", value);
  return value.get_array();
}

const json::value* find(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const json::value& require(const json::object& object, std::string_view key, std::string_view where) {
  const json::value* value = find(object, key);
  if (value == nullptr) throw Error(ErrorCode::kInvalidInput, join(where, key) + " is missing", join(where, key));
  return *value;
}

std::string require_string(const json::object& object, std::string_view key, std::string_view where) {
  const json::value& value = require(object, key, where);
  if (!value.is_string()) wrong_type(where, key, "a string", value);
  return std::string(value.get_string());
}

double require_number(const json::object& object, std::string_view key, std::string_view where) {
  const json::value& value = require(object, key, where);
  if (!value.is_number()) wrong_type(where, key, "a number", value);
  return value.to_number<double>();
}

std::int64_t require_int(const json::object& object, std::string_view key, std::string_view where) {
  const json::value& value = require(object, key, where);
  boost::system::error_code error;
  const auto number = value.to_number<std::int64_t>(error);
  if (error) wrong_type(where, key, "a whole number", value);
  return number;
}

bool require_bool(const json::object& object, std::string_view key, std::string_view where) {
  const json::value& value = require(object, key, where);
  if (!value.is_bool()) wrong_type(where, key, "true or false", value);
  return value.get_bool();
}

std::string string_or(const json::object& object, std::string_view key, std::string_view fallback,
                      std::string_view where) {
  return find(object, key) ? require_string(object, key, where) : std::string(fallback);
}
double number_or(const json::object& object, std::string_view key, double fallback, std::string_view where) {
  return find(object, key) ? require_number(object, key, where) : fallback;
}
std::int64_t int_or(const json::object& object, std::string_view key, std::int64_t fallback, std::string_view where) {
  return find(object, key) ? require_int(object, key, where) : fallback;
}
bool bool_or(const json::object& object, std::string_view key, bool fallback, std::string_view where) {
  return find(object, key) ? require_bool(object, key, where) : fallback;
}

void refuse_unknown_keys(const json::object& object, const std::vector<std::string_view>& known,
                         std::string_view where) {
  for (const auto& pair : object) {
    const std::string_view key = pair.key();
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string hint = did_you_mean(key, known);
    if (hint.empty()) {
      for (const std::string_view one : known) hint.append(hint.empty() ? "; known are " : ", ").append(one);
    }
    throw Error(ErrorCode::kInvalidInput, "unknown key " + join(where, key) + hint, join(where, key));
  }
}

json::array to_json(const std::vector<std::string>& values) {
  json::array out;
  for (const auto& value : values) out.emplace_back(value);
  return out;
}

std::vector<std::string> strings_from(const json::value& value, std::string_view where) {
  std::vector<std::string> out;
  for (const auto& item : as_array(value, where)) {
    if (!item.is_string()) wrong_type("", where, "a list of strings", item);
    out.emplace_back(item.get_string());
  }
  return out;
}

}  // namespace platform
