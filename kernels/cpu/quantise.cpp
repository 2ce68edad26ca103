// Compiled without contraction: a fused multiply-add would change the last bit.
#include "kernels/cpu/quantise.h"

#include <algorithm>
#include <cmath>

#include "kernels/core/parallel.h"

namespace kernels::cpu {
namespace {

constexpr std::int64_t kBlock = 64;
constexpr std::int64_t kNestedBlock = 256;
constexpr std::int64_t kParallelBlocks = 256;

constexpr std::array<float, 15> kNf4Thresholds{
    -0.8480964004993439f,  -0.6106329262256622f,   -0.4599952697753906f, -0.33967943489551544f, -0.23460740596055984f,
    -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f, 0.1202552504837513f,   0.2035212516784668f,
    0.2920137718319893f,   0.3893125355243683f,    0.5016634166240692f,  0.6427869200706482f,   0.8614784181118011f};

std::int64_t blocks_of(std::int64_t count, std::int64_t block) { return (count + block - 1) / block; }

float largest_magnitude(const float* values, std::int64_t count) {
  float largest = 0.0f;
  for (std::int64_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(values[i]));
  return largest;
}

std::uint8_t nf4_code(float value, float inverse) {
  const float scaled = value * inverse;
  std::uint8_t code = 0;
  for (const float threshold : kNf4Thresholds) code = static_cast<std::uint8_t>(code + (scaled > threshold ? 1 : 0));
  return code;
}

// Sum of floats in the order of vector code with 8 lanes and 4 running sums, whose long rows are summed by levels: the
// mean of the scales is part of the format, to the last bit.
class LaneSum {
 public:
  explicit LaneSum(std::span<const float> values) : values_(values), vectors_(values.size() / kLanes) {}

  float total() {
    const std::size_t groups = vectors_ / kRows;
    Lanes lanes = sum_groups(groups);
    float rest = 0.0f;
    for (std::size_t i = vectors_ * kLanes; i < values_.size(); ++i) rest += values_[i];
    for (const float lane : lanes) rest += lane;
    return rest;
  }

 private:
  static constexpr std::size_t kLanes = 8, kRows = 4, kLevels = 4;
  using Lanes = std::array<float, kLanes>;

  static void add(Lanes& into, const float* from) {
    for (std::size_t i = 0; i < kLanes; ++i) into[i] += from[i];
  }

  Lanes sum_groups(std::size_t groups) const {
    std::size_t bits = 0;
    while ((std::size_t{1} << bits) < groups) ++bits;
    const std::size_t power = std::max<std::size_t>(4, bits / kLevels), step = std::size_t{1} << power;
    std::array<std::array<Lanes, kRows>, kLevels> sums{};
    for (std::size_t group = 0; group < groups; ++group) {
      for (std::size_t row = 0; row < kRows; ++row) add(sums[0][row], &values_[(group * kRows + row) * kLanes]);
      if ((group + 1) % step == 0) carry(sums, group + 1, power);
    }
    for (std::size_t level = 1; level < kLevels; ++level) {
      for (std::size_t row = 0; row < kRows; ++row) add(sums[0][row], sums[level][row].data());
    }
    Lanes& whole = sums[0][0];
    for (std::size_t vector = groups * kRows; vector < vectors_; ++vector) add(whole, &values_[vector * kLanes]);
    for (std::size_t row = 1; row < kRows; ++row) add(whole, sums[0][row].data());
    return whole;
  }

  // Moves full sums up, as an odometer does.
  static void carry(std::array<std::array<Lanes, kRows>, kLevels>& sums, std::size_t done, std::size_t power) {
    const std::size_t mask = (std::size_t{1} << power) - 1;
    for (std::size_t level = 1; level < kLevels; ++level) {
      for (std::size_t row = 0; row < kRows; ++row) {
        add(sums[level][row], sums[level - 1][row].data());
        sums[level - 1][row] = {};
      }
      if ((done & (mask << (level * power))) != 0) return;
    }
  }

  std::span<const float> values_;
  std::size_t vectors_;
};

// Point `index` of `cells` + 1 equally spaced ones from 0.1 to 1, counted from the nearer end.
float spaced(std::int64_t cells, std::int64_t index) {
  const float step = (1.0f - 0.1f) / static_cast<float>(cells);
  if (index < (cells + 1) / 2) return std::fma(step, static_cast<float>(index), 0.1f);
  return std::fma(-step, static_cast<float>(cells - index), 1.0f);
}

std::array<float, 256> make_nested_book() {
  std::array<float, 256> book{};
  std::size_t filled = 0;
  for (int decade = 0; decade < 7; ++decade) {
    const auto power = static_cast<float>(std::pow(10.0, decade - 6));
    const std::int64_t cells = std::int64_t{1} << decade;
    for (std::int64_t i = 0; i < cells; ++i) {
      const float middle = (spaced(cells, i) + spaced(cells, i + 1)) / 2.0f * power;
      book[filled++] = middle;
      book[filled++] = -middle;
    }
  }
  book[filled++] = 0.0f;
  book[filled++] = 1.0f;
  std::sort(book.begin(), book.end());
  return book;
}

// The lower one of two that are equally near.
std::uint8_t nearest(const std::array<float, 256>& book, float value) {
  const auto above = std::lower_bound(book.begin(), book.end(), value);
  if (above == book.begin()) return 0;
  const auto index = static_cast<std::size_t>(above - book.begin());
  if (above == book.end()) return 255;
  const bool lower = std::fabs(value - book[index - 1]) <= std::fabs(value - book[index]);
  return static_cast<std::uint8_t>(lower ? index - 1 : index);
}

float block_scale(const QuantisedWeight& weight, std::int64_t block) {
  if (weight.type == QuantisedType::kNf4) return weight.scales.data<float>()[block];
  const float value = nested_book()[weight.scale_codes.data<std::uint8_t>()[block]];
  return value * weight.nested_scales.data<float>()[block / kNestedBlock] + weight.nested_offset;
}

void restore_nf4(const QuantisedWeight& weight, std::int64_t begin, std::int64_t end, float* out) {
  const std::uint8_t* codes = weight.codes.data<std::uint8_t>();
  for (std::int64_t i = begin; i < end;) {
    const std::int64_t block = i / kBlock, stop = std::min(end, (block + 1) * kBlock);
    const float scale = block_scale(weight, block);
    for (; i < stop; ++i) {
      const std::uint8_t pair = codes[i / 2];
      out[i - begin] = kNf4Book[i % 2 == 0 ? pair >> 4 : pair & 15] * scale;
    }
  }
}

void restore_int8(const QuantisedWeight& weight, std::int64_t begin, std::int64_t end, float* out) {
  const std::int8_t* codes = weight.codes.data<std::int8_t>();
  const float* scales = weight.scales.data<float>();
  const std::int64_t columns = weight.shape[1];
  for (std::int64_t i = begin; i < end; ++i) out[i - begin] = static_cast<float>(codes[i]) * scales[i / columns];
}

}  // namespace

const std::array<float, 256>& nested_book() {
  static const std::array<float, 256> kBook = make_nested_book();
  return kBook;
}

void quantise_nf4(Context& context, const Tensor& weight, QuantisedWeight& into) {
  const std::int64_t count = weight.count(), blocks = blocks_of(count, kBlock);
  into.codes = Tensor({(count + 1) / 2}, DataType::kUInt8);
  into.scales = Tensor({blocks});
  const float* values = weight.data<float>();
  float* scales = into.scales.data<float>();
  std::uint8_t* codes = into.codes.data<std::uint8_t>();
  parallel_for(context, blocks, kParallelBlocks, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block) {
      const std::int64_t begin = block * kBlock, end = std::min(count, begin + kBlock);
      scales[block] = largest_magnitude(values + begin, end - begin);
      // A block of zeros stays one: 0 * 0 has the code of 0.
      const float inverse = scales[block] > 0.0f ? 1.0f / scales[block] : 0.0f;
      for (std::int64_t i = begin; i < end; i += 2) {
        const std::uint8_t high = nf4_code(values[i], inverse);
        const std::uint8_t low = nf4_code(i + 1 < end ? values[i + 1] : 0.0f, inverse);
        codes[i / 2] = static_cast<std::uint8_t>(high << 4 | low);
      }
    }
  });
}

void nest_scales(QuantisedWeight& weight) {
  const std::int64_t blocks = weight.scales.count();
  const std::span<const float> scales = weight.scales.values<float>();
  weight.nested_offset = blocks > 0 ? LaneSum(scales).total() / static_cast<float>(blocks) : 0.0f;
  weight.scale_codes = Tensor({blocks}, DataType::kUInt8);
  weight.nested_scales = Tensor({blocks_of(blocks, kNestedBlock)});
  std::array<float, kNestedBlock> rest{};
  for (std::int64_t begin = 0; begin < blocks; begin += kNestedBlock) {
    const std::int64_t count = std::min(kNestedBlock, blocks - begin);
    for (std::int64_t i = 0; i < count; ++i)
      rest[static_cast<std::size_t>(i)] = scales[static_cast<std::size_t>(begin + i)] - weight.nested_offset;
    const float largest = largest_magnitude(rest.data(), count);
    weight.nested_scales.data<float>()[begin / kNestedBlock] = largest;
    for (std::int64_t i = 0; i < count; ++i) {
      const float scaled = rest[static_cast<std::size_t>(i)] * (1.0f / largest);
      // Where all are the mean the code is the first one; any gives the mean back.
      weight.scale_codes.data<std::uint8_t>()[begin + i] = largest > 0.0f ? nearest(nested_book(), scaled) : 0;
    }
  }
  weight.scales = Tensor();
}

void quantise_int8(Context& context, const Tensor& weight, QuantisedWeight& into) {
  const std::int64_t rows = weight.size(0), columns = weight.size(1);
  into.codes = Tensor({weight.count()}, DataType::kInt8);
  into.scales = Tensor({rows});
  const float* values = weight.data<float>();
  float* scales = into.scales.data<float>();
  std::int8_t* codes = into.codes.data<std::int8_t>();
  parallel_for(context, rows, 16, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const float largest = largest_magnitude(values + row * columns, columns);
      scales[row] = largest / 127.0f;
      const float inverse = largest > 0.0f ? 127.0f / largest : 0.0f;
      for (std::int64_t i = row * columns; i < (row + 1) * columns; ++i)
        codes[i] = static_cast<std::int8_t>(std::nearbyint(values[i] * inverse));
    }
  });
}

void dequantise(Context& context, const QuantisedWeight& weight, std::int64_t begin, std::int64_t count, float* out) {
  const auto restore = weight.type == QuantisedType::kInt8 ? restore_int8 : restore_nf4;
  parallel_for(context, count, 65536,
               [&](std::int64_t from, std::int64_t to) { restore(weight, begin + from, begin + to, out + from); });
}

}  // namespace kernels::cpu
