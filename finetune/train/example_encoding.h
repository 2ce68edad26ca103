// Examples as token ids: text through the tokenizer, slots as -1 with their values aside, and the target of every
// token. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "finetune/adapter/head_form.h"
#include "finetune/adapter/side_features.h"
#include "finetune/text/template/chat_encoder.h"
#include "finetune/text/tokenizer.h"
#include "finetune/train/train_config.h"
#include "platform/dataset/example.h"

namespace finetune {

struct EncodedExample {
  std::vector<std::int32_t> ids;      // -1 at slots
  std::vector<std::int32_t> targets;  // the token to predict after each, or -100
  std::vector<SlotValue> slots;       // in the order of the -1s
  SideInput side;                     // where the rules say that a side network reads it
  std::int32_t label = -1;            // classify, ordinal
  std::vector<float> marks;           // multilabel: 1 for a label that applies, else 0
  std::int32_t unknown_labels = 0;    // multilabel: that apply, and that training never saw
  // Truths are double: a time in seconds, or a pressure in pascal, differs far behind what a float holds.
  double value = std::numeric_limits<double>::quiet_NaN();  // regress, in the example's unit
  std::vector<double> values;                               // forecast, in the signal's unit; NaN = not known
  double level = 0;                                         // forecast: what the signal stands at
  float weight = 1.0f;
  // A pair of answers: all of the above is the chosen one's, and here stands one more, the rejected one's. They are one
  // unit: no batch has one of them without the other.
  std::vector<EncodedExample> rejected;
  double reference_margin = 0;  // dpo: see adapter/reference.h
  std::vector<std::vector<platform::TeacherToken>>
      teacher;  // distillation: beside `targets`; empty where there is none

  std::int64_t supervised() const;
  /// What a batch pays for it, both answers of a pair.
  std::int64_t tokens() const;
};

/// What encoding needs besides the example; borrowed.
struct EncodingRules {
  const Tokenizer* tokenizer = nullptr;
  const ChatEncoder* chat = nullptr;  // null: no example has messages
  const SensorSchema* schema = nullptr;
  Task task = Task::kLanguageModel;
  const std::vector<std::string>* labels = nullptr;
  const HeadForm* form = nullptr;  // forecast only; one that continues no signal has no level
  bool side = false;               // a side network reads the example too
  std::int64_t max_tokens = 1024;  // a longer prompt loses its beginning
};

/// With `with_target` the completion, label or value must be there (kInvalidInput otherwise, naming the example); an
/// example with chosen and rejected becomes a pair, of which the answers alone are targets: in a conversation the last
/// turn, not what the assistant said before. Without it, the prompt alone.
EncodedExample encode_example(const EncodingRules& rules, const platform::Example& example, bool with_target);

/// The example, which has no answer yet, with this one: its tokens are the targets, those of the assistant's earlier
/// turns are not. `lm` only.
EncodedExample encode_answer(const EncodingRules& rules, const platform::Example& example, const std::string& answer);

/// The last sample that is known: what a forecast starts from. nullopt if there is none.
std::optional<double> last_known(const std::vector<float>& samples);

/// All lines of a JSON-lines file. Throws kInvalidInput naming file and line.
std::vector<platform::Example> read_examples(const std::filesystem::path& file);
/// The same of lines in memory; `where` is named instead of a file.
std::vector<platform::Example> examples_from_lines(std::string_view lines, const std::string& where);

}  // namespace finetune
