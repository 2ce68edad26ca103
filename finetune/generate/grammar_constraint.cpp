#include "finetune/generate/grammar_constraint.h"

#include <algorithm>

#include "platform/base/error.h"

namespace finetune {
namespace {

constexpr std::size_t kMostKept = 128;
// Bytes of ways to the end that one answer may look at: some seconds' work.
constexpr std::size_t kMostRestBytes = 1'000'000'000;

std::size_t bits_for(const TokenTrie& tokens, const std::vector<std::int32_t>& ends) {
  std::size_t size = tokens.vocabulary_size();
  for (const std::int32_t end : ends) size = std::max(size, static_cast<std::size_t>(end) + 1);
  return size;
}

}  // namespace

GrammarConstraint::GrammarConstraint(std::shared_ptr<const ByteGrammar> grammar, const TokenTrie& tokens,
                                     std::vector<std::int32_t> ends)
    : automaton_(std::move(grammar)),
      tokens_(tokens),
      ends_(std::move(ends)),
      size_(bits_for(tokens, ends_)),
      state_(automaton_.start()) {}

template <typename Visit>
void GrammarConstraint::walk(const Visit& visit) {
  tokens_.walk(
      state_, GrammarAutomaton::kDead,
      [&](GrammarAutomaton::State state, unsigned char byte) { return automaton_.next(state, byte); }, visit);
}

std::int64_t GrammarConstraint::tokens_to_finish(GrammarAutomaton::State state) {
  const auto [found, added] = to_finish_.try_emplace(state, 0);
  if (!added) return found->second;
  const std::string rest = automaton_.rest(state);
  rest_bytes_ += rest.size() + 1;
  if (rest_bytes_ > kMostRestBytes) {
    throw platform::Error(
        platform::ErrorCode::kInvalidInput,
        "the form of the answer has too many long ways to its end; shorten its constants and lists of "
        "members, or allow the answer more tokens",
        "response_format");
  }
  return found->second = tokens_.fewest_tokens(rest);
}

// The tokens after which the answer can be finished with left - 1 more; `worst`: after the worst of them.
TokenSet GrammarConstraint::set_of(std::int64_t left, std::int64_t& worst) {
  TokenSet set((size_ + 63) / 64, 0);
  worst = 0;
  walk([&](std::int32_t token, GrammarAutomaton::State state) {
    const std::int64_t then = tokens_to_finish(state);
    if (then == kNeverFinished || then > left - 1) return;
    worst = std::max(worst, then);
    insert(set, static_cast<std::size_t>(token));
  });
  if (complete()) {
    for (const std::int32_t end : ends_) insert(set, static_cast<std::size_t>(end));
  }
  return set;
}

const GrammarConstraint::Kept& GrammarConstraint::kept() {
  const auto found = kept_.find(state_);
  if (found != kept_.end()) return found->second;
  if (kept_.size() >= kMostKept) kept_.clear();
  Kept made;
  if (tokens_.writes_any_byte()) {
    // Any text can be written, so no token leads to a place without a way out.
    made.tokens.assign((size_ + 63) / 64, 0);
    walk([&](std::int32_t token, GrammarAutomaton::State) { insert(made.tokens, static_cast<std::size_t>(token)); });
    if (complete()) {
      for (const std::int32_t end : ends_) insert(made.tokens, static_cast<std::size_t>(end));
    }
  } else {
    made.tokens = set_of(kNeverFinished, made.worst);
  }
  return kept_.emplace(state_, std::move(made)).first->second;
}

std::span<const std::uint64_t> GrammarConstraint::allowed(std::int64_t left) {
  const Kept& known = kept();
  // Where each byte is a token, a rest takes no more tokens than bytes.
  if (tokens_.writes_any_byte() && left > static_cast<std::int64_t>(automaton_.longest_rest())) return known.tokens;
  std::int64_t worst = known.worst;
  if (worst < 0) {
    walk([&](std::int32_t, GrammarAutomaton::State state) { worst = std::max(worst, tokens_to_finish(state)); });
    kept_[state_].worst = worst = std::max<std::int64_t>(worst, 0);
  }
  if (left - 1 >= worst) return kept_[state_].tokens;
  narrowed_ = set_of(left, worst);
  return narrowed_;
}

void GrammarConstraint::take(std::int32_t token) {
  const std::string& bytes = tokens_.bytes_of(token);
  GrammarAutomaton::State state = bytes.empty() ? GrammarAutomaton::kDead : state_;
  for (const char byte : bytes) {
    state = automaton_.next(state, static_cast<unsigned char>(byte));
    if (state == GrammarAutomaton::kDead) break;
  }
  if (state == GrammarAutomaton::kDead)
    throw platform::Error(platform::ErrorCode::kInternal,
                          "token " + std::to_string(token) + " does not continue the form of the answer");
  state_ = state;
  if (!automaton_.crowded()) return;
  state_ = automaton_.compacted(state_);
  kept_.clear();
  to_finish_.clear();
}

}  // namespace finetune
