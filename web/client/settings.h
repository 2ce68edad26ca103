// Words of the command line as values: KEY=VALUE pairs, durations, shares. Pure.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "platform/base/json.h"

namespace web {

/// "url=http://x" -> {"url": "http://x"}; "input.header=true" -> {"input": {"header": true}}. A value that is JSON
/// (number, true, false, null, array, object, quoted text) is taken as such, anything else as text. Throws
/// kInvalidInput naming the option.
platform::json::object settings_from(const std::vector<std::string>& pairs, const std::string& option);
/// Throws kInvalidInput if there is no '=' or nothing before it.
std::pair<std::string, std::string> key_and_value(const std::string& pair, const std::string& option);
/// "10m", "1h30m", "90", "45s", "2d". Throws kInvalidInput naming the option.
std::chrono::seconds seconds_from(const std::string& text, const std::string& option);
/// "10%,50%,100%" or "0.1,1" -> {0.1, 0.5, 1}. Throws kInvalidInput naming the option.
platform::json::array shares_from(const std::string& text, const std::string& option);
/// One share. Throws likewise.
double share_from(const std::string& text, const std::string& option);

}  // namespace web
