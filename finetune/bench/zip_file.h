// The one file inside of a ZIP archive, as public data sets are handed out: stored or deflated (APPNOTE.TXT 6.3, 4.3),
// without encryption, ZIP64 or further files. Sizes are believed only as far as the archive's own length allows, so
// that a small file cannot ask for much memory. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace finetune {

inline constexpr std::uint64_t kMostUnzippedBytes = std::uint64_t{512} << 20;

/// The bytes of the single entry, held against their length and CRC-32. Throws kCorrupt naming `name`, the archive's,
/// for what is cut off or contradicts itself, kInvalidInput for kinds that are not read, kTooLarge over `limit_bytes`.
std::string unzipped(std::string_view archive, const std::string& name, std::uint64_t limit_bytes = kMostUnzippedBytes);

}  // namespace finetune
