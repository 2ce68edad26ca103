// The "normalizer" of a tokenizer.json: what is done to a text before it is cut into words. normalizer.cpp has the
// table of kinds. Immutable; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/text_rewriter.h"
#include "platform/base/json.h"

namespace finetune {

class Normalizer {
 public:
  /// `value` may be null: nothing is changed. Throws kInvalidInput naming a kind that is not supported.
  explicit Normalizer(const platform::json::value& value);
  /// `text` must be well-formed UTF-8. Throws kTooLarge when the file's rules make too much of it.
  std::string apply(std::string_view text) const;
  /// The same, with where each byte came from: changes both.
  void apply(std::string& text, Origins& origins) const;
  /// True if apply() never changes anything.
  bool is_identity() const { return steps_.empty(); }

 private:
  void run(std::string& text, Origins* origins) const;

  std::vector<RewriteStep> steps_;
};

}  // namespace finetune
