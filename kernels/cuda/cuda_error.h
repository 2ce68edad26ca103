// Every call of the CUDA runtime goes through check(), so that none fails unseen.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "kernels/core/error.h"

namespace kernels::cuda {

/// Throws DeviceError "what: the runtime's words (its name)" unless the call succeeded.
inline void check(cudaError_t error, const std::string& what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // a failed call must not be reported again by the next one
  throw DeviceError(what + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")");
}

}  // namespace kernels::cuda
