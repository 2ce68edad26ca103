#include "finetune/model/model_config.h"

#include <cmath>

namespace finetune {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

float ModelConfig::attention_scale() const {
  return attention_multiplier != 0.0f ? attention_multiplier : 1.0f / std::sqrt(static_cast<float>(head_dim));
}

bool ModelConfig::has_bias(LinearKind kind) const {
  switch (kind) {
    case LinearKind::kQuery:
    case LinearKind::kKey:
    case LinearKind::kValue: return query_key_value_bias;
    case LinearKind::kOutput: return output_bias;
    case LinearKind::kGate:
    case LinearKind::kUp:
    case LinearKind::kDown: return feed_forward_bias;
  }
  return false;
}

std::int64_t ModelConfig::in_features(LinearKind kind) const {
  if (kind == LinearKind::kOutput) return query_size();
  return kind == LinearKind::kDown ? intermediate_size : hidden_size;
}

std::int64_t ModelConfig::out_features(LinearKind kind) const {
  switch (kind) {
    case LinearKind::kQuery: return query_size();
    case LinearKind::kKey:
    case LinearKind::kValue: return key_value_size();
    case LinearKind::kGate:
    case LinearKind::kUp: return intermediate_size;
    case LinearKind::kOutput:
    case LinearKind::kDown: return hidden_size;
  }
  return 0;
}

kernels::LinearCrossEntropyOptions ModelConfig::head_options(float scale) const {
  return {.scale = scale, .logit_scale = logit_multiplier, .logit_softcap = logit_softcap};
}

void ModelConfig::validate() const {
  const auto positive = [](std::string_view name, std::int64_t value, std::int64_t limit) {
    if (value >= 1 && value <= limit) return;
    throw Error(ErrorCode::kInvalidInput,
                std::string(name) + " must be between 1 and " + std::to_string(limit) + ", not " +
                    std::to_string(value) + "; fetch the model's config.json again",
                std::string(name));
  };
  positive("vocab_size", vocab_size, 4'000'000);
  positive("hidden_size", hidden_size, 65'536);
  positive("intermediate_size", intermediate_size, 1'048'576);
  positive("num_hidden_layers", layer_count, 1'024);
  positive("num_attention_heads", head_count, 1'024);
  positive("num_key_value_heads", key_value_head_count, head_count);
  positive("head_dim", head_dim, 4'096);
  positive("max_position_embeddings", max_positions, 16'777'216);
  if (head_count % key_value_head_count != 0) {
    throw Error(ErrorCode::kInvalidInput, "num_attention_heads must be a multiple of num_key_value_heads",
                "num_key_value_heads");
  }
  if (head_dim % 2 != 0)
    throw Error(ErrorCode::kInvalidInput, "head_dim must be even, not " + std::to_string(head_dim), "head_dim");
  if (!(norm_epsilon > 0.0f) || !(norm_epsilon < 1.0f))
    throw Error(ErrorCode::kInvalidInput, "the epsilon of the norms must be above 0 and below 1", "rms_norm_eps");
  if (!layers.empty() && layers.size() != static_cast<std::size_t>(layer_count))
    throw Error(
        ErrorCode::kInvalidInput,
        "layer_types has " + std::to_string(layers.size()) + " entries for " + std::to_string(layer_count) + " layers",
        "layer_types");
}

ModelConfig read_model_config(const std::filesystem::path& folder) {
  json::value document;
  try {
    document = platform::read_json_file(folder / "config.json");
  } catch (const Error& error) {
    throw Error(error.code(), std::string(error.what()) + "; fetch the model's config.json again", error.path());
  }
  return model_config_from_json(document);
}

json::value to_json(const ModelConfig& config) {
  json::object document = config.source;
  json::array end_tokens;
  for (const std::int32_t token : config.end_tokens) end_tokens.emplace_back(token);
  document["vocab_size"] = config.vocab_size;
  document["eos_token_id"] = config.end_tokens.size() == 1 ? end_tokens.front() : json::value(end_tokens);
  document["tie_word_embeddings"] = config.tie_word_embeddings;
  return document;
}

}  // namespace finetune
