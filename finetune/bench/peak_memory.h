// The most memory that this process has held at once, counted from a moment on: resident pages, files that it maps
// included, as the kernel counts them. Of the whole process; one thread asks.
#pragma once

#include <cstdint>

namespace finetune {

/// Gives freed memory back to the system and counts anew from here. False where the kernel does not allow it: then the
/// peak stays that of the whole life of the process.
bool forget_peak_memory();
/// Bytes; 0 where the system does not say.
std::int64_t peak_memory_bytes();

}  // namespace finetune
