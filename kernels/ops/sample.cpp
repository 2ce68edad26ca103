#include "kernels/ops/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/cuda/operations.h"

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

// Keeps the tokens whose surprise is nearest to the mean one until their share of the whole reaches typical_p.
void keep_typical(std::vector<std::int32_t>& tokens, std::vector<double>& weights, double typical_p) {
  double whole = 0.0, entropy = 0.0;
  for (const double weight : weights) whole += weight;
  for (const double weight : weights) entropy -= weight > 0.0 ? weight / whole * std::log(weight / whole) : 0.0;
  std::vector<std::size_t> order(tokens.size());
  std::vector<double> distance(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    order[i] = i;
    distance[i] = std::fabs(std::log(weights[i] / whole) + entropy);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return distance[a] < distance[b]; });
  std::vector<std::int32_t> kept;
  std::vector<double> kept_weights;
  double reached = 0.0;
  for (const std::size_t i : order) {
    if (!kept.empty() && reached >= typical_p * whole) break;
    kept.push_back(tokens[i]);
    kept_weights.push_back(weights[i]);
    reached += weights[i];
  }
  tokens = std::move(kept);
  weights = std::move(kept_weights);
}

void keep_min_p(std::vector<std::int32_t>& tokens, std::vector<double>& weights, double min_p) {
  const double least = min_p * *std::max_element(weights.begin(), weights.end());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (weights[i] < least) continue;
    tokens[kept] = tokens[i];
    weights[kept++] = weights[i];
  }
  tokens.resize(kept);
  weights.resize(kept);
}

// The tokens that would complete a sequence that came before.
std::vector<std::int32_t> banned_tokens(const SampleOptions& options, std::span<const std::int32_t> before) {
  std::vector<std::int32_t> banned;
  const auto length = static_cast<std::size_t>(options.no_repeat_ngram);
  if (length == 0 || before.size() < length) return banned;
  const auto last = before.last(length - 1);
  for (std::size_t i = 0; i + length <= before.size(); ++i) {
    if (std::equal(last.begin(), last.end(), before.begin() + static_cast<std::ptrdiff_t>(i)))
      banned.push_back(before[i + length - 1]);
  }
  return banned;
}

// The logits with the marks of the tokens that came before, in `changed` if there are any.
std::span<const float> marked(std::span<const float> logits, const SampleOptions& options,
                              std::span<const std::int32_t> before, std::vector<float>& changed) {
  const auto length = static_cast<std::size_t>(options.no_repeat_ngram);
  const bool bans = length > 0 && before.size() >= length;
  if (before.empty() || (options.repetition_penalty == 1.0f && !bans)) return logits;
  changed.assign(logits.begin(), logits.end());
  const auto known = [&](std::int32_t token) { return token >= 0 && static_cast<std::size_t>(token) < logits.size(); };
  for (const std::int32_t token : before) {
    if (!known(token)) continue;
    const auto at = static_cast<std::size_t>(token);
    const float penalty = options.repetition_penalty;
    // However small the penalty, a token that may come stays one.
    constexpr float kLargest = std::numeric_limits<float>::max();
    const float penalised = logits[at] < 0.0f ? logits[at] * penalty : logits[at] / penalty;
    changed[at] = std::isfinite(logits[at]) ? std::clamp(penalised, -kLargest, kLargest) : penalised;
  }
  for (const std::int32_t token : banned_tokens(options, before)) {
    if (known(token)) changed[static_cast<std::size_t>(token)] = -std::numeric_limits<float>::infinity();
  }
  return changed;
}

void check_options(const SampleOptions& options) {
  const auto is_share = [](float value) { return value > 0.0f && value <= 1.0f; };
  if (options.temperature < 0.0f || options.top_k < 0 || !is_share(options.top_p)) {
    throw_invalid("sample_token", "temperature " + std::to_string(options.temperature) + ", top_k " +
                                      std::to_string(options.top_k) + ", top_p " + std::to_string(options.top_p) +
                                      " must be >= 0, >= 0 and in (0, 1]");
  }
  if (options.min_p < 0.0f || options.min_p > 1.0f || !is_share(options.typical_p)) {
    throw_invalid("sample_token", "min_p " + std::to_string(options.min_p) + ", typical_p " +
                                      std::to_string(options.typical_p) + " must be in [0, 1] and (0, 1]");
  }
  if (!(options.repetition_penalty > 0.0f) || options.no_repeat_ngram < 0) {
    throw_invalid("sample_token", "repetition_penalty " + std::to_string(options.repetition_penalty) +
                                      ", no_repeat_ngram " + std::to_string(options.no_repeat_ngram) +
                                      " must be > 0 and >= 0");
  }
}

struct Candidates {
  std::vector<std::int32_t> tokens;
  std::vector<double> weights;  // not normalised; the most probable one has 1
};

void keep_top_k(std::vector<std::int32_t>& tokens, std::size_t limit, const Preferred& preferred) {
  if (limit == 0 || limit >= tokens.size()) return;
  std::nth_element(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(limit), tokens.end(), preferred);
  tokens.resize(limit);
  std::sort(tokens.begin(), tokens.end(), preferred);
}

Candidates candidates_of(Context& context, const Tensor& logits, const SampleOptions& options,
                         std::span<const std::int32_t> before) {
  check_on_cpu("sample_token", context);
  check_count("sample_token", "logits", logits, logits.count());
  check_options(options);
  std::vector<float> changed;
  const std::span<const float> values = marked(logits.values<float>(), options, before, changed);
  Candidates kept{finite_tokens(values), {}};
  const Preferred preferred{values};
  const std::int32_t best = *std::min_element(kept.tokens.begin(), kept.tokens.end(), preferred);
  if (options.temperature == 0.0f) return {{best}, {1.0}};
  const double highest = static_cast<double>(values[static_cast<std::size_t>(best)]);
  const double temperature = static_cast<double>(options.temperature);
  const auto weight_of = [&](std::int32_t token) {
    return std::exp((static_cast<double>(values[static_cast<std::size_t>(token)]) - highest) / temperature);
  };
  keep_top_k(kept.tokens, static_cast<std::size_t>(options.top_k), preferred);
  if (options.top_p < 1.0f) {
    keep_top_p(kept.tokens, kept.weights, values, static_cast<double>(options.top_p), weight_of);
  } else {
    for (const std::int32_t token : kept.tokens) kept.weights.push_back(weight_of(token));
  }
  if (options.min_p > 0.0f) keep_min_p(kept.tokens, kept.weights, static_cast<double>(options.min_p));
  if (options.typical_p < 1.0f) keep_typical(kept.tokens, kept.weights, static_cast<double>(options.typical_p));
  return kept;
}

std::int32_t draw(const Candidates& kept, double uniform) {
  double whole = 0.0;
  for (const double weight : kept.weights) whole += weight;
  double left = uniform * whole;
  for (std::size_t i = 0; i < kept.tokens.size(); ++i) {
    left -= kept.weights[i];
    if (left < 0.0) return kept.tokens[i];
  }
  return kept.tokens.back();  // rounding used up the last share
}

// On the CPU, from a float32 row.
std::int32_t sample_row(Context& context, const Tensor& logits, const SampleRow& row) {
  Tensor limited;
  if (!row.allowed.empty()) {
    limited = logits.clone();
    const std::span<float> values = limited.values<float>();
    for (std::size_t t = 0; t < values.size(); ++t) {
      if (t / 64 >= row.allowed.size() || (row.allowed[t / 64] >> (t % 64) & 1) == 0)
        values[t] = -std::numeric_limits<float>::infinity();
    }
  }
  const Candidates kept = candidates_of(context, row.allowed.empty() ? logits : limited, row.options, row.before);
  return row.options.temperature == 0.0f ? kept.tokens.front() : draw(kept, row.uniform);
}

// Sorted, none twice, none outside of the vocabulary.
std::vector<std::int32_t> known_tokens(std::vector<std::int32_t> tokens, std::int64_t vocabulary) {
  std::erase_if(tokens, [&](std::int32_t token) { return token < 0 || token >= vocabulary; });
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

// What the device is told: one list for the tokens that came before, one for those that may not come.
void sample_on_cuda(Context& context, const Tensor& logits, std::span<const SampleRow> rows, Tensor& tokens) {
  const bool typical = std::any_of(rows.begin(), rows.end(), [](const SampleRow& row) {
    return row.options.temperature != 0.0f && row.options.typical_p < 1.0f;
  });
  if (typical) {
    Context host = Context::cpu(1);
    const Tensor wide = logits.to_host().cast_to(DataType::kFloat32);
    Tensor chosen(tokens.shape(), DataType::kInt32);
    sample_tokens(host, wide, rows, chosen);
    return tokens.copy_from(chosen);
  }
  std::vector<cuda::SampledRow> plans;
  for (const SampleRow& row : rows) {
    cuda::SampledRow plan{row.options, {}, {}, row.allowed, row.uniform};
    if (row.options.repetition_penalty != 1.0f)
      plan.seen = known_tokens({row.before.begin(), row.before.end()}, logits.size(1));
    plan.banned = known_tokens(banned_tokens(row.options, row.before), logits.size(1));
    plans.push_back(std::move(plan));
  }
  if constexpr (kCudaBuilt) cuda::sample_tokens(context, logits, plans, tokens);
}

}  // namespace

std::vector<TokenShare> token_shares(Context& context, const Tensor& logits, const SampleOptions& options,
                                     std::span<const std::int32_t> before) {
  const Candidates kept = candidates_of(context, logits, options, before);
  double whole = 0.0;
  for (const double weight : kept.weights) whole += weight;
  std::vector<TokenShare> shares;
  for (std::size_t i = 0; i < kept.tokens.size(); ++i) shares.push_back({kept.tokens[i], kept.weights[i] / whole});
  return shares;
}

void sample_tokens(Context& context, const Tensor& logits, std::span<const SampleRow> rows, Tensor& tokens) {
  constexpr const char* kOperation = "sample_tokens";
  check_devices(kOperation, context, {{"logits", &logits}, {"tokens", &tokens}});
  check_rank(kOperation, "logits", logits, 2);
  const DataType type = activation_type(kOperation, context, "logits", logits);
  check_shape(kOperation, "logits", logits, {static_cast<std::int64_t>(rows.size()), logits.size(1)}, type);
  check_shape(kOperation, "tokens", tokens, {static_cast<std::int64_t>(rows.size())}, DataType::kInt32);
  for (const SampleRow& row : rows) {
    check_options(row.options);
    if (!(row.uniform >= 0.0 && row.uniform < 1.0))
      throw_invalid(kOperation, "uniform is " + std::to_string(row.uniform) + "; it lies in [0, 1)");
  }
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return sample_on_cuda(context, logits, rows, tokens);
  }
  for (std::size_t n = 0; n < rows.size(); ++n)
    tokens.values<std::int32_t>()[n] =
        sample_row(context, logits.slice_rows(static_cast<std::int64_t>(n), static_cast<std::int64_t>(n) + 1), rows[n]);
}

std::int32_t sample_token(Context& context, const Tensor& logits, const SampleOptions& options, Random& random,
                          std::span<const std::int32_t> before) {
  if (context.is_cuda()) {
    check_options(options);
    const SampleRow row{options, before, {}, options.temperature == 0.0f ? 0.0 : random.uniform()};
    Tensor token({1}, DataType::kInt32, context);
    sample_tokens(context, logits.view({1, logits.count()}), {&row, 1}, token);
    context.synchronise();
    return token.to_host().data<std::int32_t>()[0];
  }
  const Candidates kept = candidates_of(context, logits, options, before);
  return options.temperature == 0.0f ? kept.tokens.front() : draw(kept, random.uniform());
}

}  // namespace kernels
