// How much longer a test waits for what must happen when a sanitizer makes its programs several times slower.
#pragma once

namespace tests {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr int kPatience = 5;
#else
inline constexpr int kPatience = 1;
#endif

}  // namespace tests
