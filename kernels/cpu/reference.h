// The plain definitions of the operations whose fast versions no longer look like their formula. Tests hold the fast
// versions against these, and a port to another device starts from here. Single-threaded, double accumulation.
#pragma once

#include "kernels/cpu/operations.h"

namespace kernels::cpu::reference {

void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
          const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc);

void attention_forward(const AttentionShape& shape, const AttentionOptions& options, const AttentionInputs& in,
                       float* o, float* lse);

void attention_backward(const AttentionShape& shape, const AttentionOptions& options, const AttentionInputs& in,
                        const AttentionGradients& gradients);

}  // namespace kernels::cpu::reference
