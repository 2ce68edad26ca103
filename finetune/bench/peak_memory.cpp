#include "finetune/bench/peak_memory.h"

#include <malloc.h>

#include <fstream>
#include <string>

namespace finetune {

bool forget_peak_memory() {
  ::malloc_trim(0);
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;  // "reset the peak resident set size": proc(5)
  return file.good();
}

std::int64_t peak_memory_bytes() {
  std::ifstream file("/proc/self/status");
  std::string word;
  while (file >> word) {
    if (word != "VmHWM:") continue;
    std::int64_t kibibytes = 0;
    file >> kibibytes;
    return kibibytes * 1024;
  }
  return 0;
}

}  // namespace finetune
