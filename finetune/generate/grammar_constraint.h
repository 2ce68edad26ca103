// Answers of a ByteGrammar in the tokens of a vocabulary. At each step exactly those tokens may come whose bytes the
// grammar's text goes on with, whatever parts of characters or of the grammar they cover, and after which the answer
// can still be finished in time. The set of tokens is kept for each state of the automaton, 128 of them at most; where
// the automaton has grown, all is forgotten between two tokens.
#pragma once

#include <memory>
#include <unordered_map>

#include "finetune/generate/constraint.h"
#include "finetune/generate/grammar_automaton.h"
#include "finetune/generate/token_trie.h"

namespace finetune {

class GrammarConstraint final : public Constraint {
 public:
  /// `ends`: the tokens that end an answer. `tokens` must outlive the object.
  GrammarConstraint(std::shared_ptr<const ByteGrammar> grammar, const TokenTrie& tokens,
                    std::vector<std::int32_t> ends);

  std::int64_t tokens_to_finish() override { return tokens_to_finish(state_); }
  std::span<const std::uint64_t> allowed(std::int64_t left) override;
  void take(std::int32_t token) override;
  bool complete() const override { return automaton_.accepts(state_); }
  bool finished() const override { return complete() && automaton_.is_last(state_); }

 private:
  struct Kept {
    TokenSet tokens;          // those that end the answer among them
    std::int64_t worst = -1;  // tokens_to_finish() after the worst of them; -1: not known yet
  };

  std::int64_t tokens_to_finish(GrammarAutomaton::State state);
  TokenSet set_of(std::int64_t left, std::int64_t& worst);
  const Kept& kept();
  template <typename Visit>
  void walk(const Visit& visit);

  GrammarAutomaton automaton_;
  const TokenTrie& tokens_;
  const std::vector<std::int32_t> ends_;
  const std::size_t size_;  // of a token set, in bits
  GrammarAutomaton::State state_;
  std::unordered_map<GrammarAutomaton::State, Kept> kept_;
  std::unordered_map<GrammarAutomaton::State, std::int64_t> to_finish_;
  std::size_t rest_bytes_ = 0;  // looked at so far
  TokenSet narrowed_;
};

}  // namespace finetune
