// LinearAdapter: what an adapter adds to one frozen linear layer, with its gradients, in one of three forms; and
// EmbeddingAdapter, the same for the token embedding. model/adapter.h makes, reads and writes them;
// model/linear_layers.h, model/embedding_layer.h and model/output_head.h compute with them. Move-only; one writer or
// many readers. R rank, m the bottleneck's size, V vocabulary, H hidden.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "finetune/model/weights.h"
#include "kernels/ops/activation.h"

namespace finetune {

/// Low rank:    y = W x + bias + s (B drop(A x) + b_bias) - s B0 A0 x, and with a magnitude m (DoRA)
///              y = m / |W + s B A| (W x + s B A x) + bias, where the norm is taken over each row and has no gradient;
///              with dropout, y = W x + bias + (m / |W + s B A| - 1) W drop(x) + m / |W + s B A| s B A drop(x).
/// Factors:     y = l * (W x + bias), or W (l * x) + bias.
/// Bottleneck:  with z = W x + bias, y = z + up act(down z + down_bias) + up_bias.
struct LinearAdapter {
  Weight a;          // [R, in]
  Weight b;          // [out, R]
  Weight b_bias;     // [out], where the adapter has one
  Weight magnitude;  // [out], DoRA only
  /// A0, B0: what A and B began as where they began as a part of W (PiSSA); empty otherwise. Never trained.
  kernels::Tensor start_a, start_b;
  float scaling = 1.0f;
  float dropout = 0.0f;

  Weight factors;  // [out, 1], or [1, in]
  bool factors_of_input = false;

  Weight down, down_bias, up, up_bias;  // [m, out], [m], [out, m], [out]
  kernels::Activation activation = kernels::Activation::kSilu;
};

using LayerAdapters = std::array<std::optional<LinearAdapter>, kLinearCount>;
using LinearAdapters = std::vector<LayerAdapters>;  // one a layer

/// Low rank: e[n] = W[id] + s B A[:, id].  Rows: e[n] = rows[k] where id is tokens[k].
struct EmbeddingAdapter {
  Weight a;     // [R, V]
  Weight b;     // [H, R]
  Weight rows;  // [tokens, H]
  std::vector<std::int32_t> tokens;
  float scaling = 1.0f;
};

/// Of PeftConfig::non_linearity.
kernels::Activation activation_from(std::string_view non_linearity);
/// Gives every part the name that it has in files (A and B without their ".weight").
void name_parts(const std::string& module, LinearAdapter& adapter);
void name_parts(const std::string& module, EmbeddingAdapter& adapter);

}  // namespace finetune
