// Replaces each match of a pattern: a step of a normalizer or of a decoder. Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "finetune/text/pattern.h"
#include "finetune/text/text_rewriter.h"
#include "platform/base/json.h"

namespace finetune {

/// The most that the steps of a tokenizer.json may make of `bytes` of text: real ones stay far below, and a hostile
/// file cannot fill the memory.
std::size_t text_limit(std::size_t bytes);

class Replacement {
 public:
  /// From {"pattern": ..., "content": "..."}; `component` names the place in errors.
  Replacement(const platform::json::object& object, const std::string& component);
  /// Throws kTooLarge when the result passes text_limit().
  std::string apply(std::string_view text) const;
  void apply(std::string_view text, TextRewriter& rewriter) const;

 private:
  std::shared_ptr<const Pattern> pattern_;  // shared: copies of a step use one compiled expression
  std::string content_;
};

}  // namespace finetune
