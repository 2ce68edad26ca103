#include "finetune/text/bert_normalizer.h"

#include "finetune/text/normal_form.h"
#include "finetune/text/unicode.h"

namespace finetune {
namespace {

// The blocks that the original program calls Chinese; its 2B920 is kept as it is.
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void append_cleaned(std::string& text, char32_t c) {
  const bool blank = c == '\t' || c == '\n' || c == '\r';
  if (c == 0 || c == 0xFFFD || (!blank && is_control(c))) return;
  append_utf8(text, blank || is_white_space(c) ? U' ' : c);
}

void append_spaced(std::string& text, char32_t c) {
  if (!is_chinese(c)) return append_utf8(text, c);
  text += ' ';
  append_utf8(text, c);
  text += ' ';
}

void append_without_accent(std::string& text, char32_t c) {
  if (!is_nonspacing_mark(c)) append_utf8(text, c);
}

}  // namespace

std::vector<RewriteStep> bert_steps(const platform::json::object& object) {
  const auto wanted = [&](std::string_view key, bool fallback) {
    return platform::bool_or(object, key, fallback, "normalizer");
  };
  const bool lowercase = wanted("lowercase", true);
  std::vector<RewriteStep> steps;
  if (wanted("clean_text", true)) steps.push_back(map_step(append_cleaned));
  if (wanted("handle_chinese_chars", true)) steps.push_back(map_step(append_spaced));
  if (wanted("strip_accents", lowercase)) {
    steps.push_back(normal_form_step(NormalForm::kNfd));
    steps.push_back(map_step(append_without_accent));
  }
  if (lowercase) steps.push_back(map_step(append_lowercased));
  return steps;
}

}  // namespace finetune
