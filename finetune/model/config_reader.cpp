// From config.json to ModelConfig by the row of its family.
#include <algorithm>
#include <array>
#include <cmath>

#include "finetune/model/families.h"
#include "finetune/model/model_config.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

constexpr const char* kWhere = "config.json";

// Keys of every family: read below, or without meaning for the computation.
constexpr std::array kCommonKeys = std::to_array<std::string_view>({"_attn_implementation_autoset",
                                                                    "_name_or_path",
                                                                    "architectures",
                                                                    "auto_map",
                                                                    "bos_token_id",
                                                                    "cache_implementation",
                                                                    "chunk_size_feed_forward",
                                                                    "diversity_penalty",
                                                                    "dtype",
                                                                    "eos_token_id",
                                                                    "head_dim",
                                                                    "hidden_act",
                                                                    "hidden_size",
                                                                    "id2label",
                                                                    "initializer_range",
                                                                    "intermediate_size",
                                                                    "label2id",
                                                                    "layer_types",
                                                                    "length_penalty",
                                                                    "max_length",
                                                                    "max_position_embeddings",
                                                                    "min_length",
                                                                    "model_type",
                                                                    "num_attention_heads",
                                                                    "num_beam_groups",
                                                                    "num_beams",
                                                                    "num_hidden_layers",
                                                                    "num_key_value_heads",
                                                                    "num_return_sequences",
                                                                    "pad_token_id",
                                                                    "partial_rotary_factor",
                                                                    "pretraining_tp",
                                                                    "repetition_penalty",
                                                                    "return_dict",
                                                                    "rope_parameters",
                                                                    "rope_scaling",
                                                                    "rope_theta",
                                                                    "temperature",
                                                                    "tie_word_embeddings",
                                                                    "tokenizer_class",
                                                                    "top_k",
                                                                    "top_p",
                                                                    "torch_dtype",
                                                                    "transformers_version",
                                                                    "typical_p",
                                                                    "use_cache",
                                                                    "vocab_size"});

bool listed(const auto& keys, std::string_view key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); }

std::vector<std::string_view> own_keys(const Family& family) {
  std::vector<std::string_view> keys = {family.layers_key, family.epsilon_key, family.activation_key};
  const auto with = [&](bool present, std::initializer_list<std::string_view> more) {
    if (present) keys.insert(keys.end(), more);
  };
  with(family.attention_bias == Bias::kByKey, {"attention_bias"});
  with(family.mlp_bias_key, {"mlp_bias"});
  with(family.windows != Windows::kNone, {"sliding_window"});
  with(family.windows == Windows::kFromLayer, {"max_window_layers", "use_sliding_window"});
  with(family.windows == Windows::kWithoutTurn, {"max_window_layers", "use_sliding_window"});
  with(family.windows == Windows::kPattern, {"_sliding_window_pattern", "sliding_window_pattern"});
  with(family.turns == Turns::kListed, {"no_rope_layer_interval", "no_rope_layers"});
  with(family.turns == Turns::kTwo, {"rope_local_base_freq"});
  // Gemma 3 writes attn_logit_softcapping too, and computes without it.
  with(family.gemma, {"attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar"});
  with(family.multipliers,
       {"attention_multiplier", "embedding_multiplier", "logits_scaling", "residual_multiplier", "use_post_norm"});
  return keys;
}

bool is_off(const json::value& value) {
  if (value.is_null()) return true;
  if (value.is_bool()) return !value.get_bool();
  if (value.is_number()) return value.to_number<double>() == 0.0;
  if (value.is_string()) return value.get_string().empty();
  return value.is_array() ? value.get_array().empty() : value.get_object().empty();
}

void refuse_unknown_switches(const Family& family, const json::object& object) {
  const std::vector<std::string_view> own = own_keys(family);
  for (const auto& [key, value] : object) {
    if (listed(kCommonKeys, key) || listed(own, key) || is_off(value)) continue;
    std::string shown = json::serialize(value);
    if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
    throw Error(ErrorCode::kInvalidInput,
                "config.json sets " + std::string(key) + " = " + shown + ", which is not supported for " +
                    std::string(family.model_type) + " and may change what the model computes; take a base without it",
                std::string(key));
  }
}

const Family& family_of(const std::string& model_type) {
  for (const Family& family : families()) {
    if (family.model_type == model_type) return family;
  }
  std::string names;
  for (const std::string& name : supported_model_types()) names += (names.empty() ? "" : ", ") + name;
  throw Error(ErrorCode::kInvalidInput, "model_type is not supported: \"" + model_type + "\"; supported: " + names,
              "model_type");
}

float number(const json::object& object, std::string_view key, double fallback) {
  const double value = platform::number_or(object, key, fallback, kWhere);
  if (std::isfinite(value)) return static_cast<float>(value);
  throw Error(ErrorCode::kInvalidInput, "config.json: " + std::string(key) + " must be a finite number",
              std::string(key));
}

std::int32_t token_id(const json::value& value) {
  if (value.is_int64() && value.get_int64() >= 0 && value.get_int64() < 4'000'000)
    return static_cast<std::int32_t>(value.get_int64());
  throw Error(ErrorCode::kInvalidInput, "config.json: eos_token_id must be a token number or a list of them",
              "eos_token_id");
}

std::vector<std::int32_t> end_tokens_from(const json::object& object) {
  std::vector<std::int32_t> tokens;
  const json::value* value = platform::find(object, "eos_token_id");
  if (value == nullptr) return tokens;
  if (!value->is_array()) return {token_id(*value)};
  for (const json::value& item : value->get_array()) tokens.push_back(token_id(item));
  return tokens;
}

kernels::Activation activation_from(const Family& family, const json::object& object) {
  const std::string name = platform::string_or(object, family.activation_key, std::string(family.activation), kWhere);
  if (name == "silu" || name == "swish") return kernels::Activation::kSilu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return kernels::Activation::kGeluTanh;
  throw Error(
      ErrorCode::kInvalidInput,
      std::string(family.activation_key) + " is not supported: \"" + name + "\"; supported: silu, gelu_pytorch_tanh",
      std::string(family.activation_key));
}

// The block of one kind of layer: transformers 4 keeps rope_theta and rope_scaling side by side, transformers 5 puts
// both into rope_parameters, by kind of layer where a model has several.
RotaryConfig rotary_of(const Family& family, const json::object& object, std::string_view layer_kind,
                       const ModelConfig& config) {
  static const json::object kNothing;
  double theta = platform::number_or(object, "rope_theta", family.theta, kWhere);
  const json::value* block = platform::find(object, "rope_parameters");
  if (block != nullptr && platform::as_object(*block, "rope_parameters").contains(layer_kind))
    block = platform::find(block->get_object(), layer_kind);
  else if (block == nullptr)
    block = platform::find(object, "rope_scaling");
  const bool local = layer_kind == "sliding_attention";
  if (local && platform::find(object, "rope_parameters") == nullptr) {
    theta = platform::number_or(object, "rope_local_base_freq", 10000.0, kWhere);
    block = nullptr;  // stretching is the other layers'
  }
  const json::object& from = block == nullptr ? kNothing : platform::as_object(*block, "rope_scaling");
  return rotary_from_json(from, theta, config.max_positions, config.head_dim);
}

std::int64_t window_of(const Family& family, const json::object& object) {
  if (family.windows == Windows::kNone) return 0;
  const bool by_switch = family.windows == Windows::kFromLayer || family.windows == Windows::kWithoutTurn;
  if (by_switch && !platform::bool_or(object, "use_sliding_window", false, kWhere)) return 0;
  if (object.contains("sliding_window") && object.at("sliding_window").is_null()) return 0;
  const std::int64_t window = platform::int_or(object, "sliding_window", family.sliding_window, kWhere);
  if (window >= 1) return window;
  throw Error(ErrorCode::kInvalidInput, "config.json: sliding_window must be above 0 or null", "sliding_window");
}

// True for layers that see everything, of a pattern "every n-th" or letters such as "LLLG".
bool sees_everything(const Family& family, const json::object& object, std::int64_t layer) {
  const json::value* pattern = platform::find(object, "sliding_window_pattern");
  if (pattern == nullptr) pattern = platform::find(object, "_sliding_window_pattern");
  if (pattern != nullptr && pattern->is_string() && !pattern->get_string().empty()) {
    const std::string_view letters = pattern->get_string();
    return letters[static_cast<std::size_t>(layer) % letters.size()] != 'L';
  }
  const std::int64_t every = pattern != nullptr && pattern->is_int64() ? pattern->get_int64() : family.window_every;
  return every < 1 || (layer + 1) % every == 0;
}

bool turns(const Family& family, const json::object& object, std::int64_t layer) {
  if (family.turns != Turns::kListed) return true;
  const json::value* list = platform::find(object, "no_rope_layers");
  if (list == nullptr || !list->is_array() || list->get_array().empty())
    return (layer + 1) % std::max<std::int64_t>(1, platform::int_or(object, "no_rope_layer_interval", 4, kWhere)) != 0;
  const json::array& entries = list->get_array();
  if (static_cast<std::size_t>(layer) >= entries.size() || !entries[static_cast<std::size_t>(layer)].is_int64())
    throw Error(ErrorCode::kInvalidInput, "config.json: no_rope_layers must have one 0 or 1 for each layer",
                "no_rope_layers");
  return entries[static_cast<std::size_t>(layer)].get_int64() != 0;  // 0 = no rotation
}

bool slides(const Family& family, const json::object& object, std::int64_t layer) {
  if (const json::value* kinds = platform::find(object, "layer_types")) {
    const std::vector<std::string> names = platform::strings_from(*kinds, "layer_types");
    if (static_cast<std::size_t>(layer) >= names.size())
      throw Error(ErrorCode::kInvalidInput, "config.json: layer_types must name every layer", "layer_types");
    const std::string& name = names[static_cast<std::size_t>(layer)];
    if (name == "sliding_attention") return true;
    if (name == "full_attention") return false;
    throw Error(ErrorCode::kInvalidInput,
                "layer_types is not supported: \"" + name + "\"; supported: full_attention, sliding_attention",
                "layer_types");
  }
  switch (family.windows) {
    case Windows::kNone: return false;
    case Windows::kAllLayers: return true;
    case Windows::kFromLayer: return layer >= platform::int_or(object, "max_window_layers", 28, kWhere);
    case Windows::kPattern: return !sees_everything(family, object, layer);
    case Windows::kWithoutTurn: return !turns(family, object, layer);
  }
  return false;
}

void plan_layers(const Family& family, const json::object& object, ModelConfig& config) {
  config.rotaries = {rotary_of(family, object, "full_attention", config)};
  if (family.turns == Turns::kTwo) config.rotaries.push_back(rotary_of(family, object, "sliding_attention", config));
  const std::int64_t window = window_of(family, object);
  for (std::int64_t layer = 0; layer < config.layer_count; ++layer) {
    const bool windowed = slides(family, object, layer);
    if (windowed && window == 0 && family.windows == Windows::kNone)
      throw Error(ErrorCode::kInvalidInput,
                  "layer_types names sliding_attention, which is not supported for " + std::string(family.model_type),
                  "layer_types");
    LayerPlan plan{.window = windowed ? window : 0, .rotary = turns(family, object, layer) ? 0 : -1};
    if (family.turns == Turns::kTwo && windowed) plan.rotary = 1;
    if (family.turns == Turns::kWindowedLayers && window > 0 && !windowed) plan.rotary = -1;
    config.layers.push_back(plan);
  }
}

void read_sizes(const Family& family, const json::object& object, ModelConfig& config) {
  const auto whole = [&](std::string_view key, std::int64_t fallback) {
    return platform::int_or(object, key, fallback, kWhere);
  };
  config.vocab_size = platform::require_int(object, "vocab_size", "");
  config.hidden_size = platform::require_int(object, "hidden_size", "");
  config.layer_count = object.contains(family.layers_key) ? platform::require_int(object, family.layers_key, "")
                                                          : platform::require_int(object, "num_hidden_layers", "");
  config.head_count = platform::require_int(object, "num_attention_heads", "");
  config.intermediate_size = whole("intermediate_size", 4 * config.hidden_size);
  config.key_value_head_count = whole("num_key_value_heads", config.head_count);
  const std::int64_t even = config.head_count > 0 ? config.hidden_size / config.head_count : 0;
  config.head_dim = whole("head_dim", family.head_dim > 0 ? family.head_dim : even);
  config.max_positions = whole("max_position_embeddings", 2048);
  config.tie_word_embeddings = platform::bool_or(object, "tie_word_embeddings", family.tied, kWhere);
  config.norm_epsilon = number(object, family.epsilon_key, family.epsilon);
  config.end_tokens = end_tokens_from(object);
}

void read_switches(const Family& family, const json::object& object, ModelConfig& config) {
  config.activation = activation_from(family, object);
  const bool by_key =
      family.attention_bias == Bias::kByKey && platform::bool_or(object, "attention_bias", false, kWhere);
  config.query_key_value_bias = by_key || family.attention_bias == Bias::kQueryKeyValue;
  config.output_bias = by_key;
  config.feed_forward_bias = family.mlp_bias_key && platform::bool_or(object, "mlp_bias", false, kWhere);
  config.norm_plus_one = family.gemma;
  if (family.gemma) {
    config.embedding_multiplier = static_cast<float>(std::sqrt(static_cast<double>(config.hidden_size)));
    config.attention_multiplier = 1.0f / std::sqrt(number(object, "query_pre_attn_scalar", 256.0));
  }
  if (family.attention_softcap) config.attention_softcap = number(object, "attn_logit_softcapping", 0.0);
  if (family.gemma) config.logit_softcap = number(object, "final_logit_softcapping", 0.0);
  if (!family.multipliers) return;
  config.embedding_multiplier = number(object, "embedding_multiplier", 1.0);
  config.residual_multiplier = number(object, "residual_multiplier", 1.0);
  config.attention_multiplier = number(object, "attention_multiplier", 0.0);
  config.logit_multiplier = number(object, "logits_scaling", 1.0);
  if (platform::bool_or(object, "use_post_norm", false, kWhere)) return;
  config.names.attention_branch_norm = {};
  config.names.feed_forward_branch_norm = {};
}

}  // namespace

std::vector<std::string> supported_model_types() {
  std::vector<std::string> names;
  for (const Family& family : families()) names.emplace_back(family.model_type);
  return names;
}

ModelConfig model_config_from_json(const json::value& document) {
  const json::object& object = platform::as_object(document, kWhere);
  if (platform::number_or(object, "partial_rotary_factor", 1.0, kWhere) != 1.0)
    throw Error(ErrorCode::kInvalidInput, "partial_rotary_factor other than 1 is not supported",
                "partial_rotary_factor");
  const Family& family = family_of(platform::require_string(object, "model_type", ""));
  refuse_unknown_switches(family, object);
  ModelConfig config;
  config.model_type = family.model_type;
  config.names = family.names;
  config.source = object;
  read_sizes(family, object, config);
  read_switches(family, object, config);
  config.validate();
  plan_layers(family, object, config);
  return config;
}

}  // namespace finetune
