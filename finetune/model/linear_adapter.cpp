#include "finetune/model/linear_adapter.h"

namespace finetune {

kernels::Activation activation_from(std::string_view non_linearity) {
  return non_linearity == "gelu_new" ? kernels::Activation::kGeluTanh : kernels::Activation::kSilu;
}

void name_parts(const std::string& module, LinearAdapter& adapter) {
  adapter.a.name = module + ".lora_A";
  adapter.b.name = module + ".lora_B";
  adapter.b_bias.name = module + ".lora_B.bias";
  adapter.magnitude.name = module + ".lora_magnitude_vector";
  adapter.factors.name = module + ".ia3_l";
  adapter.down.name = module + ".adapter_down.weight";
  adapter.down_bias.name = module + ".adapter_down.bias";
  adapter.up.name = module + ".adapter_up.weight";
  adapter.up_bias.name = module + ".adapter_up.bias";
}

void name_parts(const std::string& module, EmbeddingAdapter& adapter) {
  adapter.a.name = module + ".lora_embedding_A";
  adapter.b.name = module + ".lora_embedding_B";
  adapter.rows.name = module + ".token_adapter.trainable_tokens_delta";
}

}  // namespace finetune
