// The "post_processor" of a tokenizer.json: the special tokens round one text. Kinds that only move offsets add none.
// Immutable; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "platform/base/json.h"

namespace finetune {

class PostProcessor {
 public:
  /// `value` may be null. Throws kInvalidInput naming what is not supported, kCorrupt where a token has no id.
  explicit PostProcessor(const platform::json::value& value);
  /// What stands before and behind a text.
  const std::vector<std::int32_t>& prefix() const { return prefix_; }
  const std::vector<std::int32_t>& suffix() const { return suffix_; }

 private:
  std::vector<std::int32_t> prefix_;
  std::vector<std::int32_t> suffix_;
};

}  // namespace finetune
