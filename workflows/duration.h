// Lengths of time as people write them: 45s, 10m, 2h, 1d, or a plain number of seconds. Pure; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace workflows {

/// nullopt if the text is no duration, is negative or longer than 366 days.
std::optional<std::chrono::seconds> duration_from(std::string_view text);

}  // namespace workflows
