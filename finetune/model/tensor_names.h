// TensorNames: what a family calls its weights in the file. A family lacks what has an empty name, and with it the
// computation: a block without `attention_norm` hands the stream to attention as it is. Plain value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace finetune {

/// The seven linear layers of a block, in the order of computation.
enum class LinearKind { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown };
inline constexpr std::size_t kLinearCount = 7;
inline constexpr std::array<LinearKind, kLinearCount> kLinearKinds = {
    LinearKind::kQuery, LinearKind::kKey, LinearKind::kValue, LinearKind::kOutput,
    LinearKind::kGate,  LinearKind::kUp,  LinearKind::kDown};
constexpr std::size_t index_of(LinearKind kind) { return static_cast<std::size_t>(kind); }

struct TensorNames {
  std::string_view embedding = "model.embed_tokens";
  std::string_view layers = "model.layers";
  std::string_view final_norm = "model.norm";
  std::string_view head = "lm_head";
  // Of a block, behind "<layers>.<number>.".
  std::string_view attention_norm = "input_layernorm";              // of the stream, before attention
  std::string_view attention_branch_norm;                           // of attention's output, before it is added
  std::string_view feed_forward_norm = "post_attention_layernorm";  // of the stream, before the feed-forward layer
  std::string_view feed_forward_branch_norm;                        // of its output
  std::string_view query_norm, key_norm;                            // over one head, before the rotation
  std::array<std::string_view, kLinearCount> linears = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                        "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                                        "mlp.down_proj"};

  /// "model.layers.3."
  std::string block(std::int64_t layer) const { return std::string(layers) + "." + std::to_string(layer) + "."; }
  /// "model.layers.3.self_attn.q_proj"
  std::string linear(std::int64_t layer, LinearKind kind) const {
    return block(layer) + std::string(linears[index_of(kind)]);
  }
};

}  // namespace finetune
