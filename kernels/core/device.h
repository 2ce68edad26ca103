// Where a tensor lives and an operation runs. A plain value.
#pragma once

#include <string>

namespace kernels {

/// True where the library holds CUDA kernels (or their emulation, in tests).
#if defined(ANNEAL_CUDA_KERNELS)
inline constexpr bool kCudaBuilt = true;
#else
inline constexpr bool kCudaBuilt = false;
#endif

enum class DeviceType { kCpu, kCuda };

struct Device {
  DeviceType type = DeviceType::kCpu;
  int index = 0;

  bool operator==(const Device&) const = default;
};

/// "cpu" or "cuda:0".
inline std::string to_string(Device device) {
  return device.type == DeviceType::kCpu ? "cpu" : "cuda:" + std::to_string(device.index);
}

}  // namespace kernels
