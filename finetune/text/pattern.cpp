#include "finetune/text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "finetune/text/oniguruma.h"
#include "finetune/text/unicode.h"
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
struct FreeCompileContext {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

// The one newline is the line feed, whatever PCRE2 was built with.
std::unique_ptr<pcre2_compile_context, FreeCompileContext> compile_context() {
  std::unique_ptr<pcre2_compile_context, FreeCompileContext> context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  return context;
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

Pattern::Pattern(std::string_view expression, Dialect dialect)
    : expression_(expression), compiled_(std::make_unique<Compiled>()) {
  if (expression.size() > kMaxExpressionBytes)
    throw Error(ErrorCode::kTooLarge, "regular expression is longer than 16 KiB");
  int error = 0;
  PCRE2_SIZE position = 0;
  const bool literal = dialect == Dialect::kLiteral;
  std::uint32_t options = PCRE2_UTF | (literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C);
  const std::string written = dialect == Dialect::kOniguruma ? pcre2_of(expression) : std::string(expression);
  // Two of PCRE2's shortcuts are wrong beside atomic groups: in one at the beginning the fast engine passes over an
  // alternative that failed further left, and a repeat before one that may be empty gives nothing back.
  if (!literal && written.find("(?>") != std::string::npos) options |= PCRE2_NO_START_OPTIMIZE | PCRE2_NO_AUTO_POSSESS;
  compiled_->code.reset(
      pcre2_compile(units(written), written.size(), options, &error, &position, compile_context().get()));
  if (!compiled_->code) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof message);
    // A place in what was written anew would say nothing.
    const std::string place = written == expression ? ", byte " + std::to_string(position) : "";
    throw Error(ErrorCode::kInvalidInput, "regular expression '" + repair_utf8(expression.substr(0, 80)) + "'" + place +
                                              ": " + reinterpret_cast<const char*>(message));
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
  if (text.empty()) return;
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(pcre2_match_data_create(1, nullptr));
  std::size_t last_end = std::string_view::npos;
  for (std::size_t at = 0; at <= text.size();) {
    const int result = compiled_->match(text, at, 0, data.get());
    if (result == PCRE2_ERROR_NOMATCH) return;
    if (result < 0) {
      throw Error(ErrorCode::kInvalidInput,
                  "regular expression needs too many steps on this text: " + repair_utf8(expression().substr(0, 80)) +
                      "; shorten the text or simplify the expression");
    }
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(data.get());
    // \K can move a match's begin before the place where the search began, or behind its end.
    if (span[0] < at || span[1] < span[0])
      throw Error(ErrorCode::kInvalidInput,
                  "regular expression moves its own match: " + repair_utf8(expression().substr(0, 80)));
    if (span[0] == span[1] && span[1] == last_end) {
      at == text.size() ? ++at : static_cast<std::size_t>(next_code_point(text, at));
      continue;
    }
    found(span[0], span[1]);
    at = last_end = span[1];
  }
}

bool Pattern::matches_whole(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(pcre2_match_data_create(1, nullptr));
  // The fast engine is compiled without these two options.
  const int result = compiled_->match(text, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_JIT, data.get());
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0)
    throw Error(ErrorCode::kInvalidInput,
                "regular expression needs too many steps: " + repair_utf8(expression().substr(0, 80)));
  return true;
}

}  // namespace finetune
