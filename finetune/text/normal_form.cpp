#include "finetune/text/normal_form.h"

namespace finetune {
namespace {

// The end of the stretch that begins at `at`: before the first character that changes nothing before it and is not
// changed by it.
std::size_t stretch_end(std::string_view text, std::size_t at, NormalForm form) {
  const std::size_t begin = at;
  next_code_point(text, at);
  while (at < text.size()) {
    std::size_t next = at;
    const char32_t c = next_code_point(text, next);
    if (combining_class(c) == 0) {
      const std::string_view before = text.substr(begin, at - begin), alone = text.substr(at, next - at);
      if (normalized(text.substr(begin, next - begin), form) == normalized(before, form) + normalized(alone, form))
        return at;
    }
    at = next;
  }
  return at;
}

}  // namespace

RewriteStep map_step(void (*append)(std::string&, char32_t)) {
  return [append](std::string_view, TextRewriter& rewriter) { rewriter.map(append); };
}

RewriteStep normal_form_step(NormalForm form) {
  return [form](std::string_view text, TextRewriter& rewriter) {
    if (!rewriter.traces()) return rewriter.put(normalized(text, form), 0, text.size());
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = stretch_end(text, at, form);
      put_characters(rewriter, text, normalized(text.substr(at, end - at), form), {at, end}, CharacterOrder::kComposed);
      at = end;
    }
  };
}

}  // namespace finetune
