// The Range header of a request (RFC 9110, section 14): one range of bytes. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace platform {

struct ByteRange {
  std::uint64_t first = 0, size = 0;
};

/// "bytes=a-b", "bytes=a-", "bytes=-n"; nullopt for anything else (then the whole file is sent), size 0 if it cannot be
/// satisfied.
std::optional<ByteRange> requested_range(std::string_view text, std::uint64_t total);
/// True if one of the entity tags of an If-None-Match header is `etag` (with its quotes), or it is "*".
bool names_etag(std::string_view header, std::string_view etag);

}  // namespace platform
