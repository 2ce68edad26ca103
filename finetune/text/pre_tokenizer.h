// The "pre_tokenizer" of a tokenizer.json: cuts a text into the words that a model never crosses. pre_tokenizer.cpp has
// the table of kinds. Immutable; any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/matcher.h"
#include "platform/base/json.h"

namespace finetune {

class PreTokenizer {
 public:
  using Sink = std::function<void(std::string_view)>;

  /// Throws kInvalidInput naming a kind that is not supported. `value` may be null: the text stays whole.
  explicit PreTokenizer(const platform::json::value& value);

  /// Calls `sink` with each non-empty piece from left to right; views live for the call only. `text` is UTF-8;
  /// `at_start` says that nothing is before it, which decides about the mark of some first words.
  void split(std::string_view text, bool at_start, const Sink& sink) const { apply(0, text, at_start, sink); }
  /// True if the last step is ByteLevel: pieces are then bytes, not yet spelled in the byte alphabet.
  bool byte_level() const { return byte_level_; }

  struct Step {
    /// Changes the text first; absent: it does not.
    std::function<std::string(std::string_view, bool at_start)> rewrite;
    /// Absent: the text is not cut.
    Matcher matcher;
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;  // what does not match counts as the match
  };

 private:
  void apply(std::size_t step, std::string_view text, bool at_start, const Sink& sink) const;
  void cut(std::size_t step, std::string_view text, bool at_start, const Sink& sink) const;

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace finetune
