// A Unicode regular expression with step limits, so that no text and no pattern can make a match run away. Immutable
// after construction; any thread. This pair is the only place of the house that sees PCRE2.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace finetune {

/// What an expression is written in.
enum class Dialect {
  kLiteral,    // the text as it stands
  kOniguruma,  // as in a tokenizer.json; see oniguruma.h
  kPcre2
};

class Pattern {
 public:
  /// Throws kInvalidInput with the mistake, or with what of Oniguruma's dialect has no equal in PCRE2's.
  Pattern(std::string_view expression, Dialect dialect);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  const std::string& expression() const { return expression_; }
  /// Calls `found(begin, end)` for each match from left to right; an empty one (\b, a look-around) counts where no
  /// match ends, and there is none in an empty text. `text` must be UTF-8. Throws kInvalidInput when the step limit is
  /// passed.
  void for_each_match(std::string_view text, const std::function<void(std::size_t, std::size_t)>& found) const;
  /// Whether the whole of `text` matches.
  bool matches_whole(std::string_view text) const;

 private:
  struct Compiled;
  std::string expression_;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace finetune
