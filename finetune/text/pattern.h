// A Unicode regular expression (PCRE2) with step limits, so that no text and no pattern can make a match run away.
// Immutable after construction; any thread. This pair is the only place of the house that sees PCRE2.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace finetune {

class Pattern {
 public:
  /// Throws kInvalidInput with the position of a mistake. `literal` takes the text as it stands.
  explicit Pattern(std::string_view expression, bool literal = false);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  const std::string& expression() const { return expression_; }
  /// Calls `found(begin, end)` for each non-empty match from left to right. `text` must be UTF-8. Throws kInvalidInput
  /// when the step limit is passed.
  void for_each_match(std::string_view text, const std::function<void(std::size_t, std::size_t)>& found) const;
  /// Whether the whole of `text` matches.
  bool matches_whole(std::string_view text) const;

 private:
  struct Compiled;
  std::string expression_;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace finetune
