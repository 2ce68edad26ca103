#include "finetune/text/pre_tokenizer.h"

#include "finetune/text/byte_level.h"
#include "finetune/text/component.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;
using Step = PreTokenizer::Step;
using Steps = std::vector<Step>;

constexpr const char* kComponent = "pre_tokenizer";
constexpr const char* kGpt2Expression = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

void with_prefix_space(std::string_view text, bool, TextRewriter& rewriter) {
  if (!text.empty() && text.front() != ' ') rewriter.put_before(" ");
  rewriter.keep(0, text.size());
}

void spelled_bytes(std::string_view text, bool, TextRewriter& rewriter) { spell_bytes(text, rewriter); }

void byte_level(const json::object& object, Steps& steps) {
  Step step;
  if (platform::bool_or(object, "add_prefix_space", true, kComponent)) step.rewrite = with_prefix_space;
  if (platform::bool_or(object, "use_regex", true, kComponent)) {
    step.matcher = match_pattern(Pattern(kGpt2Expression, Dialect::kOniguruma));
  }
  steps.push_back(std::move(step));
  steps.push_back({.rewrite = spelled_bytes});
}

void split(const json::object& object, Steps& steps) {
  platform::require_string(object, "behavior", kComponent);
  steps.push_back({.matcher = match_pattern(read_pattern(object, kComponent)),
                   .behavior = read_behavior(object, ""),
                   .invert = platform::bool_or(object, "invert", false, kComponent)});
}

void digits(const json::object& object, Steps& steps) {
  const bool individual = platform::bool_or(object, "individual_digits", false, kComponent);
  steps.push_back({.matcher = match_pattern(Pattern(individual ? R"(\p{N})" : R"(\p{N}+)", Dialect::kPcre2))});
}

enum class Prepend { kAlways, kFirst, kNever };

Prepend read_prepend(const json::object& object) {
  const std::string scheme = platform::string_or(object, "prepend_scheme", "always", kComponent);
  if (!platform::bool_or(object, "add_prefix_space", true, kComponent) || scheme == "never") return Prepend::kNever;
  if (scheme == "first") return Prepend::kFirst;
  if (scheme == "always") return Prepend::kAlways;
  throw Error(ErrorCode::kInvalidInput,
              "tokenizer.json: prepend_scheme '" + scheme + "' is not known; known are always, first, never",
              "pre_tokenizer.prepend_scheme");
}

void metaspace(const json::object& object, Steps& steps) {
  const std::string mark = require_character(object, "replacement", "\u2581", kComponent);
  Step step;
  step.rewrite = [mark, prepend = read_prepend(object)](std::string_view text, bool at_start, TextRewriter& rewriter) {
    const bool first_is_mark = text.starts_with(' ') || text.starts_with(mark);
    const bool wanted = prepend == Prepend::kAlways || (prepend == Prepend::kFirst && at_start);
    if (wanted && !first_is_mark && !text.empty()) rewriter.put_before(mark);
    std::size_t at = 0;
    for (std::size_t space = 0; (space = text.find(' ', at)) != std::string_view::npos; at = space + 1) {
      rewriter.keep(at, space);
      rewriter.put(mark, space, space + 1);
    }
    rewriter.keep(at, text.size());
  };
  if (platform::bool_or(object, "split", true, kComponent)) {
    step.matcher = match_pattern(Pattern(mark, Dialect::kLiteral));
    step.behavior = SplitBehavior::kMergedWithNext;
  }
  steps.push_back(std::move(step));
}

void white_space_split(const json::object&, Steps& steps) {
  steps.push_back({.matcher = match_each(is_white_space), .behavior = SplitBehavior::kRemoved});
}

void white_space(const json::object&, Steps& steps) {
  const auto class_of = [](char32_t c) { return is_white_space(c) ? 0 : is_word_character(c) ? 1 : 2; };
  steps.push_back({.matcher = match_runs(class_of), .behavior = SplitBehavior::kRemoved, .invert = true});
}

void punctuation(const json::object& object, Steps& steps) {
  steps.push_back({.matcher = match_each(is_punctuation), .behavior = read_behavior(object, "Isolated")});
}

void bert(const json::object& object, Steps& steps) {
  white_space_split(object, steps);
  steps.push_back({.matcher = match_each(is_punctuation)});
}

void character_delimiter(const json::object& object, Steps& steps) {
  const std::string delimiter = require_character(object, "delimiter", "", kComponent);
  steps.push_back(
      {.matcher = match_pattern(Pattern(delimiter, Dialect::kLiteral)), .behavior = SplitBehavior::kRemoved});
}

void fixed_length(const json::object& object, Steps& steps) {
  const std::size_t length = size_or(object, "length", 5, kComponent);
  if (length == 0)
    throw Error(ErrorCode::kInvalidInput, "tokenizer.json: pre_tokenizer.length is 0; it must be 1 or more",
                "pre_tokenizer.length");
  steps.push_back({.matcher = match_length(length)});
}

// What is before the first letter of any script is left out, as the file's own library does.
void unicode_scripts(const json::object&, Steps& steps) {
  steps.push_back({.matcher = match_scripts(), .behavior = SplitBehavior::kRemoved, .invert = true});
}

// Each may double a text.
constexpr int kMaxByteLevelSteps = 4;

struct Kind {
  std::string_view type;
  void (*add)(const json::object&, Steps&);
};

constexpr Kind kKinds[] = {
    {"BertPreTokenizer", bert},
    {"ByteLevel", byte_level},
    {"CharDelimiterSplit", character_delimiter},
    {"Digits", digits},
    {"FixedLength", fixed_length},
    {"Metaspace", metaspace},
    {"Punctuation", punctuation},
    {"Split", split},
    {"UnicodeScripts", unicode_scripts},
    {"Whitespace", white_space},
    {"WhitespaceSplit", white_space_split},
};

}  // namespace

PreTokenizer::PreTokenizer(const json::value& value) {
  int byte_steps = 0;
  for (const json::object* object : components_of(value, kComponent, "pretokenizers")) {
    kind_of(kKinds, *object, kComponent).add(*object, steps_);
    byte_level_ = platform::require_string(*object, "type", kComponent) == "ByteLevel";
    if (byte_level_ && ++byte_steps > kMaxByteLevelSteps)
      throw Error(ErrorCode::kTooLarge,
                  "tokenizer.json: pre_tokenizer has more than 4 ByteLevel steps; remove all but the last", kComponent);
  }
  if (byte_level_) steps_.pop_back();  // the bytes of the last step are left as they are
  std::erase_if(steps_, [](const Step& step) { return !step.rewrite && !step.matcher; });
}

void PreTokenizer::apply(std::size_t step, TracedText text, bool at_start, const TracedSink& sink) const {
  if (text.text.empty()) return;
  if (step == steps_.size()) return sink(text);
  if (!steps_[step].rewrite) return cut(step, text, at_start, sink);
  TextRewriter rewriter(text);
  steps_[step].rewrite(text.text, at_start, rewriter);
  const std::string changed = rewriter.take_text();
  const Origins origins = rewriter.take_origins();
  cut(step, {changed, text.origins != nullptr ? origins.data() : nullptr}, at_start, sink);
}

void PreTokenizer::cut(std::size_t step, TracedText text, bool at_start, const TracedSink& sink) const {
  const Step& rule = steps_[step];
  if (!rule.matcher) return apply(step + 1, text, at_start, sink);
  const auto pass_on = [&](std::size_t begin, std::size_t end) {
    apply(step + 1, text.part(begin, end), at_start && begin == 0, sink);
  };
  std::size_t at = 0;
  if (rule.behavior == SplitBehavior::kIsolated) {
    rule.matcher(text.text, [&](std::size_t begin, std::size_t end) {
      pass_on(at, begin);
      pass_on(begin, end);
      at = end;
    });
    return pass_on(at, text.text.size());
  }
  std::vector<Part> parts;
  rule.matcher(text.text, [&](std::size_t begin, std::size_t end) {
    if (begin > at) parts.push_back({at, begin, rule.invert});
    parts.push_back({begin, end, !rule.invert});
    at = end;
  });
  if (at < text.text.size()) parts.push_back({at, text.text.size(), rule.invert});
  for (const Part& part : merge_parts(std::move(parts), rule.behavior)) pass_on(part.begin, part.end);
}

}  // namespace finetune
