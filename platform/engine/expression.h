// The expressions of a workflow: ${{ inputs.x }}, ${{ steps.a.output }}, ${{ run.id }}. A text that is one expression
// and nothing else takes the value with its type; inside a longer text the value is written out. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"
#include "platform/model/run.h"

namespace platform {

/// One ${{ ... }} in a text.
struct Reference {
  enum class Kind { kInput, kStepOutput, kRunId, kBad };
  Kind kind = Kind::kBad;
  std::string name;                // of the input, or of the step
  std::string output;              // of a step; "a.b" reaches into objects
  std::string trouble;             // kBad: what is wrong with it
  std::size_t begin = 0, end = 0;  // bytes in the text, braces included
};

/// All expressions in `text`, also the bad ones.
std::vector<Reference> find_references(std::string_view text);
/// `value` with every expression in it replaced. Throws kInvalidInput naming an expression that has no value.
json::value resolve(const json::value& value, const Run& run);
/// What is wrong with an `if` text, which is `true`, `false` or one expression and nothing else; empty = nothing.
std::string condition_trouble(std::string_view condition);
/// The truth of an `if` text: of an expression's values false, 0, "", "false", "no" and null are false. Empty text is
/// true. Throws kInvalidInput for what condition_trouble refuses, and for an expression that has no value.
bool holds(std::string_view condition, const Run& run);

}  // namespace platform
