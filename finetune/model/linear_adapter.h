// LinearAdapter: what an adapter adds to one frozen linear layer, with its gradients, and LinearAdapters, all of a
// model. model/lora.h makes, reads and writes them; model/linear_layers.h computes with them. Move-only; one writer
// or many readers.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "finetune/model/weights.h"

namespace finetune {

/// y = W x + bias + s (B drop(A x) + b_bias), and with a magnitude m (DoRA)
/// y = m / |W + s B A| (W x + s B A x) + bias, where the norm is taken over each row and has no gradient.
struct LinearAdapter {
  Weight a;          // [r, in]
  Weight b;          // [out, r]
  Weight b_bias;     // [out], where the adapter has one
  Weight magnitude;  // [out], DoRA only
  float scaling = 1.0f;
  float dropout = 0.0f;
};

using LayerAdapters = std::array<std::optional<LinearAdapter>, kLinearCount>;
using LinearAdapters = std::vector<LayerAdapters>;  // one a layer

}  // namespace finetune
