#include "kernels/cpu/instruction_set.h"

#include <array>
#include <cstddef>

namespace kernels::cpu {
namespace {

std::size_t count_of_sets() {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (__builtin_cpu_supports("x86-64-v4")) return 3;
  if (__builtin_cpu_supports("x86-64-v3")) return 2;
#endif
  return 1;
}

}  // namespace

std::span<const InstructionSet> instruction_sets() {
  static constexpr std::array kSets{InstructionSet::kBaseline, InstructionSet::kAvx2, InstructionSet::kAvx512};
  static const std::size_t count = count_of_sets();
  return std::span(kSets).first(count);
}

const char* name_of(InstructionSet set) {
  if (set == InstructionSet::kAvx512) return "AVX-512";
  return set == InstructionSet::kAvx2 ? "AVX2" : "baseline";
}

}  // namespace kernels::cpu
