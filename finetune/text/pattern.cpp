#include "finetune/text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr std::uint32_t kStepLimit = 10'000'000;
constexpr std::uint32_t kHeapLimitKibibytes = 64 * 1024;
constexpr std::size_t kMaxExpressionBytes = 16 * 1024;

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

// tokenizer.json is written in Oniguruma's dialect, where a class inside a class, [^a[bc]], is their union. PCRE2 reads
// the inner bracket as a character, so inner brackets are taken away. An inner negated class or an intersection (&&)
// has no such form.
std::string flatten_nested_classes(std::string_view expression) {
  std::string out;
  int depth = 0;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == '\\' && i + 1 < expression.size()) {
      out += c;
      out += expression[++i];
    } else if (c == '[' && depth == 0) {
      out += c;
      ++depth;
      if (i + 1 < expression.size() && expression[i + 1] == '^') out += expression[++i];
      // A closing bracket in the first place is a character.
      if (i + 1 < expression.size() && expression[i + 1] == ']') out += expression[++i];
    } else if (c == '[' && expression.substr(i, 2) == "[:") {
      const std::size_t end = expression.find(":]", i);
      const std::size_t length = end == std::string_view::npos ? 1 : end + 2 - i;
      out += expression.substr(i, length);
      i += length - 1;
    } else if (c == '[') {
      if (expression.substr(i, 2) == "[^")
        throw Error(ErrorCode::kInvalidInput,
                    "a negated class inside a class is not supported: " + std::string(expression.substr(0, 80)));
      ++depth;
    } else if (c == ']' && depth > 0) {
      if (--depth == 0) out += c;
    } else if (depth > 0 && expression.substr(i, 2) == "&&") {
      throw Error(ErrorCode::kInvalidInput,
                  "an intersection of classes (&&) is not supported: " + std::string(expression.substr(0, 80)));
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

struct Pattern::Compiled {
  std::unique_ptr<pcre2_code, FreeCode> code;
  std::unique_ptr<pcre2_match_context, FreeMatchContext> context;

  // The result of pcre2_match; a match too deep for the fast engine's stack is tried again by the other one.
  int match(std::string_view text, std::size_t at, std::uint32_t options, pcre2_match_data* data) const {
    const int found =
        pcre2_match(code.get(), units(text), text.size(), at, options | PCRE2_NO_UTF_CHECK, data, context.get());
    if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
    return pcre2_match(code.get(), units(text), text.size(), at, options | PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data,
                       context.get());
  }
};

Pattern::Pattern(std::string_view expression, bool literal)
    : expression_(expression), compiled_(std::make_unique<Compiled>()) {
  if (expression.size() > kMaxExpressionBytes)
    throw Error(ErrorCode::kTooLarge, "regular expression is longer than 16 KiB");
  int error = 0;
  PCRE2_SIZE position = 0;
  const std::uint32_t options = PCRE2_UTF | (literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C);
  const std::string dialect = literal ? std::string(expression) : flatten_nested_classes(expression);
  compiled_->code.reset(pcre2_compile(units(dialect), dialect.size(), options, &error, &position, nullptr));
  if (!compiled_->code) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof message);
    throw Error(ErrorCode::kInvalidInput, "regular expression is wrong at character " + std::to_string(position) +
                                              ": " + expression_.substr(0, 80) + ": " +
                                              reinterpret_cast<const char*>(message));
  }
  pcre2_jit_compile(compiled_->code.get(), PCRE2_JIT_COMPLETE);
  compiled_->context.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(compiled_->context.get(), kStepLimit);
  pcre2_set_depth_limit(compiled_->context.get(), kStepLimit);
  pcre2_set_heap_limit(compiled_->context.get(), kHeapLimitKibibytes);
}

Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

void Pattern::for_each_match(std::string_view text, const std::function<void(std::size_t, std::size_t)>& found) const {
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(pcre2_match_data_create(1, nullptr));
  std::size_t at = 0;
  while (at < text.size()) {
    const int result = compiled_->match(text, at, PCRE2_NOTEMPTY, data.get());
    if (result == PCRE2_ERROR_NOMATCH) return;
    if (result < 0) {
      throw Error(ErrorCode::kInvalidInput,
                  "regular expression needs too many steps on this text: " + expression_.substr(0, 80) +
                      "; shorten the text or simplify the expression");
    }
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(data.get());
    // \K can move a match's begin before the place where the search began.
    if (span[0] < at || span[1] <= span[0])
      throw Error(ErrorCode::kInvalidInput, "regular expression moves its own match: " + expression_.substr(0, 80));
    found(span[0], span[1]);
    at = span[1];
  }
}

bool Pattern::matches_whole(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(pcre2_match_data_create(1, nullptr));
  // The fast engine is compiled without these two options.
  const int result = compiled_->match(text, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_JIT, data.get());
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0)
    throw Error(ErrorCode::kInvalidInput, "regular expression needs too many steps: " + expression_.substr(0, 80));
  return true;
}

}  // namespace finetune
