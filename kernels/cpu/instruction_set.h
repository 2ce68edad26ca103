// Which vector instructions a loop was compiled for. Loops that gain from a shape of their own per instruction set (the
// block product, the rows of attention) are templates over the lanes of a vector, compiled once per set and chosen at
// run time; tests call every version that the machine has. Loops that the compiler vectorises alone carry ANNEAL_SIMD.
#pragma once

#include <span>

// On the versions of a loop; what they inline is compiled for the set too.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define ANNEAL_AVX2 __attribute__((target("arch=x86-64-v3")))
#define ANNEAL_AVX512 __attribute__((target("arch=x86-64-v4,prefer-vector-width=512")))
#else
#define ANNEAL_AVX2
#define ANNEAL_AVX512
#endif

namespace kernels::cpu {

enum class InstructionSet {
  kBaseline,  // what the library is compiled for
  kAvx2,      // x86-64-v3: 16 vectors of 8 floats, fused multiply-add
  kAvx512,    // x86-64-v4: 32 vectors of 16 floats
};

/// What this processor and system can run, in the order above; the baseline always can. Any thread.
std::span<const InstructionSet> instruction_sets();
inline InstructionSet widest_instruction_set() { return instruction_sets().back(); }
const char* name_of(InstructionSet set);

/// The versions of one loop over `Work`.
template <typename Work>
struct LoopVersions {
  using Loop = void (*)(const Work&);
  Loop baseline, avx2, avx512;

  Loop of(InstructionSet set) const {
    if (set == InstructionSet::kAvx512) return avx512;
    return set == InstructionSet::kAvx2 ? avx2 : baseline;
  }
};

}  // namespace kernels::cpu
