#include "platform/http/byte_range.h"

#include <algorithm>
#include <charconv>

namespace platform {

std::optional<ByteRange> requested_range(std::string_view text, std::uint64_t total) {
  constexpr std::string_view kUnit = "bytes=";
  if (!text.starts_with(kUnit) || text.find(',') != std::string_view::npos) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto number = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() ? std::optional(value) : std::nullopt;
  };
  const auto first = number(text.substr(0, dash));
  const auto last = number(text.substr(dash + 1));
  if (!first && !last) return std::nullopt;
  if (!first) return ByteRange{total - std::min(*last, total), std::min(*last, total)};
  if (*first >= total || (last && *last < *first)) return ByteRange{*first, 0};
  return ByteRange{*first, last ? std::min(*last, total - 1) - *first + 1 : total - *first};
}

bool names_etag(std::string_view header, std::string_view etag) {
  if (etag.empty()) return false;
  return header == "*" ||
         header.find(etag) != std::string_view::npos;  // the quotes are part of it, so no tag hides in another
}

}  // namespace platform
