// Examples as the model will see them: the text behind their tokens, the places of sensor values, and which tokens it
// is taught to write. For people who look at a dataset before compute is spent. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/train/example_encoding.h"

namespace finetune {

/// What an example is for where nobody says it: classify with a label, regress with a value, else lm.
Task task_of(const platform::Example& example);

/// Neighbouring tokens of one kind.
struct PreviewPart {
  enum class Kind { kText, kControl, kSlot };
  Kind kind = Kind::kText;
  bool taught = false;  // targets of the loss
  std::string text;     // UTF-8; a slot's is the name of its field
  std::int64_t tokens = 0;
};

/// One text that the model reads.
struct PreviewText {
  std::int64_t tokens = 0;
  std::int64_t taught = 0;  // tokens that are targets; 1 where a head learns a label or a value
  std::int64_t lost = 0;    // tokens that were cut from the beginning, because the example is too long
  std::vector<PreviewPart> parts;
};

struct ExamplePreview : PreviewText {
  std::string id;
  std::string split;
  std::string target;                   // "label high", "value 2.5"; empty for lm
  std::optional<PreviewText> rejected;  // of a pair of answers; the rest is the chosen one's
};

/// Throws as encode_example() does.
ExamplePreview preview_example(const EncodingRules& rules, const platform::Example& example);

/// One example for a terminal: a line about it, then its text. What is taught stands between ⟦ and ⟧, or in colour; a
/// slot as {name}; a pair's two texts one after the other. Control characters of the text are shown as pictures, so
/// that no text steers the terminal.
std::string to_text(const ExamplePreview& preview, bool colour);
/// The same for programs: {id, split, tokens, taught_tokens, lost_tokens, target, parts: [{kind, text, tokens,
/// taught}]}, and of a pair rejected: {tokens, taught_tokens, lost_tokens, parts}.
platform::json::object to_json(const ExamplePreview& preview);

}  // namespace finetune
