#include "kernels/core/waiting.h"

#include <unistd.h>

#include <cstdlib>

namespace kernels {

void sleep_while_waiting(char** arguments) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (setenv("OMP_WAIT_POLICY", "passive", 0) != 0) return;
  execv("/proc/self/exe", arguments);
}

}  // namespace kernels
