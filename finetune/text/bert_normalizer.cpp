#include "finetune/text/bert_normalizer.h"

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

BertNormalizer::BertNormalizer(const platform::json::object& object)
    : clean_text_(platform::bool_or(object, "clean_text", true, "normalizer")),
      space_chinese_(platform::bool_or(object, "handle_chinese_chars", true, "normalizer")),
      lowercase_(platform::bool_or(object, "lowercase", true, "normalizer")),
      strip_accents_(platform::bool_or(object, "strip_accents", lowercase_, "normalizer")) {}

std::string BertNormalizer::apply(std::string_view text) const {
  std::string result(text);
  if (clean_text_) result = map_code_points(result, append_cleaned);
  if (space_chinese_) result = map_code_points(result, append_spaced);
  if (strip_accents_) result = map_code_points(normalized(result, NormalForm::kNfd), append_without_accent);
  return lowercase_ ? lowercased(result) : result;
}

}  // namespace finetune
