// Tensor-core and asynchronous-copy instructions as functions; PTX natively, by the manual's register layouts under
// emulation. All lanes of a warp call mma and ldmatrix together.
//
// Fragments of mma_m16n8k16, with group = lane / 4 and pair = 2 (lane % 4):
//   a[0]: rows group,     columns pair, pair + 1      a[2]: rows group,     columns pair + 8, pair + 9
//   a[1]: rows group + 8, columns pair, pair + 1      a[3]: rows group + 8, columns pair + 8, pair + 9
//   b[0]: rows (k) pair, pair + 1 of column group     b[1]: rows pair + 8, pair + 9 of column group
//   c[0], c[1]: row group, columns pair, pair + 1     c[2], c[3]: row group + 8
// ldmatrix of rows of a (row-major, 16 wide) gives a[]; of rows of b transposed ([n, k], row-major) gives b[].
#pragma once

#include <cuda_runtime.h>

#include "kernels/core/data_type.h"
#include "kernels/cuda/view.h"

namespace kernels::cuda {

/// d = a b + c: a 16x16 and b 16x8 of T (BFloat16 or Float16), c and d 16x8 of float32. d may be c.
template <typename T>
__device__ inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                                    const float (&c)[4]) {
  constexpr bool kIsBFloat16 = data_type_of<T>() == DataType::kBFloat16;
  static_assert(sizeof(T) == 2);
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::mma_m16n8k16(kIsBFloat16 ? cuda_emulation::HalfType::kBFloat16 : cuda_emulation::HalfType::kFloat16,
                               d, a, b, c);
#else
  if constexpr (kIsBFloat16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%10, %11, %12, %13};"
        : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%10, %11, %12, %13};"
        : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
  }
#endif
}

/// 2 to the power x in one instruction, within 2 units in the last place; results below 2^-126 are 0.
__device__ inline float exp2_fast(float x) {
#if defined(ANNEAL_CUDA_EMULATION)
  return exp2f(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

#if !defined(ANNEAL_CUDA_EMULATION)
template <typename T>
__device__ inline unsigned shared_address(const SharedArray<T>& array, std::int64_t i) {
  return static_cast<unsigned>(__cvta_generic_to_shared(array.memory().pointer() + i));
}
#endif

/// 1, 2 or 4 matrices of 8x8 elements of 16 bits. Lane 8 m + r gives the index `i` where row r of matrix m begins, a
/// multiple of 8; the indices of lanes from 8 * matrices on are not used. kTransposed hands each matrix out transposed.
template <bool kTransposed = false, typename T>
__device__ inline void ldmatrix(std::uint32_t (&r)[4], const SharedArray<T>& tile, std::int64_t i) {
  static_assert(sizeof(T) == 2);
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::ldmatrix(4, kTransposed, r, tile.memory().data(), i);
#else
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(tile, i)));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(tile, i)));
  }
#endif
}
template <bool kTransposed = false, typename T>
__device__ inline void ldmatrix(std::uint32_t (&r)[2], const SharedArray<T>& tile, std::int64_t i) {
  static_assert(sizeof(T) == 2);
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::ldmatrix(2, kTransposed, r, tile.memory().data(), i);
#else
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(shared_address(tile, i)));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(shared_address(tile, i)));
  }
#endif
}
template <bool kTransposed = false, typename T>
__device__ inline void ldmatrix(std::uint32_t (&r)[1], const SharedArray<T>& tile, std::int64_t i) {
  static_assert(sizeof(T) == 2);
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::ldmatrix(1, kTransposed, r, tile.memory().data(), i);
#else
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
                 : "=r"(r[0])
                 : "r"(shared_address(tile, i)));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(shared_address(tile, i)));
  }
#endif
}

/// Starts a copy of kBytes (4, 8 or 16) from global to shared memory, both aligned to it. Only the first `valid` source
/// elements are read, the rest becomes zeros; 0 reads nothing, and then the source index is not used. The target may be
/// touched by nobody until this thread has waited for the copy's group, and by other threads only after a barrier that
/// follows.
template <int kBytes, typename T>
__device__ inline void copy_async(const SharedArray<T>& target, std::int64_t target_index,
                                  const GlobalView<const T>& source, std::int64_t source_index,
                                  int valid = kBytes / static_cast<int>(sizeof(T))) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::announce_copy(target.memory().data(), target_index, source.memory().data(), source_index, sizeof(T),
                                kBytes, static_cast<std::size_t>(valid) * sizeof(T));
#else
  const int bytes = valid * static_cast<int>(sizeof(T));
  const T* from = source.memory().pointer() + (valid > 0 ? source_index : 0);
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(target, target_index)), "l"(from),
                 "r"(bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(target, target_index)), "l"(from),
                 "n"(kBytes), "r"(bytes)
                 : "memory");
  }
#endif
}

/// Makes the copies that this thread started since the last call one group.
__device__ inline void commit_copies() {
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::commit_copies();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until at most kPending of this thread's groups, the newest, are still on their way.
template <int kPending>
__device__ inline void wait_for_copies() {
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::wait_for_copies(kPending);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

/// Waits at barrier `id` (1 to 15; 0 is __syncthreads) until `threads` of the block, a multiple of 32, have come to it.
__device__ inline void named_barrier_wait(int id, int threads
#if defined(ANNEAL_CUDA_EMULATION)
                                          ,
                                          EmulationSite site = EmulationSite::current()
#endif
) {
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::barrier_wait(static_cast<unsigned>(id), static_cast<unsigned>(threads), site);
#else
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#endif
}

/// Counts at the barrier without waiting.
__device__ inline void named_barrier_arrive(int id, int threads
#if defined(ANNEAL_CUDA_EMULATION)
                                            ,
                                            EmulationSite site = EmulationSite::current()
#endif
) {
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::barrier_arrive(static_cast<unsigned>(id), static_cast<unsigned>(threads), site);
#else
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
#endif
}

}  // namespace kernels::cuda
