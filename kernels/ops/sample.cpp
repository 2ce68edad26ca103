#include "kernels/ops/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.h"

namespace kernels {
namespace {

// Larger logit first, lower index among equals: a total order, so the kept set does not depend on the algorithm.
struct Preferred {
  std::span<const float> logits;
  bool operator()(std::int32_t a, std::int32_t b) const {
    const float left = logits[static_cast<std::size_t>(a)], right = logits[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  }
};

std::vector<std::int32_t> finite_tokens(std::span<const float> logits) {
  std::vector<std::int32_t> tokens;
  tokens.reserve(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isfinite(logits[i])) tokens.push_back(static_cast<std::int32_t>(i));
  }
  if (tokens.empty()) throw_invalid("sample_token", "none of " + std::to_string(logits.size()) + " logits is finite");
  return tokens;
}

// Keeps the preferred tokens until their share of the whole reaches top_p, sorting no more of them than needed.
void keep_top_p(std::vector<std::int32_t>& tokens, std::vector<double>& weights, std::span<const float> logits,
                double top_p, const auto& weight_of) {
  double whole = 0.0;
  for (const std::int32_t token : tokens) whole += weight_of(token);
  const Preferred preferred{logits};
  double reached = 0.0;
  std::size_t kept = 0, sorted = 0;
  while (kept < tokens.size() && (kept == 0 || reached < top_p * whole)) {
    if (kept == sorted) {
      sorted = std::min(tokens.size(), std::max<std::size_t>(64, 4 * sorted));
      std::partial_sort(tokens.begin() + static_cast<std::ptrdiff_t>(kept),
                        tokens.begin() + static_cast<std::ptrdiff_t>(sorted), tokens.end(), preferred);
    }
    weights.push_back(weight_of(tokens[kept]));
    reached += weights.back();
    ++kept;
  }
  tokens.resize(kept);
}

std::int32_t draw(const std::vector<std::int32_t>& tokens, const std::vector<double>& weights, Random& random) {
  double whole = 0.0;
  for (const double weight : weights) whole += weight;
  double left = random.uniform() * whole;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    left -= weights[i];
    if (left < 0.0) return tokens[i];
  }
  return tokens.back();  // rounding used up the last share
}

}  // namespace

std::int32_t sample_token(Context& context, const Tensor& logits, const SampleOptions& options, Random& random) {
  check_on_cpu("sample_token", context);
  check_count("sample_token", "logits", logits, logits.count());
  const std::span<const float> values = logits.values<float>();
  std::vector<std::int32_t> tokens = finite_tokens(values);
  const Preferred preferred{values};
  if (options.temperature < 0.0f || options.top_k < 0 || !(options.top_p > 0.0f && options.top_p <= 1.0f)) {
    throw_invalid("sample_token", "temperature " + std::to_string(options.temperature) + ", top_k " +
                                      std::to_string(options.top_k) + ", top_p " + std::to_string(options.top_p) +
                                      " must be >= 0, >= 0 and in (0, 1]");
  }
  const std::int32_t best = *std::min_element(tokens.begin(), tokens.end(), preferred);
  if (options.temperature == 0.0f) return best;
  const double highest = static_cast<double>(values[static_cast<std::size_t>(best)]);
  const double temperature = static_cast<double>(options.temperature);
  const auto weight_of = [&](std::int32_t token) {
    return std::exp((static_cast<double>(values[static_cast<std::size_t>(token)]) - highest) / temperature);
  };
  const auto limit = static_cast<std::size_t>(options.top_k);
  if (limit > 0 && limit < tokens.size()) {
    std::nth_element(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(limit), tokens.end(), preferred);
    tokens.resize(limit);
    std::sort(tokens.begin(), tokens.end(), preferred);
  }
  std::vector<double> weights;
  if (options.top_p < 1.0f) {
    keep_top_p(tokens, weights, values, static_cast<double>(options.top_p), weight_of);
  } else {
    for (const std::int32_t token : tokens) weights.push_back(weight_of(token));
  }
  return draw(tokens, weights, random);
}

}  // namespace kernels
