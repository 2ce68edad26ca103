// What a processor computes with, in the words by which records of speed are kept apart: two machines of one class
// reach about the same share of their own arithmetic peak. Pure, but for reading /proc/cpuinfo; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kernels {

struct CpuDescription {
  std::string model = "unknown";        // as the system calls it
  std::string feature_class = "plain";  // one of cpu_feature_classes()
  bool multiplies_bfloat16 = false;     // has instructions for products of bfloat16
};

/// From the text of /proc/cpuinfo. What a hypervisor or the kernel hides does not count.
CpuDescription describe_cpu(std::string_view cpuinfo);
/// Of this machine; "unknown" and "plain" where the system does not say.
CpuDescription this_cpu();

/// The most capable first: amx, avx512-bf16, avx512-vnni, avx512, avx2, neon-bf16, neon, plain.
const std::vector<std::string>& cpu_feature_classes();

}  // namespace kernels
