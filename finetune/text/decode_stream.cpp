#include "finetune/text/decode_stream.h"

#include <algorithm>
#include <utility>

#include "finetune/text/unicode.h"

namespace finetune {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
// A text of broken bytes without end must not wait without end.
constexpr std::size_t kMaxWindow = 1024;

// What `text` has that `before` does not begin with.
std::string behind(const std::string& text, const std::string& before) {
  if (text.starts_with(before)) return text.substr(before.size());
  std::size_t same = 0;
  while (same < std::min(text.size(), before.size()) && text[same] == before[same]) ++same;
  while (same > 0 && (static_cast<unsigned char>(text[same]) & 0xC0) == 0x80) --same;
  return text.substr(same);
}

// Whether more code points may belong to the character that ends with `last`.
bool may_grow(char32_t last) {
  if (last < 0x80 || is_white_space(last)) return false;
  const bool ideograph = last >= 0x3400 && last <= 0x9FFF;
  const bool closed_syllable = last >= 0xAC00 && last <= 0xD7A3 && (last - 0xAC00) % 28 != 0;
  const bool final_letter = (last >= 0x11A8 && last <= 0x11FF) || (last >= 0xD7CB && last <= 0xD7FB);
  return !ideograph && !closed_syllable && !final_letter && last != 0xFFFD && !is_punctuation(last);
}

std::size_t last_character(std::string_view text) {
  std::size_t begin = 0;
  for (std::size_t end = 0; end < text.size();) {
    begin = end;
    end = grapheme_end(text, end);
  }
  return begin;
}

}  // namespace

std::string DecodeStream::next_code_points(std::int32_t id) {
  if (!tokenizer_->is_visible(id, skip_special_tokens_)) return {};
  if (given_text_.empty() && !window_.empty()) {
    std::string text = tokenizer_->decode(window_, skip_special_tokens_);
    if (text.empty()) given_ = window_.size();
  }
  window_.push_back(id);
  const std::string text = tokenizer_->decode(window_, skip_special_tokens_);
  const bool waits = text.size() <= given_text_.size() || text.ends_with(kReplacement);
  if (waits && window_.size() < kMaxWindow) return {};
  std::string chunk = behind(text, given_text_);
  window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(given_));
  given_ = window_.size();
  given_text_ = tokenizer_->decode(window_, skip_special_tokens_);
  return chunk;
}

std::string DecodeStream::whole_characters(std::string text) {
  if (unit_ == StreamUnit::kCodePoint || text.empty()) return text;
  held_ += text;
  std::size_t end = held_.size();
  if (may_grow(code_point_before(held_, end))) {
    end = last_character(held_);
  } else {
    end = held_.size();
  }
  std::string whole = held_.substr(0, end);
  held_.erase(0, end);
  return whole;
}

std::string DecodeStream::push(std::int32_t id) { return whole_characters(next_code_points(id)); }

std::string DecodeStream::finish() {
  const std::string rest = behind(tokenizer_->decode(window_, skip_special_tokens_), given_text_);
  std::string text = std::exchange(held_, {}) + rest;
  window_.clear();
  given_ = 0;
  given_text_.clear();
  return text;
}

}  // namespace finetune
