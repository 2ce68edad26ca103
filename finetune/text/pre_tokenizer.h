// The "pre_tokenizer" of a tokenizer.json: cuts a text into the words that a model never crosses. pre_tokenizer.cpp has
// the table of kinds. Immutable; any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/matcher.h"
#include "finetune/text/text_rewriter.h"
#include "platform/base/json.h"

namespace finetune {

class PreTokenizer {
 public:
  using Sink = std::function<void(std::string_view)>;
  using TracedSink = std::function<void(TracedText)>;

  /// Throws kInvalidInput naming a kind that is not supported. `value` may be null: the text stays whole.
  explicit PreTokenizer(const platform::json::value& value);

  /// Calls `sink` with each non-empty piece from left to right; views live for the call only. `text` is UTF-8;
  /// `at_start` says that nothing is before it, which decides about the mark of some first words.
  void split(std::string_view text, bool at_start, const Sink& sink) const {
    apply(0, {text, nullptr}, at_start, [&](TracedText piece) { sink(piece.text); });
  }
  /// The same, with where the bytes of each piece came from.
  void split_traced(TracedText text, bool at_start, const TracedSink& sink) const { apply(0, text, at_start, sink); }
  /// True if the last step is ByteLevel: pieces are then bytes, not yet spelled in the byte alphabet.
  bool byte_level() const { return byte_level_; }

  struct Step {
    /// Changes the text first; absent: it does not.
    std::function<void(std::string_view, bool at_start, TextRewriter&)> rewrite;
    /// Absent: the text is not cut.
    Matcher matcher;
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;  // what does not match counts as the match
  };

 private:
  void apply(std::size_t step, TracedText text, bool at_start, const TracedSink& sink) const;
  void cut(std::size_t step, TracedText text, bool at_start, const TracedSink& sink) const;

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace finetune
