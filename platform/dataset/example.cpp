#include "platform/dataset/example.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "platform/base/error.h"

namespace platform {
namespace {

// The double with the float's shortest text, so that 0.1f is written 0.1 and reads back to the same bits.
double shortest(float value) {
  char buffer[32];
  const char* end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  double number = 0;
  std::from_chars(buffer, end, number);
  return number;
}

[[noreturn]] void refuse(const Example& example, const std::string& what, const std::string& field) {
  throw Error(ErrorCode::kInvalidInput,
              (example.id.empty() ? std::string("an example") : "example " + example.id) + " " + what, field);
}

// What a float cannot hold has no features, and its square has no place in the statistics.
double held(const Example& example, const json::value& value, const std::string& field) {
  const double number = value.to_number<double>();
  if (std::fabs(number) <= static_cast<double>(std::numeric_limits<float>::max())) return number;
  refuse(example,
         "has " + json::serialize(value) + " as " + field + ", and numbers may be at most 3.4e38 either way; correct " +
             "it, or write null where it is not known",
         field);
}

Signal read_signal(const Example& example, const json::value& value, const std::string& where) {
  const json::value* samples = value.is_object() ? find(value.get_object(), "values") : nullptr;
  if (samples != nullptr && samples->is_array()) {
    for (const json::value& sample : samples->get_array()) {
      if (sample.is_number()) held(example, sample, where + ".values");
    }
  }
  return signal_from_json(value, where);
}

void read_slots(const json::object& object, Example& example) {
  if (const json::value* numbers = find(object, "numbers")) {
    for (const auto& pair : as_object(*numbers, "numbers")) {
      if (!pair.value().is_null() && !pair.value().is_number())
        throw Error(ErrorCode::kInvalidInput, "numbers must hold numbers or null",
                    "numbers." + std::string(pair.key()));
      std::optional<double>& number = example.numbers[pair.key()];
      if (!pair.value().is_null()) number = held(example, pair.value(), "numbers." + std::string(pair.key()));
    }
  }
  if (const json::value* categories = find(object, "categories")) {
    for (const auto& pair : as_object(*categories, "categories")) {
      if (!pair.value().is_null() && !pair.value().is_string())
        throw Error(ErrorCode::kInvalidInput, "categories must hold text or null",
                    "categories." + std::string(pair.key()));
      example.categories[pair.key()] =
          pair.value().is_null() ? std::nullopt : std::optional<std::string>(pair.value().get_string());
    }
  }
  if (const json::value* signals = find(object, "signals")) {
    for (const auto& pair : as_object(*signals, "signals"))
      example.signals[pair.key()] = read_signal(example, pair.value(), "signals." + std::string(pair.key()));
  }
}

void read_values(const json::object& object, Example& example) {
  const json::value* values = find(object, "values");
  if (values == nullptr) return;
  for (const json::value& value : as_array(*values, "values")) {
    if (!value.is_null() && !value.is_number())
      throw Error(ErrorCode::kInvalidInput, "values must hold numbers or null", "values");
    example.values.push_back(value.is_null() ? std::nullopt : std::optional(held(example, value, "values")));
  }
}

// By how much it counts; what a float cannot hold is no weight of a gradient.
void read_weight(const json::object& object, Example& example) {
  example.weight = number_or(object, "weight", 1.0, "");
  if (example.weight >= 0 && example.weight <= static_cast<double>(std::numeric_limits<float>::max())) return;
  refuse(example,
         "has the weight " + json::serialize(object.at("weight")) +
             ", which must be 0 or more and at most 3.4e38; correct it, " + "or leave it out",
         "weight");
}

void read_preference(const json::object& object, Example& example) {
  if (find(object, "chosen") != nullptr) example.chosen = require_string(object, "chosen", "");
  if (find(object, "rejected") != nullptr) example.rejected = require_string(object, "rejected", "");
  if (!example.chosen && !example.rejected) return;
  if (!example.rejected) refuse(example, "has a chosen answer and no rejected one; give both", "rejected");
  if (!example.chosen) refuse(example, "has a rejected answer and no chosen one; give both", "chosen");
  if (*example.chosen == *example.rejected)
    refuse(example, "has the same text as chosen and as rejected, which prefers nothing; leave it out", "rejected");
  if (!example.completion.empty())
    refuse(example, "has a completion beside chosen and rejected; the chosen answer is the completion", "completion");
  if (!example.text.empty()) refuse(example, "has chosen and rejected beside text; they answer a prompt", "text");
  if (!example.messages.empty() && example.messages.back().role == "assistant")
    refuse(example, "has messages that end with the assistant, which chosen and rejected would follow; leave that out",
           "messages");
}

TeacherToken read_teacher_token(const Example& example, const json::value& item) {
  const json::array* pair = item.if_array();
  const bool good = pair != nullptr && pair->size() == 2 && (*pair)[0].is_int64() && (*pair)[0].get_int64() >= 0 &&
                    (*pair)[0].get_int64() <= std::numeric_limits<std::int32_t>::max() && (*pair)[1].is_number() &&
                    (*pair)[1].to_number<double>() <= 0 && (*pair)[1].to_number<double>() >= -1e30;
  if (!good) refuse(example, "has a teacher's token that is not [number, log probability of at most 0]", "teacher");
  return {static_cast<std::int32_t>((*pair)[0].get_int64()), static_cast<float>((*pair)[1].to_number<double>())};
}

std::vector<TeacherToken> read_teacher_list(const Example& example, const json::value& list) {
  std::vector<TeacherToken> tokens;
  double mass = 0;
  for (const json::value& item : as_array(list, "teacher.tokens[]")) {
    const TeacherToken token = read_teacher_token(example, item);
    for (const TeacherToken& other : tokens) {
      if (other.token == token.token)
        refuse(example, "has token " + std::to_string(token.token) + " twice in one list of its teacher", "teacher");
    }
    mass += std::exp(static_cast<double>(token.logprob));
    tokens.push_back(token);
  }
  if (tokens.size() > kMostTeacherTokens)
    refuse(example,
           "has " + std::to_string(tokens.size()) + " tokens in one list of its teacher; at most " +
               std::to_string(kMostTeacherTokens) + " are kept",
           "teacher");
  if (mass > 1.001)
    refuse(example, "has a teacher whose probabilities of one token add up to " + std::to_string(mass), "teacher");
  return tokens;
}

void read_teacher(const json::object& object, Example& example) {
  const json::value* value = find(object, "teacher");
  if (value == nullptr) return;
  if (example.completion.empty() && (example.messages.empty() || example.messages.back().role != "assistant"))
    refuse(example, "has a teacher and no answer of one; it belongs to a completion or the assistant's last turn",
           "teacher");
  const json::object& teacher = as_object(*value, "teacher");
  refuse_unknown_keys(teacher, {"tokenizer", "tokens"}, "teacher");
  example.teacher.emplace();
  example.teacher->tokenizer = require_string(teacher, "tokenizer", "teacher");
  for (const json::value& list : as_array(require(teacher, "tokens", "teacher"), "teacher.tokens"))
    example.teacher->tokens.push_back(read_teacher_list(example, list));
}

json::object to_json(const Teacher& teacher) {
  json::array lists;
  for (const auto& tokens : teacher.tokens) {
    json::array list;
    for (const TeacherToken& token : tokens) list.push_back(json::array{token.token, shortest(token.logprob)});
    lists.push_back(std::move(list));
  }
  return {{"tokenizer", teacher.tokenizer}, {"tokens", std::move(lists)}};
}

}  // namespace

json::value to_json(const Signal& signal) {
  json::array values;
  for (const float value : signal.values) {
    if (std::isfinite(value)) {
      values.emplace_back(shortest(value));
    } else {
      values.emplace_back(nullptr);
    }
  }
  json::object out{{"values", std::move(values)}};
  if (signal.rate_hz != 0) out["rate_hz"] = signal.rate_hz;
  if (!signal.unit.empty()) out["unit"] = signal.unit;
  return out;
}

Signal signal_from_json(const json::value& value, const std::string& where) {
  const json::object& object = as_object(value, where);
  refuse_unknown_keys(object, {"values", "rate_hz", "unit"}, where);
  Signal signal;
  signal.rate_hz = number_or(object, "rate_hz", 0, where);
  signal.unit = string_or(object, "unit", "", where);
  for (const json::value& item : as_array(require(object, "values", where), where + ".values")) {
    if (item.is_null()) {
      signal.values.push_back(std::numeric_limits<float>::quiet_NaN());
    } else if (item.is_number()) {
      signal.values.push_back(static_cast<float>(item.to_number<double>()));
    } else {
      throw Error(ErrorCode::kInvalidInput, where + ".values must hold numbers or null", where + ".values");
    }
  }
  return signal;
}

std::string_view to_string(Split split) {
  if (split == Split::kTrain) return "train";
  return split == Split::kValidation ? "validation" : "test";
}

Split split_from(std::string_view name) {
  if (name == "train") return Split::kTrain;
  if (name == "validation") return Split::kValidation;
  if (name == "test") return Split::kTest;
  throw Error(ErrorCode::kInvalidInput, "unknown split '" + std::string(name) + "'; it is train, validation or test",
              "split");
}

json::value to_json(const Example& example) {
  json::object out{{"split", to_string(example.split)}};
  if (!example.id.empty()) out["id"] = example.id;
  if (!example.source.empty()) out["source"] = example.source;
  if (!example.group.empty()) out["group"] = example.group;
  if (!example.prompt.empty()) out["prompt"] = example.prompt;
  if (!example.completion.empty()) out["completion"] = example.completion;
  if (example.chosen) out["chosen"] = *example.chosen;
  if (example.rejected) out["rejected"] = *example.rejected;
  if (example.teacher) out["teacher"] = to_json(*example.teacher);
  if (!example.text.empty()) out["text"] = example.text;
  if (!example.messages.empty()) {
    json::array messages;
    for (const Message& message : example.messages)
      messages.push_back(json::object{{"role", message.role}, {"content", message.content}});
    out["messages"] = std::move(messages);
  }
  json::object numbers, categories, signals;
  for (const auto& [name, value] : example.numbers) numbers[name] = value ? json::value(*value) : json::value(nullptr);
  for (const auto& [name, value] : example.categories)
    categories[name] = value ? json::value(*value) : json::value(nullptr);
  for (const auto& [name, signal] : example.signals) signals[name] = to_json(signal);
  if (!numbers.empty()) out["numbers"] = std::move(numbers);
  if (!categories.empty()) out["categories"] = std::move(categories);
  if (!signals.empty()) out["signals"] = std::move(signals);
  if (example.label) out["label"] = *example.label;
  if (example.labels) out["labels"] = to_json(*example.labels);
  if (example.value) out["value"] = *example.value;
  if (!example.values.empty()) {
    json::array values;
    for (const auto& value : example.values) values.push_back(value ? json::value(*value) : json::value(nullptr));
    out["values"] = std::move(values);
  }
  if (example.weight != 1.0) out["weight"] = example.weight;
  return out;
}

Example example_from_json(const json::value& value) {
  const json::object& object = as_object(value, "example");
  refuse_unknown_keys(
      object,
      {"id", "source", "group", "split", "prompt", "completion", "messages", "text", "numbers", "categories", "signals",
       "label", "labels", "value", "values", "weight", "chosen", "rejected", "teacher"},
      "");
  Example example;
  example.id = string_or(object, "id", "", "");
  example.source = string_or(object, "source", "", "");
  example.group = string_or(object, "group", "", "");
  example.split = split_from(string_or(object, "split", "train", ""));
  example.prompt = string_or(object, "prompt", "", "");
  example.completion = string_or(object, "completion", "", "");
  example.text = string_or(object, "text", "", "");
  if (const json::value* messages = find(object, "messages")) {
    for (const json::value& item : as_array(*messages, "messages")) {
      const json::object& message = as_object(item, "messages[]");
      example.messages.push_back(
          {require_string(message, "role", "messages[]"), require_string(message, "content", "messages[]")});
    }
  }
  read_preference(object, example);
  read_teacher(object, example);
  read_slots(object, example);
  if (find(object, "label")) example.label = require_string(object, "label", "");
  if (const json::value* labels = find(object, "labels")) example.labels = strings_from(*labels, "labels");
  if (find(object, "value")) {
    require_number(object, "value", "");
    example.value = held(example, object.at("value"), "value");
  }
  read_values(object, example);
  read_weight(object, example);
  const int forms =
      (!example.prompt.empty() ? 1 : 0) + (!example.messages.empty() ? 1 : 0) + (!example.text.empty() ? 1 : 0);
  if (forms != 1)
    throw Error(ErrorCode::kInvalidInput, "an example holds exactly one of prompt, messages and text", "prompt");
  return example;
}

std::vector<PromptPart> parse_prompt(std::string_view prompt) {
  std::vector<PromptPart> parts;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) parts.push_back({PromptPart::Kind::kText, std::move(literal)});
    literal.clear();
  };
  std::size_t at = 0;
  while (at < prompt.size()) {
    std::size_t open = prompt.find("{{", at);
    // Of three braces in a row the first is text.
    while (open != std::string_view::npos && open + 2 < prompt.size() && prompt[open + 2] == '{') ++open;
    literal += prompt.substr(at, open == std::string_view::npos ? std::string_view::npos : open - at);
    if (open == std::string_view::npos) break;
    const std::size_t close = prompt.find("}}", open + 2);
    const std::string where = " at byte " + std::to_string(open);
    if (prompt.substr(open, 10) == "{{ \"{{\" }}") {
      literal += "{{";
      at = open + 10;
      continue;
    }
    if (close == std::string_view::npos)
      throw Error(ErrorCode::kInvalidInput, "'{{' is never closed" + where + "; write {{ name }}", "prompt");
    std::string_view inside = prompt.substr(open + 2, close - open - 2);
    while (!inside.empty() && inside.front() == ' ') inside.remove_prefix(1);
    while (!inside.empty() && inside.back() == ' ') inside.remove_suffix(1);
    PromptPart part{PromptPart::Kind::kField, {}};
    const std::size_t colon = inside.find(':');
    const std::string_view kind = colon == std::string_view::npos ? std::string_view() : inside.substr(0, colon);
    if (kind == "number") part.kind = PromptPart::Kind::kNumber;
    if (kind == "category") part.kind = PromptPart::Kind::kCategory;
    if (kind == "signal") part.kind = PromptPart::Kind::kSignal;
    if (part.kind == PromptPart::Kind::kField && !kind.empty()) {
      throw Error(ErrorCode::kInvalidInput,
                  "unknown slot kind '" + std::string(kind) + "'" + where + "; it is number, category or signal",
                  "prompt");
    }
    part.text = part.kind == PromptPart::Kind::kField ? inside : inside.substr(colon + 1);
    if (part.text.empty()) throw Error(ErrorCode::kInvalidInput, "an empty slot" + where, "prompt");
    flush();
    parts.push_back(std::move(part));
    at = close + 2;
  }
  flush();
  return parts;
}

std::vector<PromptPart> prompt_parts(const Example& example) {
  try {
    return parse_prompt(example.prompt);
  } catch (const Error& error) {
    if (example.id.empty()) throw;
    throw Error(error.code(), "the prompt of example " + example.id + ": " + error.what(), "prompt");
  }
}

}  // namespace platform
