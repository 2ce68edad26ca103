// Q4_K: for every 32 elements the scale and offset (x ~ scale q - offset, offset >= 0) of the least weighted error,
// then both in 6 bits under two float16 factors, then the elements anew.
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "finetune/formats/gguf_block_kinds.h"

namespace finetune::gguf {
namespace {

constexpr int kSub = 32;
constexpr int kSubs = 8;
constexpr float kLevels = 15;

struct Fit {
  float scale = 0, offset = 0;
  float error = 0;
};

// Large elements count more.
std::array<float, kSub> importance_of(std::span<const float, kSub> values) {
  float squares = 0;
  for (const float value : values) squares += value * value;
  std::array<float, kSub> weights{};
  for (std::size_t i = 0; i < kSub; ++i) weights[i] = std::sqrt(squares / kSub) + std::fabs(values[i]);
  return weights;
}

float level_of(float value, float least, float inverse) {
  return std::clamp(std::nearbyint((value - least) * inverse), 0.0f, kLevels);
}

// Weighted least squares of scale and offset for the levels that (value - least) * inverse rounds to; the offset is
// held at 0 where it would be negative. False where the levels do not determine it.
bool fit_levels(std::span<const float, kSub> values, const std::array<float, kSub>& weights, float least, float inverse,
                Fit& fit) {
  double all = 0, of_x = 0, of_q = 0, of_qq = 0, of_xq = 0;
  for (std::size_t i = 0; i < kSub; ++i) {
    const double w = weights[i], x = values[i], q = level_of(values[i], least, inverse);
    all += w;
    of_x += w * x;
    of_q += w * q;
    of_qq += w * q * q;
    of_xq += w * x * q;
  }
  const double determinant = all * of_qq - of_q * of_q;
  if (determinant <= 0) return false;
  double scale = (all * of_xq - of_x * of_q) / determinant, start = (of_qq * of_x - of_q * of_xq) / determinant;
  if (start > 0) {
    start = 0;
    scale = of_xq / of_qq;
  }
  fit = {static_cast<float>(scale), static_cast<float>(-start), 0};
  for (std::size_t i = 0; i < kSub; ++i) {
    const float miss = fit.scale * level_of(values[i], least, inverse) - fit.offset - values[i];
    fit.error += weights[i] * miss * miss;
  }
  return true;
}

Fit best_fit(std::span<const float, kSub> values) {
  constexpr int kTries = 21;  // 14 to 16 levels across the range, in steps of a tenth
  const float largest = *std::max_element(values.begin(), values.end());
  const float least = std::min(0.0f, *std::min_element(values.begin(), values.end()));
  if (!std::isfinite(kLevels / (largest - least))) return {0, -least, 0};
  const std::array<float, kSub> weights = importance_of(values);
  Fit best{(largest - least) / kLevels, -least, 0};
  for (std::size_t i = 0; i < kSub; ++i) {
    const float miss = best.scale * level_of(values[i], least, 1 / best.scale) - best.offset - values[i];
    best.error += weights[i] * miss * miss;
  }
  for (int attempt = 0; attempt < kTries; ++attempt) {
    Fit fit;
    const float inverse = (kLevels - 1 + 0.1f * static_cast<float>(attempt)) / (largest - least);
    if (fit_levels(values, weights, least, inverse, fit) && fit.error < best.error) best = fit;
  }
  return best;
}

int six_bits(float value, float factor) {
  return factor > 0 ? std::clamp(static_cast<int>(std::nearbyint(value / factor)), 0, 63) : 0;
}

void put_pair(int scale, int offset, int j, std::uint8_t* bytes) {
  const auto add = [&](int at, int bits) { bytes[at] = static_cast<std::uint8_t>(bytes[at] | bits); };
  if (j < 4) {
    add(j, scale);
    add(j + 4, offset);
    return;
  }
  add(j + 4, (scale & 15) | (offset & 15) << 4);
  add(j - 4, scale >> 4 << 6);
  add(j, offset >> 4 << 6);
}

}  // namespace

void quantise_q4_k(const float* values, std::uint8_t* block) {
  std::array<Fit, kSubs> fits;
  float scale = 0, offset = 0;
  for (int j = 0; j < kSubs; ++j) {
    fits[static_cast<std::size_t>(j)] = best_fit(std::span<const float, kSub>(values + j * kSub, kSub));
    scale = std::max(scale, fits[static_cast<std::size_t>(j)].scale);
    offset = std::max(offset, fits[static_cast<std::size_t>(j)].offset);
  }
  std::fill_n(block, 144, std::uint8_t{0});
  put_half(scale / 63, block);
  put_half(offset / 63, block + 2);
  for (int j = 0; j < kSubs; ++j) {
    const Fit& fit = fits[static_cast<std::size_t>(j)];
    const int six_scale = six_bits(fit.scale, scale / 63), six_offset = six_bits(fit.offset, offset / 63);
    put_pair(six_scale, six_offset, j, block + 4);
    const float d = half_at(block) * static_cast<float>(six_scale);
    const float m = half_at(block + 2) * static_cast<float>(six_offset);
    for (int i = 0; i < kSub; ++i) {
      const float level = std::isfinite(1 / d) ? level_of(values[j * kSub + i], -m, 1 / d) : 0;
      std::uint8_t& place = block[16 + j / 2 * 32 + i];
      place = static_cast<std::uint8_t>(place | static_cast<int>(level) << (j % 2 * 4));
    }
  }
}

}  // namespace finetune::gguf
