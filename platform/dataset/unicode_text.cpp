#include "platform/dataset/unicode_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace platform {
namespace {

bool ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

struct Freed {
  void operator()(utf8proc_uint8_t* bytes) const { std::free(bytes); }
};

}  // namespace

std::string normalized_text(std::string_view text) {
  if (ascii(text)) return std::string(text);
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t point = 0;
    const utf8proc_ssize_t step = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &point);
    if (step <= 0)
      throw Error(ErrorCode::kInvalidInput,
                  "the text is not UTF-8 at byte " + std::to_string(at) + "; convert it to UTF-8 first");
    at += static_cast<std::size_t>(step);
  }
  utf8proc_uint8_t* raw = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(bytes, static_cast<utf8proc_ssize_t>(text.size()), &raw,
                                             static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, Freed> owned(raw);
  if (size < 0)
    throw Error(ErrorCode::kInvalidInput, std::string("the text cannot be normalised: ") + utf8proc_errmsg(size));
  return std::string(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size));
}

std::size_t word_length(std::string_view text, std::string_view others) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  std::size_t length = 0;
  for (std::size_t at = 0; at < text.size(); ++length) {
    utf8proc_int32_t point = 0;
    const utf8proc_ssize_t step = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &point);
    if (step <= 0) return 0;
    const utf8proc_category_t category = utf8proc_category(point);
    const bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
    const bool mark = category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_MC && at > 0;
    const bool other = point < 0x80 && others.find(static_cast<char>(point)) != std::string_view::npos;
    if (!(letter || mark || other || category == UTF8PROC_CATEGORY_ND) || utf8proc_get_property(point)->ignorable != 0)
      return 0;
    at += static_cast<std::size_t>(step);
  }
  return length;
}

void normalize_strings(json::value& value) {
  if (value.is_string()) {
    if (!ascii(std::string_view(value.get_string()))) value = normalized_text(std::string_view(value.get_string()));
  } else if (value.is_array()) {
    for (json::value& item : value.get_array()) normalize_strings(item);
  } else if (value.is_object()) {
    json::object copy;
    for (auto& pair : value.get_object()) {
      normalize_strings(pair.value());
      copy[normalized_text(std::string_view(pair.key()))] = std::move(pair.value());
    }
    value = std::move(copy);
  }
}

}  // namespace platform
