#include "finetune/text/replacement.h"

#include "finetune/text/component.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"

namespace finetune {

std::size_t text_limit(std::size_t bytes) { return bytes * 64 + (std::size_t{1} << 20); }

Replacement::Replacement(const platform::json::object& object, const std::string& component)
    : pattern_(std::make_shared<const Pattern>(read_pattern(object, component))),
      content_(platform::require_string(object, "content", component)) {}

std::string Replacement::apply(std::string_view text) const {
  TextRewriter rewriter({text, nullptr});
  apply(text, rewriter);
  return rewriter.take_text();
}

void Replacement::apply(std::string_view text, TextRewriter& rewriter) const {
  std::size_t at = 0;
  pattern_->for_each_match(text, [&](std::size_t begin, std::size_t end) {
    rewriter.keep(at, begin);
    // As the file's own library has it, what is put stands for the last character of the match; where that is empty,
    // for the one before it.
    std::size_t last = end;
    if (end > 0) code_point_before(text, last);
    rewriter.put(content_, last, end);
    at = end;
    if (rewriter.size() > text_limit(text.size()))
      throw platform::Error(platform::ErrorCode::kTooLarge,
                            "tokenizer.json: replacing '" + pattern_->expression().substr(0, 80) +
                                "' makes a text too long for memory; shorten the replacement");
  });
  rewriter.keep(at, text.size());
}

}  // namespace finetune
