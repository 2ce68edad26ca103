#include "kernels/cpu/reference.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace kernels::cpu::reference {
namespace {

// One query row of one head: who it sees and where its vectors lie.
struct Row {
  std::int64_t token, head, query, first_key, last_key;
};

std::int64_t key_place(const AttentionShape& shape, const Row& row, std::int64_t token) {
  return (token * shape.key_heads + row.head / (shape.heads / shape.key_heads)) * shape.head_size;
}

double dot(const float* a, const float* b, std::int64_t count) {
  double total = 0.0;
  for (std::int64_t i = 0; i < count; ++i) total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return total;
}

void add_scaled(double factor, const float* x, std::int64_t count, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(y[i] + factor * static_cast<double>(x[i]));
}

template <typename Visit>
void for_each_row(const AttentionShape& shape, const AttentionOptions& options, const Visit& visit) {
  for (std::size_t document = 0; document + 1 < shape.cu_seqlens.size(); ++document) {
    const std::int64_t begin = shape.cu_seqlens[document], end = shape.cu_seqlens[document + 1];
    for (std::int64_t token = begin; token < end; ++token) {
      std::int64_t first = begin, last = options.causal ? token + 1 : end;
      if (options.sliding_window > 0) {
        first = std::max(first, token - options.sliding_window + 1);
        last = std::min(last, token + options.sliding_window);
      }
      for (std::int64_t head = 0; head < shape.heads; ++head) {
        visit(Row{token, head, (token * shape.heads + head) * shape.head_size, first, last});
      }
    }
  }
}

}  // namespace

void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
          const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double total = 0.0;
      for (std::int64_t p = 0; p < k; ++p) {
        const float left = transpose_a ? a[p * lda + i] : a[i * lda + p];
        const float right = transpose_b ? b[j * ldb + p] : b[p * ldb + j];
        total += static_cast<double>(left) * static_cast<double>(right);
      }
      const double before = beta == 0.0f ? 0.0 : static_cast<double>(beta) * static_cast<double>(c[i * ldc + j]);
      c[i * ldc + j] = static_cast<float>(static_cast<double>(alpha) * total + before);
    }
  }
}

// The score of a query and a key, and its slope by their product.
struct Score {
  double value, slope;
};
Score score_of(const AttentionOptions& options, double product) {
  const double scale = static_cast<double>(options.scale), cap = static_cast<double>(options.softcap);
  if (options.softcap == 0.0f) return {scale * product, scale};
  const double bent = std::tanh(scale * product / cap);
  return {cap * bent, scale * (1.0 - bent * bent)};
}

void attention_forward(const AttentionShape& shape, const AttentionOptions& options, const AttentionInputs& in,
                       float* o, float* lse) {
  std::vector<double> scores;
  for_each_row(shape, options, [&](const Row& row) {
    scores.clear();
    for (std::int64_t j = row.first_key; j < row.last_key; ++j) {
      scores.push_back(
          score_of(options, dot(in.q + row.query, in.k + key_place(shape, row, j), shape.head_size)).value);
    }
    const double highest = *std::max_element(scores.begin(), scores.end());
    double total = 0.0;
    for (const double score : scores) total += std::exp(score - highest);
    lse[row.token * shape.heads + row.head] = static_cast<float>(highest + std::log(total));
    std::fill_n(o + row.query, shape.head_size, 0.0f);
    for (std::int64_t j = row.first_key; j < row.last_key; ++j) {
      const double p = std::exp(scores[static_cast<std::size_t>(j - row.first_key)] - highest) / total;
      add_scaled(p, in.v + key_place(shape, row, j), shape.head_size, o + row.query);
    }
  });
}

void attention_backward(const AttentionShape& shape, const AttentionOptions& options, const AttentionInputs& in,
                        const AttentionGradients& gradients) {
  const std::int64_t size = shape.head_size;
  std::fill_n(gradients.dq, shape.tokens * shape.heads * size, 0.0f);
  std::fill_n(gradients.dk, shape.tokens * shape.key_heads * size, 0.0f);
  std::fill_n(gradients.dv, shape.tokens * shape.key_heads * size, 0.0f);
  for_each_row(shape, options, [&](const Row& row) {
    const double delta = dot(gradients.d_o + row.query, gradients.o + row.query, size);
    const double lse = static_cast<double>(gradients.lse[row.token * shape.heads + row.head]);
    for (std::int64_t j = row.first_key; j < row.last_key; ++j) {
      const std::int64_t key = key_place(shape, row, j);
      const Score score = score_of(options, dot(in.q + row.query, in.k + key, size));
      const double p = std::exp(score.value - lse);
      const double d_score = p * (dot(gradients.d_o + row.query, in.v + key, size) - delta) * score.slope;
      add_scaled(p, gradients.d_o + row.query, size, gradients.dv + key);
      add_scaled(d_score, in.k + key, size, gradients.dq + row.query);
      add_scaled(d_score, in.q + row.query, size, gradients.dk + key);
    }
  });
}

}  // namespace kernels::cpu::reference
