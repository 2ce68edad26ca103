#include "kernels/cpu/vector_lanes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/instruction_set.h"

namespace kernels::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// y = 2^x over whole vectors of 16.
struct Powers {
  const std::vector<float>& x;
  std::vector<float>& y;
};
template <int kLanes>
ANNEAL_INLINE void powers(const Powers& work) {
  for (std::size_t i = 0; i < work.x.size(); i += kLanes)
    store_lanes<kLanes>(&work.y[i], exp2_lanes<kLanes>(load_lanes<kLanes>(&work.x[i])));
}
void powers_baseline(const Powers& work) { powers<4>(work); }
ANNEAL_AVX2 void powers_avx2(const Powers& work) { powers<8>(work); }
ANNEAL_AVX512 void powers_avx512(const Powers& work) { powers<16>(work); }

std::vector<float> powers_of(std::vector<float> x, InstructionSet set) {
  const std::size_t count = x.size();
  x.resize((count + 15) / 16 * 16);
  std::vector<float> y(x.size());
  LoopVersions<Powers>{powers_baseline, powers_avx2, powers_avx512}.of(set)({x, y});
  y.resize(count);
  return y;
}

// What is left of sixteen numbers when lanes [5, 11) are kept, and the highest of the numbers.
struct Kept {
  const float* numbers;
  float *kept, *highest;
};
template <int kLanes>
ANNEAL_INLINE void keep(const Kept& work) {
  *work.highest = -kInfinity;
  for (int i = 0; i < 16; i += kLanes) {
    const Floats<kLanes> numbers = load_lanes<kLanes>(work.numbers + i);
    store_lanes<kLanes>(work.kept + i, keep_lanes<kLanes>(numbers, 5 - i, 11 - i, -1.0f));
    *work.highest = std::max(*work.highest, highest_of_lanes<kLanes>(numbers));
  }
}
void keep_baseline(const Kept& work) { keep<4>(work); }
ANNEAL_AVX2 void keep_avx2(const Kept& work) { keep<8>(work); }
ANNEAL_AVX512 void keep_avx512(const Kept& work) { keep<16>(work); }

TEST(InstructionSets, BeginWithTheBaselineAndHaveNamesOfTheirOwn) {
  EXPECT_EQ(instruction_sets().front(), InstructionSet::kBaseline);
  EXPECT_EQ(widest_instruction_set(), instruction_sets().back());
  EXPECT_STREQ(name_of(InstructionSet::kBaseline), "baseline");
  EXPECT_STREQ(name_of(InstructionSet::kAvx2), "AVX2");
  EXPECT_STREQ(name_of(InstructionSet::kAvx512), "AVX-512");
}

TEST(VectorLanes, PowersOfTwoStayWithinTwoUnitsInTheLastPlace) {
  std::vector<float> x;
  for (double value = -126.0; value < 127.5; value += 0.00137) x.push_back(static_cast<float>(value));
  for (const InstructionSet set : instruction_sets()) {
    const std::vector<float> y = powers_of(x, set);
    double worst = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp2(static_cast<double>(x[i]));
      const float rounded = static_cast<float>(exact);
      const double unit = static_cast<double>(std::nextafter(rounded, kInfinity)) - static_cast<double>(rounded);
      worst = std::max(worst, std::abs(static_cast<double>(y[i]) - exact) / unit);
    }
    EXPECT_LE(worst, 2.0) << name_of(set);
  }
}

TEST(VectorLanes, PowersOfTwoKeepTheEdges) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), marked = std::nanf("0x12345");
  for (const InstructionSet set : instruction_sets()) {
    const std::vector<float> y = powers_of({0.0f, 1.0f, -126.0f, -126.1f, -1e30f, -kInfinity, nan, -nan, marked}, set);
    EXPECT_EQ(y[0], 1.0f) << name_of(set);
    EXPECT_EQ(y[1], 2.0f) << name_of(set);
    EXPECT_EQ(y[2], 0x1p-126f) << name_of(set);
    for (const std::size_t below : {3u, 4u, 5u}) EXPECT_EQ(y[below], 0.0f) << name_of(set) << " of number " << below;
    for (const std::size_t none : {6u, 7u, 8u}) EXPECT_TRUE(std::isnan(y[none])) << name_of(set) << " " << none;
  }
}

TEST(VectorLanes, KeepARangeAndFindTheHighest) {
  for (const InstructionSet set : instruction_sets()) {
    for (int place = 0; place < 16; ++place) {
      float numbers[16], kept[16], highest = 0.0f;
      for (int i = 0; i < 16; ++i) numbers[i] = static_cast<float>(-i) - 2.0f;
      numbers[place] = 3.0f;
      LoopVersions<Kept>{keep_baseline, keep_avx2, keep_avx512}.of(set)({numbers, kept, &highest});
      EXPECT_EQ(highest, 3.0f) << name_of(set) << " with the highest in lane " << place;
      for (int i = 0; i < 16; ++i)
        EXPECT_EQ(kept[i], i >= 5 && i < 11 ? numbers[i] : -1.0f) << name_of(set) << " lane " << i;
    }
  }
}

}  // namespace
}  // namespace kernels::cpu
