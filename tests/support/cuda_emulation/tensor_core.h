// The tensor-core instructions of kernels/cuda/tensor_core.h by the register layouts that the PTX manual gives
// (sections "Matrix fragments for mma.m16n8k16" and "ldmatrix").
#pragma once

#include "tests/support/cuda_emulation/checked_memory.h"

namespace cuda_emulation {

enum class HalfType { kBFloat16, kFloat16 };

/// d = a b + c with a 16x16, b 16x8, c and d 16x8, spread over the 32 lanes of a warp.
void mma_m16n8k16(HalfType type, float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                  const float (&c)[4], const Site& site = Site::current());

/// Loads `matrices` (1, 2 or 4) 8x8 matrices of 16-bit elements; lane 8 m + r names row r of matrix m by the element
/// that it begins with. Lanes whose row is not used may name any.
void ldmatrix(int matrices, bool transposed, std::uint32_t* registers, const ViewData& view, std::int64_t index,
              const Site& site = Site::current());

}  // namespace cuda_emulation
