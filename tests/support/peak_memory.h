// How much memory a parser took while it was fed damage. For tests only.
#pragma once

#include <sys/resource.h>

namespace support {

inline long peak_memory_kibibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

/// What damaged files may take over a whole test: far less than any size that they claim.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr long kDamageKibibytes = 1024 * 1024;  // a sanitizer keeps what was freed for a while
#else
inline constexpr long kDamageKibibytes = 64 * 1024;
#endif

}  // namespace support
