// The nearest known word to a mistyped one. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace platform {

/// " (did you mean 'needs'?)" for the candidate within a third of the word's length in edits (swaps count one),
/// else an empty string; to be appended to an error message.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates);
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace platform
