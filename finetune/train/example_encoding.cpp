#include "finetune/train/example_encoding.h"

#include <algorithm>
#include <cmath>

#include "finetune/text/chat_format.h"
#include "kernels/ops/cross_entropy.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

void append_text(const EncodingRules& rules, std::string_view text, std::vector<std::int32_t>& ids) {
  const std::vector<std::int32_t> tokens = rules.tokenizer->encode(text);
  ids.insert(ids.end(), tokens.begin(), tokens.end());
}

void encode_prompt(const EncodingRules& rules, const platform::Example& example, EncodedExample& encoded) {
  encoded.ids = rules.tokenizer->opening();
  for (const platform::PromptPart& part : platform::prompt_parts(example)) {
    if (part.kind == platform::PromptPart::Kind::kText) {
      append_text(rules, part.text, encoded.ids);
    } else if (part.kind == platform::PromptPart::Kind::kField) {
      throw Error(ErrorCode::kInvalidInput,
                  "the prompt of example " + example.id + " still has an unfilled field: " + part.text, "prompt");
    } else {
      for (SlotValue& slot : slot_values(*rules.schema, part, example)) {
        encoded.ids.push_back(-1);
        encoded.slots.push_back(std::move(slot));
      }
    }
  }
}

void cut_front(EncodedExample& encoded, std::vector<std::uint8_t>& supervised, std::int64_t limit) {
  if (static_cast<std::int64_t>(encoded.ids.size()) <= limit) return;
  const auto drop = static_cast<std::ptrdiff_t>(encoded.ids.size()) - static_cast<std::ptrdiff_t>(limit);
  const auto lost = std::count(encoded.ids.begin(), encoded.ids.begin() + drop, -1);
  encoded.slots.erase(encoded.slots.begin(), encoded.slots.begin() + lost);
  encoded.ids.erase(encoded.ids.begin(), encoded.ids.begin() + drop);
  if (!supervised.empty()) supervised.erase(supervised.begin(), supervised.begin() + drop);
}

TokenSequence encode_messages(const EncodingRules& rules, const platform::Example& example, bool continued) {
  const ChatEncoder none;
  const ChatEncoder& chat = rules.chat != nullptr ? *rules.chat : none;
  const Tokenizer& tokenizer = *rules.tokenizer;
  if (rules.task == Task::kLanguageModel && !continued) return chat.taught(tokenizer, example.messages);
  TokenSequence sequence;
  if (continued) {
    std::vector<platform::Message> asked = example.messages;
    if (asked.back().role == "assistant") asked.pop_back();  // the answer that the model shall give
    sequence.ids = chat.asked(tokenizer, asked);
  } else {
    sequence.ids = chat.read(tokenizer, example.messages);
  }
  sequence.supervised.assign(sequence.ids.size(), 0);
  return sequence;
}

// A conversation's faults name the example that has them.
TokenSequence encode_named_messages(const EncodingRules& rules, const platform::Example& example, bool continued) {
  try {
    return encode_messages(rules, example, continued);
  } catch (const Error& error) {
    if (example.id.empty()) throw;
    throw Error(error.code(), "example " + example.id + ": " + error.what(), "messages");
  }
}

// `continued`: without what the model shall write. Only the language model writes; the other tasks read the same tokens
// in training and after it.
std::vector<std::uint8_t> encode_tokens(const EncodingRules& rules, const platform::Example& example, bool continued,
                                        EncodedExample& encoded) {
  const auto end = rules.tokenizer->eos_id();
  TokenSequence sequence;
  if (!example.messages.empty()) {
    sequence = encode_named_messages(rules, example, continued);
  } else if (!example.text.empty()) {
    sequence = format_text(*rules.tokenizer, example.text);
    if (continued && end) {
      sequence.ids.pop_back();
      sequence.supervised.pop_back();
    }
  } else {
    encode_prompt(rules, example, encoded);
    std::vector<std::uint8_t> supervised(encoded.ids.size(), 0);
    if (continued || rules.task != Task::kLanguageModel) return supervised;
    append_text(rules, example.completion, encoded.ids);
    if (end) encoded.ids.push_back(*end);
    supervised.resize(encoded.ids.size(), 1);
    return supervised;
  }
  encoded.ids = std::move(sequence.ids);
  return std::move(sequence.supervised);
}

// Labels that training never saw cannot be predicted: they are counted as misses.
void set_marks(const EncodingRules& rules, const platform::Example& example, EncodedExample& encoded) {
  if (!example.labels) {
    throw Error(ErrorCode::kInvalidInput,
                "example " + example.id + " has no labels; give a list, empty if none applies", "labels");
  }
  encoded.marks.assign(rules.labels->size(), 0.0f);
  for (const std::string& label : *example.labels) {
    const auto found = std::find(rules.labels->begin(), rules.labels->end(), label);
    if (found == rules.labels->end()) {
      ++encoded.unknown_labels;
      continue;
    }
    encoded.marks[static_cast<std::size_t>(found - rules.labels->begin())] = 1.0f;
  }
}

std::vector<double> values_of(const EncodingRules& rules, const platform::Example& example) {
  if (static_cast<std::int64_t>(example.values.size()) != rules.form->horizon) {
    throw Error(ErrorCode::kInvalidInput,
                "example " + example.id + " has " + std::to_string(example.values.size()) +
                    " values, but a forecast of " + std::to_string(rules.form->horizon) + " steps is asked for",
                "values");
  }
  std::vector<double> values;
  for (const auto& value : example.values) values.push_back(value.value_or(std::numeric_limits<double>::quiet_NaN()));
  return values;
}

double level_of(const std::string& signal, const platform::Example& example) {
  if (const auto last = last_known(signal_of(example, signal).values)) return *last;
  throw Error(
      ErrorCode::kInvalidInput,
      "the signal \"" + signal + "\" of example " + example.id + " has no sample that a forecast could start from",
      signal);
}

void set_target(const EncodingRules& rules, const platform::Example& example, EncodedExample& encoded) {
  if (has_one_label(rules.task)) {
    if (!example.label) throw Error(ErrorCode::kInvalidInput, "example " + example.id + " has no label", "label");
    const auto found = std::find(rules.labels->begin(), rules.labels->end(), *example.label);
    // A label that training never saw cannot be predicted; it stays -1 and counts as wrong.
    encoded.label = found == rules.labels->end() ? -1 : static_cast<std::int32_t>(found - rules.labels->begin());
  } else if (rules.task == Task::kMultilabel) {
    set_marks(rules, example, encoded);
  } else if (rules.task == Task::kRegress) {
    if (!example.value) throw Error(ErrorCode::kInvalidInput, "example " + example.id + " has no value", "value");
    encoded.value = *example.value;
  } else if (rules.task == Task::kForecast) {
    encoded.values = values_of(rules, example);
  }
}

bool assistant_spoke(std::span<const platform::Message> messages) {
  return std::any_of(messages.begin(), messages.end(),
                     [](const platform::Message& message) { return message.role == "assistant"; });
}

std::int64_t count_supervised(const EncodingRules& rules, const platform::Example& example) {
  const TokenSequence whole = encode_named_messages(rules, example, false);
  return std::count(whole.supervised.begin(), whole.supervised.end(), 1);
}

// Targets that stand before the answer which the teacher speaks of: those of the assistant's earlier turns.
std::int64_t targets_before_answer(const EncodingRules& rules, const platform::Example& example) {
  if (example.messages.empty()) return 0;
  platform::Example before = example;
  before.messages.pop_back();
  return assistant_spoke(before.messages) ? count_supervised(rules, before) : 0;
}

// `lost`: targets that went with the beginning of a long example.
void add_teacher(const EncodingRules& rules, const platform::Example& example, std::int64_t lost,
                 EncodedExample& encoded) {
  const auto& lists = example.teacher->tokens;
  const std::int64_t first = targets_before_answer(rules, example) - lost;  // among the targets that are left
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidInput,
                "example " + example.id + " has a teacher " + what + "; ask the teacher again for this base",
                "teacher");
  };
  if (first + static_cast<std::int64_t>(lists.size()) > encoded.supervised())
    refuse("of " + std::to_string(lists.size()) + " tokens, and its answer has fewer");
  encoded.teacher.resize(encoded.targets.size());
  std::int64_t number = -first;
  for (std::size_t i = 0; i < encoded.targets.size(); ++i) {
    if (encoded.targets[i] < 0) continue;
    if (number >= 0 && number < static_cast<std::int64_t>(lists.size()))
      encoded.teacher[i] = lists[static_cast<std::size_t>(number)];
    ++number;
    for (const platform::TeacherToken& token : encoded.teacher[i]) {
      if (token.token >= rules.tokenizer->vocabulary_size())
        refuse("with token " + std::to_string(token.token) + ", which the tokenizer does not have");
    }
  }
}

// The same example with one of its two answers.
platform::Example answered(const platform::Example& example, const std::string& answer) {
  platform::Example one = example;
  one.chosen.reset();
  one.rejected.reset();
  if (one.messages.empty())
    one.completion = answer;
  else
    one.messages.push_back({"assistant", answer});
  return one;
}

// Leaves the last `count` targets.
void keep_last_targets(EncodedExample& encoded, std::int64_t count) {
  for (auto target = encoded.targets.rbegin(); target != encoded.targets.rend(); ++target) {
    if (*target >= 0 && --count < 0) *target = kernels::kIgnoredTarget;
  }
}

EncodedExample encode_pair(const EncodingRules& rules, const platform::Example& example) {
  if (rules.task != Task::kLanguageModel)
    throw Error(ErrorCode::kInvalidInput,
                "example " + example.id + " has chosen and rejected, which are for the task lm, not " +
                    std::string(to_string(rules.task)),
                "chosen");
  EncodedExample pair = encode_answer(rules, example, *example.chosen);
  pair.rejected.push_back(encode_answer(rules, example, *example.rejected));
  return pair;
}

}  // namespace

EncodedExample encode_answer(const EncodingRules& rules, const platform::Example& example, const std::string& answer) {
  const platform::Example one = answered(example, answer);
  EncodedExample encoded = encode_example(rules, one, true);
  if (assistant_spoke(example.messages))
    keep_last_targets(encoded, count_supervised(rules, one) - count_supervised(rules, example));
  return encoded;
}

std::int64_t EncodedExample::supervised() const {
  return std::count_if(targets.begin(), targets.end(), [](std::int32_t target) { return target >= 0; });
}

std::int64_t EncodedExample::tokens() const {
  auto count = static_cast<std::int64_t>(ids.size());
  for (const EncodedExample& other : rejected) count += other.tokens();
  return count;
}

EncodedExample encode_example(const EncodingRules& rules, const platform::Example& example, bool with_target) {
  if (with_target && example.chosen) return encode_pair(rules, example);
  EncodedExample encoded;
  const bool continued = !with_target && rules.task == Task::kLanguageModel;
  std::vector<std::uint8_t> supervised = encode_tokens(rules, example, continued, encoded);
  if (encoded.ids.empty())
    throw Error(ErrorCode::kInvalidInput, "example " + example.id + " has an empty prompt", "prompt");
  const std::int64_t all_targets = std::count(supervised.begin() + 1, supervised.end(), 1);
  cut_front(encoded, supervised, rules.max_tokens);
  encoded.targets.assign(encoded.ids.size(), kernels::kIgnoredTarget);
  for (std::size_t i = 0; i + 1 < encoded.ids.size(); ++i) {
    if (supervised[i + 1] != 0) encoded.targets[i] = encoded.ids[i + 1];
  }
  encoded.weight = static_cast<float>(example.weight);
  if (rules.side) encoded.side = side_input(*rules.schema, example);
  if (rules.task == Task::kForecast && !rules.form->continues.empty())
    encoded.level = level_of(rules.form->continues, example);
  if (with_target) set_target(rules, example, encoded);
  if (with_target && example.teacher && rules.task == Task::kLanguageModel)
    add_teacher(rules, example, all_targets - encoded.supervised(), encoded);
  return encoded;
}

std::optional<double> last_known(const std::vector<float>& samples) {
  const auto last = std::find_if(samples.rbegin(), samples.rend(), [](float sample) { return std::isfinite(sample); });
  return last == samples.rend() ? std::nullopt : std::optional(static_cast<double>(*last));
}

std::vector<platform::Example> read_examples(const std::filesystem::path& file) {
  return examples_from_lines(platform::read_file(file, std::uint64_t{8} << 30), file.string());
}

namespace {

// A file of another kind is told by its first bytes, before a parser finds fault with them.
void check_is_json_lines(std::string_view lines, const std::string& where) {
  if (lines.starts_with("\xFF\xFE") || lines.starts_with("\xFE\xFF"))
    throw Error(ErrorCode::kInvalidInput, where + " is text in UTF-16; save it as UTF-8");
  const std::size_t first = lines.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || lines[first] == '{') return;
  throw Error(ErrorCode::kInvalidInput,
              where + " begins with '" + std::string(1, lines[first]) +
                  "', not with a JSON object; examples are JSON lines, one object a line. A table of records becomes "
                  "examples through a source and a profile (anneal profile, anneal ingest)");
}

platform::json::value parsed_line(std::string_view line, const std::string& place) {
  try {
    return platform::parse_json(line, place);
  } catch (const Error& error) {
    const bool not_a_number =
        line.find("NaN") != std::string_view::npos || line.find("Infinity") != std::string_view::npos;
    if (!not_a_number) throw;
    throw Error(error.code(),
                std::string(error.what()) + "; JSON has no NaN and no Infinity: write null for a missing value");
  }
}

}  // namespace

std::vector<platform::Example> examples_from_lines(std::string_view lines, const std::string& where) {
  std::vector<platform::Example> examples;
  std::size_t number = 0;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (lines.starts_with(kByteOrderMark)) lines.remove_prefix(kByteOrderMark.size());
  check_is_json_lines(lines, where);
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', at), lines.size());
    const std::string_view line = lines.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = where + ":" + std::to_string(number);
    const platform::json::value value = parsed_line(line, place);
    try {
      examples.push_back(platform::example_from_json(value));
    } catch (const platform::Error& error) {
      throw platform::Error(error.code(), place + ": " + error.what(), error.path());
    }
  }
  return examples;
}

}  // namespace finetune
