// Constraint: what one answer may still say, as the set of tokens that may come next. One object for one answer; one
// thread.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace finetune {

/// One bit a token, 64 in a word.
using TokenSet = std::vector<std::uint64_t>;
inline bool holds(std::span<const std::uint64_t> set, std::size_t token) {
  return (set[token / 64] >> (token % 64) & 1) != 0;
}
inline void insert(TokenSet& set, std::size_t token) { set[token / 64] |= std::uint64_t{1} << (token % 64); }

/// Of an answer that cannot be finished with the tokens of this vocabulary.
inline constexpr std::int64_t kNeverFinished = std::numeric_limits<std::int64_t>::max();

class Constraint {
 public:
  virtual ~Constraint() = default;

  /// How many tokens finish the answer from here at best, its end not counted.
  virtual std::int64_t tokens_to_finish() = 0;
  /// What may come next where `left` tokens may still come, this one included: after any of these tokens the answer can
  /// be finished with what is left then. The tokens that end an answer are among them where it is complete. Never empty
  /// if `left` is at least tokens_to_finish() and the answer is not finished. Valid until the next call.
  virtual std::span<const std::uint64_t> allowed(std::int64_t left) = 0;
  /// The token that was chosen, one of allowed() and none that ends the answer.
  virtual void take(std::int32_t token) = 0;
  /// The answer may end here.
  virtual bool complete() const = 0;
  /// It is complete and nothing may follow.
  virtual bool finished() const = 0;
};

}  // namespace finetune
