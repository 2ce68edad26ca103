#include "finetune/model/model_config.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

// One row per model_type. A switch that a family may set in its config.json but that the forward pass does not compute
// is listed in `refused`; it is an error when it is on.
struct ModelFamily {
  std::string_view model_type;
  std::string_view architecture;
  std::vector<std::string_view> refused;
};

const std::vector<ModelFamily>& families() {
  static const std::vector<ModelFamily> kFamilies = {
      {"llama", "LlamaForCausalLM", {"attention_bias", "mlp_bias", "sliding_window"}},
  };
  return kFamilies;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

const ModelFamily& family_of(const std::string& model_type) {
  for (const auto& family : families()) {
    if (family.model_type == model_type) return family;
  }
  throw Error(ErrorCode::kInvalidInput,
              "model_type is not supported: \"" + model_type + "\"; supported: " + listed(supported_model_types()),
              "model_type");
}

void refuse_switches(const ModelFamily& family, const json::object& object) {
  for (const std::string_view key : family.refused) {
    const json::value* value = platform::find(object, key);
    if (value == nullptr || (value->is_bool() && !value->get_bool())) continue;
    throw Error(ErrorCode::kInvalidInput,
                "config.json sets " + std::string(key) + ", which is not supported for " +
                    std::string(family.model_type) + "; supported are models without it",
                std::string(key));
  }
  const std::string activation = platform::string_or(object, "hidden_act", "silu", "config.json");
  if (activation != "silu") {
    throw Error(ErrorCode::kInvalidInput, "hidden_act is not supported: \"" + activation + "\"; supported: silu",
                "hidden_act");
  }
}

void refuse_partial_rotary(const json::object& object, const std::string& where) {
  const double share = platform::number_or(object, "partial_rotary_factor", 1.0, where);
  if (share == 1.0) return;
  throw Error(ErrorCode::kInvalidInput,
              "partial_rotary_factor is not supported: " + std::to_string(share) + "; supported: 1",
              (where.empty() ? "" : where + ".") + "partial_rotary_factor");
}

// transformers 4 keeps rope_theta and rope_scaling side by side, transformers 5 puts both into rope_parameters.
RotaryConfig rotary_from(const json::object& object) {
  refuse_partial_rotary(object, "");
  RotaryConfig rotary;
  rotary.theta = platform::number_or(object, "rope_theta", 10000.0, "config.json");
  const json::value* block = platform::find(object, "rope_parameters");
  if (block == nullptr) block = platform::find(object, "rope_scaling");
  if (block == nullptr) return rotary;
  const json::object& scaling = platform::as_object(*block, "rope_scaling");
  const std::string where = "rope_scaling";
  rotary.theta = platform::number_or(scaling, "rope_theta", rotary.theta, where);
  rotary.type =
      platform::string_or(scaling, "rope_type", platform::string_or(scaling, "type", "default", where), where);
  if (rotary.type != "default" && rotary.type != "linear" && rotary.type != "llama3") {
    throw Error(ErrorCode::kInvalidInput,
                "rotary scaling is not supported: \"" + rotary.type + "\"; supported: default, linear, llama3",
                "rope_scaling.rope_type");
  }
  refuse_partial_rotary(scaling, where);
  if (rotary.type == "default") return rotary;
  rotary.factor = platform::require_number(scaling, "factor", where);
  rotary.low_frequency_factor = platform::number_or(scaling, "low_freq_factor", 1.0, where);
  rotary.high_frequency_factor = platform::number_or(scaling, "high_freq_factor", 4.0, where);
  rotary.original_max_positions = platform::int_or(scaling, "original_max_position_embeddings", 0, where);
  return rotary;
}

std::vector<std::int32_t> end_tokens_from(const json::object& object) {
  std::vector<std::int32_t> tokens;
  const json::value* value = platform::find(object, "eos_token_id");
  if (value == nullptr) return tokens;
  const auto add = [&](const json::value& item) {
    if (!item.is_int64() || item.get_int64() < 0 || item.get_int64() > std::numeric_limits<std::int32_t>::max()) {
      throw Error(ErrorCode::kInvalidInput,
                  "eos_token_id must be a token number or a list of them, not " + json::serialize(item).substr(0, 60),
                  "eos_token_id");
    }
    tokens.push_back(static_cast<std::int32_t>(item.get_int64()));
  };
  if (!value->is_array()) add(*value);
  if (value->is_array()) {
    for (const json::value& item : value->get_array()) add(item);
  }
  return tokens;
}

json::value rotary_to_json(const RotaryConfig& rotary) {
  if (rotary.type == "default") return nullptr;
  json::object object{{"rope_type", rotary.type}, {"factor", rotary.factor}};
  if (rotary.type == "llama3") {
    object["low_freq_factor"] = rotary.low_frequency_factor;
    object["high_freq_factor"] = rotary.high_frequency_factor;
    object["original_max_position_embeddings"] = rotary.original_max_positions;
  }
  return object;
}

void validate_rotary(const RotaryConfig& rotary) {
  const auto check = [](bool good, const std::string& name, const std::string& rule) {
    if (!good) throw Error(ErrorCode::kInvalidInput, name + " must be " + rule, name);
  };
  check(std::isfinite(rotary.theta) && rotary.theta > 0, "rope_theta", "positive");
  check(std::isfinite(rotary.factor) && rotary.factor > 0, "rope_scaling.factor", "positive");
  if (rotary.type != "llama3") return;
  check(rotary.original_max_positions >= 1, "rope_scaling.original_max_position_embeddings", "given for llama3");
  check(rotary.low_frequency_factor > 0 && std::isfinite(rotary.high_frequency_factor) &&
            rotary.low_frequency_factor < rotary.high_frequency_factor,
        "rope_scaling.low_freq_factor", "positive and below high_freq_factor");
}

// Slow rotations are divided by the factor, fast ones kept, those between blended.
double llama3_scaled(double frequency, const RotaryConfig& rotary) {
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  const auto original = static_cast<double>(rotary.original_max_positions);
  if (wavelength > original / rotary.low_frequency_factor) return frequency / rotary.factor;
  if (wavelength < original / rotary.high_frequency_factor) return frequency;
  const double blend = (original / wavelength - rotary.low_frequency_factor) /
                       (rotary.high_frequency_factor - rotary.low_frequency_factor);
  return (1.0 - blend) * frequency / rotary.factor + blend * frequency;
}

}  // namespace

std::vector<std::string> supported_model_types() {
  std::vector<std::string> names;
  for (const auto& family : families()) names.emplace_back(family.model_type);
  return names;
}

void ModelConfig::validate() const {
  const auto positive = [](std::string_view name, std::int64_t value, std::int64_t limit) {
    if (value >= 1 && value <= limit) return;
    throw Error(
        ErrorCode::kInvalidInput,
        std::string(name) + " must be between 1 and " + std::to_string(limit) + ", not " + std::to_string(value),
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
  if (!std::isfinite(norm_epsilon) || norm_epsilon <= 0)
    throw Error(ErrorCode::kInvalidInput, "rms_norm_eps must be positive", "rms_norm_eps");
  validate_rotary(rotary);
}

ModelConfig model_config_from_json(const json::value& document) {
  const std::string where = "config.json";
  const json::object& object = platform::as_object(document, where);
  ModelConfig config;
  config.model_type = platform::require_string(object, "model_type", "");
  refuse_switches(family_of(config.model_type), object);
  config.vocab_size = platform::require_int(object, "vocab_size", where);
  config.hidden_size = platform::require_int(object, "hidden_size", where);
  config.intermediate_size = platform::require_int(object, "intermediate_size", where);
  config.layer_count = platform::require_int(object, "num_hidden_layers", where);
  config.head_count = platform::require_int(object, "num_attention_heads", where);
  config.key_value_head_count = platform::int_or(object, "num_key_value_heads", config.head_count, where);
  const std::int64_t divided = config.head_count > 0 ? config.hidden_size / config.head_count : 0;
  config.head_dim = platform::int_or(object, "head_dim", divided, where);
  config.max_positions = platform::int_or(object, "max_position_embeddings", 2048, where);
  config.norm_epsilon = static_cast<float>(platform::number_or(object, "rms_norm_eps", 1e-6, where));
  config.tie_word_embeddings = platform::bool_or(object, "tie_word_embeddings", false, where);
  config.rotary = rotary_from(object);
  config.end_tokens = end_tokens_from(object);
  config.validate();
  return config;
}

ModelConfig read_model_config(const std::filesystem::path& folder) {
  return model_config_from_json(platform::read_json_file(folder / "config.json"));
}

json::value to_json(const ModelConfig& config) {
  json::array end_tokens;
  for (const std::int32_t token : config.end_tokens) end_tokens.emplace_back(token);
  return json::object{{"architectures", json::array{json::string(family_of(config.model_type).architecture)}},
                      {"model_type", config.model_type},
                      {"vocab_size", config.vocab_size},
                      {"hidden_size", config.hidden_size},
                      {"intermediate_size", config.intermediate_size},
                      {"num_hidden_layers", config.layer_count},
                      {"num_attention_heads", config.head_count},
                      {"num_key_value_heads", config.key_value_head_count},
                      {"head_dim", config.head_dim},
                      {"hidden_act", "silu"},
                      {"max_position_embeddings", config.max_positions},
                      {"rms_norm_eps", std::round(static_cast<double>(config.norm_epsilon) * 1e12) / 1e12},
                      {"rope_theta", config.rotary.theta},
                      {"rope_scaling", rotary_to_json(config.rotary)},
                      {"attention_bias", false},
                      {"mlp_bias", false},
                      {"tie_word_embeddings", config.tie_word_embeddings},
                      {"eos_token_id", config.end_tokens.size() == 1 ? end_tokens.front() : json::value(end_tokens)},
                      {"torch_dtype", "bfloat16"}};
}

std::vector<float> inverse_frequencies(const ModelConfig& config) {
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < config.head_dim / 2; ++i) {
    double frequency =
        std::pow(config.rotary.theta, -2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim));
    if (config.rotary.type == "linear") frequency /= config.rotary.factor;
    if (config.rotary.type == "llama3") frequency = llama3_scaled(frequency, config.rotary);
    frequencies.push_back(static_cast<float>(frequency));
  }
  return frequencies;
}

}  // namespace finetune
