// The "post_processor" of a tokenizer.json: the special tokens round one text, and how tokens' places lose white space.
// Immutable; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "finetune/text/byte_span.h"
#include "platform/base/json.h"

namespace finetune {

class PostProcessor {
 public:
  /// `value` may be null. Throws kInvalidInput naming what is not supported, kCorrupt where a token has no id.
  explicit PostProcessor(const platform::json::value& value);
  /// What stands before and behind a text.
  const std::vector<std::int32_t>& prefix() const { return prefix_; }
  const std::vector<std::int32_t>& suffix() const { return suffix_; }
  bool trims_places() const { return trims_places_; }
  /// The place of a token without the white space at its ends. `leading` and `trailing`: how many characters of the
  /// token's text are white space. A single space before the first token counts as put there, where the file says so.
  ByteSpan trimmed(ByteSpan place, bool first, std::size_t leading, std::size_t trailing) const;

 private:
  std::vector<std::int32_t> prefix_;
  std::vector<std::int32_t> suffix_;
  bool trims_places_ = false;
  bool first_space_is_ours_ = false;
};

}  // namespace finetune
