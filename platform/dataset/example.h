// One training or evaluation example: what a dataset version holds, one canonical JSON line each, and what the trainer
// and the plant agent read. A rendered prompt keeps its slots as written, `{{ number:torque }}`, `{{ category:grade }}`
// and `{{ signal:vibration }}`; the values of the slots stand in `numbers`, `categories` and `signals` under the same
// names. All other template fields are already text. Plain values; no thread has any business with another's copy.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace platform {

/// The part of a dataset version that an example belongs to.
enum class Split { kTrain, kValidation, kTest };
std::string_view to_string(Split split);  // "train", "validation", "test"
Split split_from(std::string_view name);  // throws kInvalidInput

/// Evenly sampled values. `rate_hz` 0 = unknown (cycles rather than seconds). A missing sample is NaN in memory and
/// null in JSON.
struct Signal {
  double rate_hz = 0;
  std::string unit;
  std::vector<float> values;
};

json::value to_json(const Signal& signal);
/// Throws kInvalidInput with `where` in the message.
Signal signal_from_json(const json::value& value, const std::string& where);

struct Message {
  std::string role;  // system, user, assistant
  std::string content;
};

/// A token and the logarithm of the probability that a teacher gives it.
struct TeacherToken {
  std::int32_t token = 0;
  float logprob = 0;  // at most 0
};

/// What a larger model finds most probable wherever an answer has a token, in the tokens of the student's tokenizer.
struct Teacher {
  std::string tokenizer;  // "sha256:...": which tokenizer the token numbers belong to
  /// One list for each token of the answer, from its first; an empty list, and tokens behind the last list, say
  /// nothing.
  std::vector<std::vector<TeacherToken>> tokens;
};
inline constexpr std::size_t kMostTeacherTokens = 64;  // of one list

struct Example {
  std::string id;  // source + key of the record (or of a window's last record)
  std::string source;
  std::string group;  // never on two sides of a split; may be empty
  Split split = Split::kTrain;

  // Exactly one of prompt/completion, messages, text is set.
  std::string prompt;      // with slots
  std::string completion;  // target text of an `lm` task; empty for heads and at prediction time
  std::vector<Message> messages;
  std::string text;  // plain text: every token is supervised (pretraining, language-model adaptation)
  // Preferences: two answers to the prompt, or to the messages, which then end before the assistant's turn. Both or
  // neither; instead of a completion.
  std::optional<std::string> chosen;    // the better one
  std::optional<std::string> rejected;  // the worse one
  std::optional<Teacher> teacher;       // of the completion, or of the assistant's last turn

  std::map<std::string, std::optional<double>> numbers;  // nullopt = missing
  std::map<std::string, std::optional<std::string>> categories;
  std::map<std::string, Signal> signals;

  std::optional<std::string> label;                // classify, ordinal
  std::optional<std::vector<std::string>> labels;  // multilabel: those that apply, perhaps none
  std::optional<double> value;                     // regress
  std::vector<std::optional<double>> values;       // forecast: what follows, step by step; nullopt = not known
  double weight = 1.0;                             // by how much it counts in a training; 0 = not at all
};

/// Keys are left out where empty; `Example` -> JSON -> `Example` is the identity.
json::value to_json(const Example& example);
/// Throws kInvalidInput with the path of the field at fault, naming the example. Refused are unknown keys, numbers that
/// a float cannot hold (beyond 3.4e38 either way), and weights below 0.
Example example_from_json(const json::value& value);

/// A piece of a prompt after its slots have been found.
struct PromptPart {
  enum class Kind { kText, kField, kNumber, kCategory, kSignal };
  Kind kind = Kind::kText;
  std::string text;  // the literal text, or the name in the slot
};
/// Splits `{{ name }}`, `{{ number:x }}`, `{{ category:x }}`, `{{ signal:x }}` from literal text.
/// Throws kInvalidInput with the byte position for an unclosed `{{` or an unknown slot kind. `{{ "{{" }}` is literal
/// braces.
std::vector<PromptPart> parse_prompt(std::string_view prompt);
/// Of the example's prompt; its fault names the example.
std::vector<PromptPart> prompt_parts(const Example& example);

}  // namespace platform
