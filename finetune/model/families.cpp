#include "finetune/model/families.h"

namespace finetune {
namespace {

TensorNames with_query_key_norm(TensorNames names) {
  names.query_norm = "self_attn.q_norm";
  names.key_norm = "self_attn.k_norm";
  return names;
}

TensorNames gemma_names() {
  TensorNames names;
  names.attention_branch_norm = "post_attention_layernorm";
  names.feed_forward_norm = "pre_feedforward_layernorm";
  names.feed_forward_branch_norm = "post_feedforward_layernorm";
  return names;
}

TensorNames exaone4_names() {
  TensorNames names;
  names.attention_norm = {};
  names.attention_branch_norm = "post_attention_layernorm";
  names.feed_forward_norm = {};
  names.feed_forward_branch_norm = "post_feedforward_layernorm";
  return with_query_key_norm(names);
}

TensorNames hyperclovax_names() {
  TensorNames names;
  names.attention_branch_norm = "post_norm1";  // both only with use_post_norm
  names.feed_forward_branch_norm = "post_norm2";
  return names;
}

TensorNames exaone_names() {
  TensorNames names;
  names.embedding = "transformer.wte";
  names.layers = "transformer.h";
  names.final_norm = "transformer.ln_f";
  names.attention_norm = "ln_1";
  names.feed_forward_norm = "ln_2";
  names.linears = {"attn.attention.q_proj",
                   "attn.attention.k_proj",
                   "attn.attention.v_proj",
                   "attn.attention.out_proj",
                   "mlp.c_fc_0",
                   "mlp.c_fc_1",
                   "mlp.c_proj"};
  return names;
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = {
      {.model_type = "exaone",
       .architecture = "ExaoneForCausalLM",
       .names = exaone_names(),
       .epsilon = 1e-5,
       .layers_key = "num_layers",
       .epsilon_key = "layer_norm_epsilon",
       .activation_key = "activation_function"},
      {.model_type = "exaone4",
       .architecture = "Exaone4ForCausalLM",
       .names = exaone4_names(),
       .windows = Windows::kPattern,
       .turns = Turns::kWindowedLayers,
       .epsilon = 1e-5,
       .sliding_window = 4096,
       .window_every = 4},
      {.model_type = "gemma2",
       .architecture = "Gemma2ForCausalLM",
       .names = gemma_names(),
       .attention_bias = Bias::kByKey,
       .windows = Windows::kPattern,
       .gemma = true,
       .attention_softcap = true,
       .head_dim = 256,
       .sliding_window = 4096,
       .window_every = 2,
       .tied = true,
       .activation = "gelu_pytorch_tanh",
       .activation_key = "hidden_activation"},
      {.model_type = "gemma3_text",
       .architecture = "Gemma3ForCausalLM",
       .names = with_query_key_norm(gemma_names()),
       .attention_bias = Bias::kByKey,
       .windows = Windows::kPattern,
       .turns = Turns::kTwo,
       .gemma = true,
       .theta = 1e6,
       .head_dim = 256,
       .sliding_window = 4096,
       .window_every = 6,
       .tied = true,
       .activation = "gelu_pytorch_tanh",
       .activation_key = "hidden_activation"},
      {.model_type = "hyperclovax",
       .architecture = "HyperCLOVAXForCausalLM",
       .names = hyperclovax_names(),
       .attention_bias = Bias::kByKey,
       .mlp_bias_key = true,
       .multipliers = true},
      {.model_type = "llama", .architecture = "LlamaForCausalLM", .attention_bias = Bias::kByKey, .mlp_bias_key = true},
      {.model_type = "mistral",
       .architecture = "MistralForCausalLM",
       .windows = Windows::kAllLayers,
       .sliding_window = 4096},
      {.model_type = "qwen2",
       .architecture = "Qwen2ForCausalLM",
       .attention_bias = Bias::kQueryKeyValue,
       .windows = Windows::kFromLayer,
       .sliding_window = 4096},
      {.model_type = "qwen3",
       .architecture = "Qwen3ForCausalLM",
       .names = with_query_key_norm({}),
       .attention_bias = Bias::kByKey,
       .windows = Windows::kFromLayer,
       .head_dim = 128,
       .sliding_window = 4096},
      {.model_type = "smollm3",
       .architecture = "SmolLM3ForCausalLM",
       .attention_bias = Bias::kByKey,
       .mlp_bias_key = true,
       .windows = Windows::kWithoutTurn,
       .turns = Turns::kListed,
       .theta = 2e6,
       .tied = true},
  };
  return kFamilies;
}

}  // namespace finetune
