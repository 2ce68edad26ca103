// Answers that are one of a set of labels, whole, in the tokens that the tokenizer writes each label in: a trie over
// the labels' token ids.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "finetune/generate/constraint.h"
#include "finetune/text/tokenizer.h"

namespace finetune {

class LabelConstraint final : public Constraint {
 public:
  /// Throws kInvalidInput for no labels or more than 10,000, an empty one, two that are the same, and one that the
  /// tokenizer does not give back as it is. `ends`: the tokens that end an answer.
  LabelConstraint(const Tokenizer& tokenizer, const std::vector<std::string>& labels, std::vector<std::int32_t> ends);

  std::int64_t tokens_to_finish() override { return node().to_finish; }
  std::span<const std::uint64_t> allowed(std::int64_t left) override;
  void take(std::int32_t token) override;
  bool complete() const override { return node().whole; }
  bool finished() const override { return node().whole && node().next.empty(); }

 private:
  struct Node {
    std::map<std::int32_t, std::size_t> next;  // by token
    bool whole = false;                        // a label ends here
    std::int64_t to_finish = kNeverFinished;   // tokens to the nearest label
  };

  void add(const std::vector<std::int32_t>& ids);
  const Node& node() const { return nodes_[at_]; }

  std::vector<Node> nodes_;
  std::vector<std::int32_t> ends_;
  std::size_t at_ = 0;
  TokenSet set_;
};

}  // namespace finetune
