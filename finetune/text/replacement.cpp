#include "finetune/text/replacement.h"

#include "finetune/text/component.h"
#include "platform/base/error.h"

namespace finetune {

std::size_t text_limit(std::size_t bytes) { return bytes * 64 + (std::size_t{1} << 20); }

Replacement::Replacement(const platform::json::object& object, const std::string& component)
    : pattern_(std::make_shared<const Pattern>(read_pattern(object, component))),
      content_(platform::require_string(object, "content", component)) {}

std::string Replacement::apply(std::string_view text) const {
  std::string result;
  std::size_t at = 0;
  pattern_->for_each_match(text, [&](std::size_t begin, std::size_t end) {
    result += text.substr(at, begin - at);
    result += content_;
    at = end;
    if (result.size() > text_limit(text.size()))
      throw platform::Error(platform::ErrorCode::kTooLarge,
                            "tokenizer.json: replacing '" + pattern_->expression().substr(0, 80) +
                                "' makes a text too long for memory; shorten the replacement");
  });
  return result += text.substr(at);
}

}  // namespace finetune
