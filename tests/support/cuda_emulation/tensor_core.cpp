#include "tests/support/cuda_emulation/tensor_core.h"

#include <bit>
#include <cstring>

#include "kernels/core/data_type.h"

namespace cuda_emulation {
namespace {

constexpr unsigned kWholeWarp = 0xffffffffu;

struct Product {
  HalfType type;
  float* d;
  const std::uint32_t* a;
  const std::uint32_t* b;
  const float* c;
};

float half_of(HalfType type, std::uint32_t pair, unsigned which) {
  const auto bits = static_cast<std::uint16_t>(which == 0 ? pair & 0xffffu : pair >> 16);
  return type == HalfType::kBFloat16 ? kernels::to_float(kernels::BFloat16{bits})
                                     : kernels::to_float(kernels::Float16{bits});
}

void multiply(void* const payloads[kWarpSize], unsigned) {
  float a[16][16], b[16][8], c[16][8];
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    const auto& part = *static_cast<const Product*>(payloads[lane]);
    const unsigned group = lane / 4, pair = lane % 4 * 2;
    for (unsigned i = 0; i < 8; ++i) {
      const unsigned row = group + (i / 2 % 2) * 8, column = pair + i % 2 + i / 4 * 8;
      a[row][column] = half_of(part.type, part.a[i / 2], i % 2);
    }
    for (unsigned i = 0; i < 4; ++i) b[pair + i % 2 + i / 2 * 8][group] = half_of(part.type, part.b[i / 2], i % 2);
    for (unsigned i = 0; i < 4; ++i) c[group + i / 2 * 8][pair + i % 2] = part.c[i];
  }
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    const auto& part = *static_cast<const Product*>(payloads[lane]);
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      float sum = c[row][column];
      for (unsigned k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      part.d[i] = sum;
    }
  }
}

struct Load {
  int matrices;
  bool transposed;
  std::uint32_t* registers;
  const std::byte* row;
};

void distribute(void* const payloads[kWarpSize], unsigned) {
  const auto& first = *static_cast<const Load*>(payloads[0]);
  for (int m = 0; m < first.matrices; ++m) {
    std::uint16_t matrix[8][8];
    for (int r = 0; r < 8; ++r) std::memcpy(matrix[r], static_cast<const Load*>(payloads[8 * m + r])->row, 16);
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      const unsigned row = lane / 4, pair = lane % 4 * 2;
      const unsigned low = first.transposed ? matrix[pair][row] : matrix[row][pair];
      const unsigned high = first.transposed ? matrix[pair + 1][row] : matrix[row][pair + 1];
      static_cast<const Load*>(payloads[lane])->registers[m] = low | high << 16;
    }
  }
}

}  // namespace

void mma_m16n8k16(HalfType type, float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                  const float (&c)[4], const Site& site) {
  Product product{type, d, a, b, c};
  warp_wait("mma.sync", kWholeWarp, site, &product, multiply, false);
}

void ldmatrix(int matrices, bool transposed, std::uint32_t* registers, const ViewData& view, std::int64_t index,
              const Site& site) {
  Load load{matrices, transposed, registers, nullptr};
  if (current_thread().lane < static_cast<unsigned>(8 * matrices)) {
    check_access(view, index, 8, 2, AccessKind::kRead);
    load.row = view.data + index * 2;
  }
  warp_wait("ldmatrix", kWholeWarp, site, &load, distribute, false);
}

}  // namespace cuda_emulation
