#include "web/client/settings.h"

#include <charconv>

namespace web {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

namespace {

json::value value_from(const std::string& text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  return failed ? json::value(text) : value;
}

[[noreturn]] void refuse(const std::string& option, const std::string& what, const std::string& text) {
  throw Error(ErrorCode::kInvalidInput, option + " " + what + ", not '" + text + "'");
}

}  // namespace

std::pair<std::string, std::string> key_and_value(const std::string& pair, const std::string& option) {
  const std::size_t equals = pair.find('=');
  if (equals == std::string::npos || equals == 0) refuse(option, "is KEY=VALUE", pair);
  return {pair.substr(0, equals), pair.substr(equals + 1)};
}

json::object settings_from(const std::vector<std::string>& pairs, const std::string& option) {
  json::object settings;
  for (const std::string& pair : pairs) {
    const auto [key, text] = key_and_value(pair, option);
    json::object* place = &settings;
    std::size_t begin = 0;
    for (std::size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', begin)) {
      json::value& inner = (*place)[key.substr(begin, dot - begin)];
      if (inner.is_null()) inner.emplace_object();
      if (!inner.is_object()) refuse(option, "gives one key a value and keys of its own", pair);
      place = &inner.get_object();
      begin = dot + 1;
    }
    const std::string last = key.substr(begin);
    if (last.empty()) refuse(option, "is KEY=VALUE", pair);
    (*place)[last] = value_from(text);
  }
  return settings;
}

std::chrono::seconds seconds_from(const std::string& text, const std::string& option) {
  std::chrono::seconds total{0};
  const char* at = text.data();
  const char* end = at + text.size();
  if (at == end) refuse(option, "is a time such as 10m or 1h30m", text);
  while (at < end) {
    std::int64_t count = 0;
    const auto [stop, error] = std::from_chars(at, end, count);
    if (error != std::errc() || count < 0 || count > 100'000'000)
      refuse(option, "is a time such as 10m or 1h30m", text);
    const char unit = stop == end ? 's' : *stop;
    const std::int64_t seconds = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 0;
    if (seconds == 0) refuse(option, "knows s, m, h and d", text);
    total += std::chrono::seconds(count * seconds);
    at = stop == end ? end : stop + 1;
  }
  return total;
}

double share_from(const std::string& text, const std::string& option) {
  const bool percent = text.ends_with('%');
  const std::string digits = percent ? text.substr(0, text.size() - 1) : text;
  double share = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), share);
  if (digits.empty() || error != std::errc() || stop != digits.data() + digits.size())
    refuse(option, "is a share such as 10% or 0.1", text);
  return percent ? share / 100 : share;
}

json::array shares_from(const std::string& text, const std::string& option) {
  json::array shares;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    shares.emplace_back(share_from(text.substr(at, comma - at), option));
    at = comma + 1;
  }
  return shares;
}

}  // namespace web
