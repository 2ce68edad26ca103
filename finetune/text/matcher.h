// What a pre-tokenizer looks for in a text, and what becomes of it. Pure functions; matchers are immutable; any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/pattern.h"
#include "platform/base/json.h"

namespace finetune {

/// Calls `found(begin, end)` for each match from left to right; one of a pattern may be empty.
using FoundMatch = std::function<void(std::size_t, std::size_t)>;
using Matcher = std::function<void(std::string_view, const FoundMatch&)>;

Matcher match_pattern(Pattern pattern);
/// Every code point of a class, each on its own.
Matcher match_each(bool (*of_class)(char32_t));
/// Runs of code points with the same class number; those of class 0 are passed over.
Matcher match_runs(int (*class_of)(char32_t));
/// `count` code points each, the last match what is left.
Matcher match_length(std::size_t count);
/// Runs of one script; Japanese is one, blanks belong to what is before them.
Matcher match_scripts();

/// What becomes of a match: it is left out, a piece of its own, or part of the piece on one side; kContiguous joins
/// matches that touch.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// From "behavior". Throws kInvalidInput with the known names.
SplitBehavior read_behavior(const platform::json::object& object, std::string_view fallback);

struct Part {
  std::size_t begin;
  std::size_t end;
  bool match;
};
/// The pieces that `behavior` makes of parts that cover a text.
std::vector<Part> merge_parts(std::vector<Part> parts, SplitBehavior behavior);

}  // namespace finetune
