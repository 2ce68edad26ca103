// Raw values as fields understand them, and the templates of keys and groups (declared in render.h).
#include <charconv>
#include <cmath>
#include <limits>

#include "platform/base/shortened.h"
#include "platform/dataset/render.h"

namespace platform {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::optional<double> parse_number(std::string_view text, bool decimal_comma) {
  std::string copy(trimmed(text));
  if (decimal_comma) {
    std::erase(copy, '.');  // thousands
    if (const std::size_t comma = copy.find(','); comma != std::string::npos) copy[comma] = '.';
  }
  const char* begin = copy.data();
  const char* end = begin + copy.size();
  if (begin != end && *begin == '+') ++begin;
  double number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (begin == end || error != std::errc() || stop != end || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::string text_of_double(double number) {
  char buffer[40];
  if (number == std::floor(number) && std::abs(number) < 1e15) {
    const auto whole = static_cast<std::int64_t>(number);
    return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, whole).ptr);
  }
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr);
}

}  // namespace

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_null()) return {};
  if (value.is_double()) return text_of_double(value.get_double());
  return canonical_json(value);
}

bool is_missing(const Field& field, const json::value* value) {
  if (value == nullptr || value->is_null()) return true;
  if (!value->is_string()) return false;
  const std::string_view text = trimmed(std::string_view(value->get_string()));
  for (const std::string& word : field.missing) {
    if (text == word) return true;
  }
  return text.empty();
}

std::optional<double> number_of(const Field& field, const json::value* value, std::string* problem) {
  if (is_missing(field, value)) return std::nullopt;
  if (value->is_bool()) return value->get_bool() ? 1.0 : 0.0;
  std::optional<double> number;
  if (value->is_number()) number = value->to_number<double>();
  if (value->is_string()) number = parse_number(std::string_view(value->get_string()), field.decimal_comma);
  if (!number && problem != nullptr) *problem = shortened(text_of(*value), 60);
  return number;
}

const json::value* raw_value(const Profile& profile, const Observation& row, std::string_view name) {
  const Field* field = profile.field(name);
  if (field != nullptr) {
    for (const std::string& column : field->from) {
      if (const json::value* found = row.fields.if_contains(column)) return found;
    }
  }
  return row.fields.if_contains(name);
}

std::optional<std::string> fill_template(const Profile& profile, const Observation& row, std::string_view text) {
  std::string out;
  for (const PromptPart& part : parse_prompt(text)) {
    if (part.kind == PromptPart::Kind::kText) {
      out += part.text;
    } else if (const json::value* value = raw_value(profile, row, part.text); value != nullptr && !value->is_null()) {
      out += text_of(*value);
    } else if (part.text == "source") {
      out += row.source;
    } else if (part.text == "key") {
      out += row.key;
    } else if (part.text == "event_time") {
      out += format_time(row.event_time);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::optional<std::string> record_key(const Profile& profile, const Observation& row) {
  if (profile.key.empty()) return std::nullopt;
  return fill_template(profile, row, profile.key);
}

OrderValue order_of(const Profile& profile, const Observation& row) {
  if (profile.order.empty() || profile.order == "event_time") {
    if (raw_value(profile, row, "event_time") == nullptr || profile.order.empty())
      return {static_cast<double>(row.event_time.time_since_epoch().count()), {}};
  }
  const json::value* value = raw_value(profile, row, profile.order);
  if (value == nullptr || value->is_null()) return {std::numeric_limits<double>::infinity(), {}};
  if (value->is_number()) return {value->to_number<double>(), {}};
  const std::string text = text_of(*value);
  if (const std::optional<double> number = parse_number(text, false)) return {*number, {}};
  return {std::numeric_limits<double>::infinity(), text};
}

std::string group_of(const Profile& profile, const Observation& row) {
  if (profile.group.empty()) return {};
  if (profile.group.find("{{") != std::string::npos) return fill_template(profile, row, profile.group).value_or("");
  if (profile.group == "source" && raw_value(profile, row, "source") == nullptr) return row.source;
  const json::value* value = raw_value(profile, row, profile.group);
  return value == nullptr ? std::string() : text_of(*value);
}

std::string escape_prompt(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at, 2) == "{{") {
      out += "{{ \"{{\" }}";
      at += 2;
    } else {
      out += text[at++];
    }
  }
  return out;
}

}  // namespace platform
