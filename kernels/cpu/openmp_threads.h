// OpenMpThreads: the thread count that oneDNN takes from the calling thread's OpenMP setting, for as long as the object
// lives. Belongs to one thread.
#pragma once

#include <omp.h>

namespace kernels::cpu {

class OpenMpThreads {
 public:
  explicit OpenMpThreads(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~OpenMpThreads() { omp_set_num_threads(before_); }
  OpenMpThreads(const OpenMpThreads&) = delete;
  OpenMpThreads& operator=(const OpenMpThreads&) = delete;

 private:
  int before_;
};

}  // namespace kernels::cpu
