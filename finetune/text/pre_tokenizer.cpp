#include "finetune/text/pre_tokenizer.h"

#include <algorithm>
#include <map>

#include "platform/base/error.h"

namespace finetune {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

const char* const kGpt2Expression = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

PreTokenizer::PreTokenizer(const json::value& value) { add(value); }

void PreTokenizer::add(const json::value& value) {
  if (value.is_null()) return;
  const json::object& object = platform::as_object(value, "pre_tokenizer");
  const std::string type = platform::require_string(object, "type", "pre_tokenizer");
  if (type == "Sequence") {
    for (const json::value& inner :
         platform::as_array(platform::require(object, "pretokenizers", "pre_tokenizer"), "pre_tokenizer.pretokenizers"))
      add(inner);
  } else if (type == "ByteLevel") {
    add_byte_level(object);
  } else if (type == "Split") {
    add_split(object);
  } else if (type == "Digits") {
    Step step;
    step.pattern.emplace(platform::bool_or(object, "individual_digits", false, "pre_tokenizer") ? R"(\p{N})"
                                                                                                : R"(\p{N}+)");
    steps_.push_back(std::move(step));
  } else {
    throw Error(ErrorCode::kInvalidInput,
                "tokenizer.json: pre_tokenizer '" + type +
                    "' is not supported; supported are ByteLevel, Digits, Split, Sequence",
                "pre_tokenizer.type");
  }
}

void PreTokenizer::add_byte_level(const json::object& object) {
  byte_level_ = true;
  Step step;
  step.prefix_space = platform::bool_or(object, "add_prefix_space", true, "pre_tokenizer");
  if (platform::bool_or(object, "use_regex", true, "pre_tokenizer")) step.pattern.emplace(kGpt2Expression);
  if (step.prefix_space || step.pattern) steps_.push_back(std::move(step));
}

void PreTokenizer::add_split(const json::object& object) {
  static const std::map<std::string_view, Behavior> kBehaviors = {{"Removed", Behavior::kRemoved},
                                                                  {"Isolated", Behavior::kIsolated},
                                                                  {"MergedWithPrevious", Behavior::kMergedWithPrevious},
                                                                  {"MergedWithNext", Behavior::kMergedWithNext},
                                                                  {"Contiguous", Behavior::kContiguous}};
  const json::object& pattern =
      platform::as_object(platform::require(object, "pattern", "pre_tokenizer"), "pre_tokenizer.pattern");
  Step step;
  if (const json::value* literal = platform::find(pattern, "String")) {
    step.pattern.emplace(platform::require_string(pattern, "String", "pre_tokenizer.pattern"), !literal->is_null());
  } else {
    step.pattern.emplace(platform::require_string(pattern, "Regex", "pre_tokenizer.pattern"));
  }
  const std::string behavior = platform::require_string(object, "behavior", "pre_tokenizer");
  const auto found = kBehaviors.find(behavior);
  if (found == kBehaviors.end())
    throw Error(ErrorCode::kInvalidInput, "tokenizer.json: split behavior '" + behavior + "' is not known",
                "pre_tokenizer.behavior");
  step.behavior = found->second;
  step.invert = platform::bool_or(object, "invert", false, "pre_tokenizer");
  steps_.push_back(std::move(step));
}

void PreTokenizer::apply(std::size_t step, std::string_view text, const Sink& sink) const {
  if (text.empty()) return;
  if (step == steps_.size()) return sink(text);
  if (steps_[step].prefix_space && text.front() != ' ') return isolate(step, " " + std::string(text), sink);
  isolate(step, text, sink);
}

void PreTokenizer::isolate(std::size_t step, std::string_view text, const Sink& sink) const {
  const Step& rule = steps_[step];
  if (!rule.pattern) return apply(step + 1, text, sink);
  std::size_t at = 0;
  if (rule.behavior == Behavior::kIsolated) {
    rule.pattern->for_each_match(text, [&](std::size_t begin, std::size_t end) {
      if (begin > at) apply(step + 1, text.substr(at, begin - at), sink);
      apply(step + 1, text.substr(begin, end - begin), sink);
      at = end;
    });
    return apply(step + 1, text.substr(at), sink);
  }
  std::vector<Part> parts;
  rule.pattern->for_each_match(text, [&](std::size_t begin, std::size_t end) {
    if (begin > at) parts.push_back({at, begin, rule.invert});
    parts.push_back({begin, end, !rule.invert});
    at = end;
  });
  if (at < text.size()) parts.push_back({at, text.size(), rule.invert});
  for (const Part& part : merge(std::move(parts), rule.behavior))
    apply(step + 1, text.substr(part.begin, part.end - part.begin), sink);
}

std::vector<PreTokenizer::Part> PreTokenizer::merge(std::vector<Part> parts, Behavior behavior) {
  if (behavior == Behavior::kRemoved) {
    std::erase_if(parts, [](const Part& part) { return part.match; });
    return parts;
  }
  // "Next" is "previous" seen from the other end.
  if (behavior == Behavior::kMergedWithNext) std::reverse(parts.begin(), parts.end());
  std::vector<Part> merged;
  bool after_match = false;
  for (const Part& part : parts) {
    const bool joins =
        !merged.empty() && (behavior == Behavior::kContiguous ? part.match == after_match : part.match && !after_match);
    if (joins) {
      merged.back().begin = std::min(merged.back().begin, part.begin);
      merged.back().end = std::max(merged.back().end, part.end);
    } else {
      merged.push_back(part);
    }
    after_match = part.match;
  }
  if (behavior == Behavior::kMergedWithNext) std::reverse(merged.begin(), merged.end());
  return merged;
}

}  // namespace finetune
