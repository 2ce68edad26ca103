#include "finetune/model/gguf_architecture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "platform/base/error.h"

namespace finetune {
namespace {

namespace json = platform::json;
using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

constexpr const char* kConfigKey = "anneal.config_json";
constexpr const char* kDivisors = "rope_freqs.weight";

constexpr std::array<GgufArchitecture, 9> kArchitectures{
    {{.model_type = "exaone", .name = "exaone", .divisors = true},
     {.model_type = "exaone4", .name = "exaone4", .divisors = true, .windows = true, .square_output = true},
     {.model_type = "gemma2", .name = "gemma2", .windows = true},
     {.model_type = "gemma3_text", .name = "gemma3", .windows = true},
     {.model_type = "llama", .name = "llama", .pairs = true, .divisors = true, .biases = true},
     {.model_type = "mistral", .name = "llama", .pairs = true, .divisors = true, .biases = true},
     {.model_type = "qwen2", .name = "qwen2", .square_output = true},
     {.model_type = "qwen3", .name = "qwen3"},
     {.model_type = "smollm3", .name = "smollm3", .pairs = true}}};

// EXAONE 4 has windows in llama.cpp at this depth alone.
constexpr std::int64_t kExaone4WindowedLayers = 64;

constexpr std::array<std::string_view, kLinearCount> kLinearNames = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                                                     "ffn_gate", "ffn_up", "ffn_down"};

[[noreturn]] void refuse(const ModelConfig& config, const std::string& what) {
  throw Error(ErrorCode::kInvalidInput,
              "llama.cpp computes " + config.model_type + " otherwise, so it is not written as GGUF: " + what);
}

GgufRole weight_role(LinearKind kind) {
  if (kind == LinearKind::kQuery) return GgufRole::kQuery;
  return kind == LinearKind::kKey ? GgufRole::kKey : GgufRole::kMatrix;
}

GgufRole bias_role(LinearKind kind) {
  if (kind == LinearKind::kQuery) return GgufRole::kQueryBias;
  return kind == LinearKind::kKey ? GgufRole::kKeyBias : GgufRole::kBias;
}

void add_block(const ModelConfig& config, std::int64_t layer, std::vector<GgufPlace>& places) {
  const TensorNames& names = config.names;
  const std::string from = names.block(layer), to = "blk." + std::to_string(layer) + ".";
  const auto norm = [&](std::string_view own, const char* theirs) {
    if (!own.empty()) places.push_back({from + std::string(own) + ".weight", to + theirs + ".weight", GgufRole::kNorm});
  };
  norm(names.attention_norm, "attn_norm");
  norm(names.attention_branch_norm, "post_attention_norm");
  norm(names.feed_forward_norm, "ffn_norm");
  norm(names.feed_forward_branch_norm, "post_ffw_norm");
  norm(names.query_norm, "attn_q_norm");
  norm(names.key_norm, "attn_k_norm");
  for (const LinearKind kind : kLinearKinds) {
    const std::string own = names.linear(layer, kind), theirs = to + std::string(kLinearNames[index_of(kind)]);
    places.push_back({own + ".weight", theirs + ".weight", weight_role(kind)});
    if (config.has_bias(kind)) places.push_back({own + ".bias", theirs + ".bias", bias_role(kind)});
  }
}

// Within each head, channel i + t * D/2 stands at 2 i + t: the two that turn together become neighbours.
void reorder_heads(Tensor& values, std::int64_t heads, bool to_pairs) {
  const std::int64_t rows = values.size(0), columns = values.count() / std::max<std::int64_t>(1, rows);
  const std::int64_t half = rows / heads / 2;
  const Tensor before = values.clone();
  const std::size_t bytes = static_cast<std::size_t>(columns) * sizeof(float);
  for (std::int64_t head = 0; head < heads; ++head) {
    for (std::int64_t i = 0; i < half; ++i) {
      for (std::int64_t t = 0; t < 2; ++t) {
        const std::int64_t apart = (head * 2 + t) * half + i, pair = (head * half + i) * 2 + t;
        const std::int64_t from = to_pairs ? apart : pair, to = to_pairs ? pair : apart;
        std::memcpy(values.data<float>() + to * columns, before.data<float>() + from * columns, bytes);
      }
    }
  }
}

void change_layout(const ModelConfig& config, const GgufArchitecture& architecture, GgufRole role, bool to_gguf,
                   Tensor& values) {
  if (role == GgufRole::kNorm && config.norm_plus_one) {
    for (float& value : values.values<float>()) value += to_gguf ? 1.0f : -1.0f;
  }
  if (!architecture.pairs) return;
  if (role == GgufRole::kQuery || role == GgufRole::kQueryBias) reorder_heads(values, config.head_count, to_gguf);
  if (role == GgufRole::kKey || role == GgufRole::kKeyBias) reorder_heads(values, config.key_value_head_count, to_gguf);
}

bool has_windows(const ModelConfig& config) {
  return std::any_of(config.layers.begin(), config.layers.end(),
                     [](const LayerPlan& layer) { return layer.window > 0; });
}

void check_rotation(const ModelConfig& config, const GgufArchitecture& architecture) {
  const RotaryConfig& rotary = config.rotaries.front();
  if (rotary.by_length()) refuse(config, "rope_scaling of the type " + rotary.type);
  if (rotary.type == "llama3" && !architecture.divisors) refuse(config, "rope_scaling of the type llama3");
  if (rotary.type == "yarn" && !rotary.truncate) refuse(config, "yarn with truncate off");
  for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
    const bool still = config.layers[layer].rotary < 0;
    const bool still_there = config.model_type == "smollm3"   ? (layer + 1) % 4 == 0
                             : config.model_type == "exaone4" ? has_windows(config) && config.layers[layer].window == 0
                                                              : false;
    if (still != still_there)
      refuse(config, "layer " + std::to_string(layer) + (still ? " has no" : " has") + " positions");
  }
}

void check_scales(const ModelConfig& config) {
  const bool gemma2 = config.model_type == "gemma2";
  const float usual = 1.0f / std::sqrt(static_cast<float>(config.head_dim));
  // The largest Gemma 2 and 3 divide by the channels that the hidden size has for a head.
  const bool largest =
      (gemma2 && config.layer_count == 46) || (config.model_type == "gemma3_text" && config.layer_count == 62);
  const float expected = largest ? 1.0f / std::sqrt(static_cast<float>(config.hidden_size / config.head_count)) : usual;
  if (std::abs(config.attention_scale() - expected) > 1e-6f * expected) refuse(config, "the scale of its attention");
  if (gemma2 && (config.logit_softcap == 0.0f || config.attention_softcap == 0.0f)) refuse(config, "no soft-caps");
  if (gemma2 && !config.tie_word_embeddings) refuse(config, "a head of its own");
  if (!gemma2 && config.attention_softcap != 0.0f) refuse(config, "a soft-cap of its attention");
  if (config.model_type != "gemma2" && config.model_type != "gemma3_text" && config.logit_softcap != 0.0f)
    refuse(config, "a soft-cap of its logits");
  const auto activation = config.norm_plus_one ? kernels::Activation::kGeluTanh : kernels::Activation::kSilu;
  if (config.activation != activation) refuse(config, "its activation");
}

void add_rotation(const ModelConfig& config, const std::string& prefix, GgufMetadata& metadata) {
  const RotaryConfig& rotary = config.rotaries.front();
  const auto add = [&](const char* key, GgufValue value) { metadata.emplace_back(prefix + key, std::move(value)); };
  add("rope.dimension_count", static_cast<std::uint32_t>(config.head_dim));
  add("rope.freq_base", static_cast<float>(rotary.theta));
  if (config.rotaries.size() > 1) add("rope.freq_base_swa", static_cast<float>(config.rotaries[1].theta));
  if (rotary.type != "linear" && rotary.type != "yarn") return;
  add("rope.scaling.type", rotary.type);
  add("rope.scaling.factor", static_cast<float>(rotary.factor));
  if (rotary.type == "linear") return;
  add("rope.scaling.original_context_length", static_cast<std::uint32_t>(rotary.original_max_positions));
  add("rope.scaling.yarn_beta_fast", static_cast<float>(rotary.beta_fast));
  add("rope.scaling.yarn_beta_slow", static_cast<float>(rotary.beta_slow));
  // It multiplies by 1 + 0.1 ln(factor) itself.
  add("rope.scaling.attn_factor", static_cast<float>(rotary.attention_factor / (1.0 + 0.1 * std::log(rotary.factor))));
}

void add_windows(const ModelConfig& config, const std::string& prefix, GgufMetadata& metadata) {
  std::vector<bool> slides;
  std::int64_t window = 0;
  for (const LayerPlan& layer : config.layers) {
    slides.push_back(layer.window > 0);
    window = std::max(window, layer.window);
  }
  metadata.emplace_back(prefix + "attention.sliding_window", static_cast<std::uint32_t>(window));
  metadata.emplace_back(prefix + "attention.sliding_window_pattern", GgufArray(std::move(slides)));
}

// Reads the keys of one architecture as config.json has them.
class ConfigKeys {
 public:
  ConfigKeys(const GgufFile& file, const GgufArchitecture& architecture)
      : file_(file), prefix_(std::string(architecture.name) + "."), model_type_(architecture.model_type) {}

  json::object document() {
    sizes();
    rotation();
    windows();
    if (model_type_ == "gemma2" || model_type_ == "gemma3_text") gemma();
    if (model_type_ == "exaone") exaone();
    if (model_type_ == "llama") {
      object_["attention_bias"] = file_.contains("blk.0.attn_output.bias");
      object_["mlp_bias"] = file_.contains("blk.0.ffn_gate.bias");
    }
    if (model_type_ == "qwen3") object_["attention_bias"] = false;
    return std::move(object_);
  }

 private:
  std::int64_t whole(const char* key) const {
    if (const auto value = file_.whole(prefix_ + key)) return *value;
    throw Error(ErrorCode::kCorrupt, file_.path().string() + ": the key " + prefix_ + key + " is missing");
  }
  void copy_number(const char* key, const char* own) {
    if (const auto value = file_.number(prefix_ + key)) object_[own] = *value;
  }

  void sizes() {
    const std::int64_t hidden = whole("embedding_length"), heads = whole("attention.head_count");
    object_["model_type"] = model_type_;
    object_["vocab_size"] = file_.info("token_embd.weight").shape.at(0);
    object_["hidden_size"] = hidden;
    object_["intermediate_size"] = whole("feed_forward_length");
    object_["num_hidden_layers"] = whole("block_count");
    object_["num_attention_heads"] = heads;
    object_["num_key_value_heads"] = file_.whole(prefix_ + "attention.head_count_kv").value_or(heads);
    object_["head_dim"] = file_.whole(prefix_ + "attention.key_length").value_or(heads > 0 ? hidden / heads : 0);
    object_["max_position_embeddings"] = whole("context_length");
    object_["rms_norm_eps"] = file_.number(prefix_ + "attention.layer_norm_rms_epsilon").value_or(1e-5);
    object_["tie_word_embeddings"] = !file_.contains("output.weight");
    if (const auto end = file_.whole("tokenizer.ggml.eos_token_id")) object_["eos_token_id"] = *end;
  }

  void rotation() {
    object_["rope_theta"] = file_.number(prefix_ + "rope.freq_base").value_or(10000.0);
    const std::string* type = file_.text(prefix_ + "rope.scaling.type");
    if (type != nullptr && *type != "none") {
      json::object scaling{{"rope_type", *type},
                           {"factor", file_.number(prefix_ + "rope.scaling.factor").value_or(1.0)}};
      if (const auto trained = file_.whole(prefix_ + "rope.scaling.original_context_length"))
        scaling["original_max_position_embeddings"] = *trained;
      if (const auto factor = file_.number(prefix_ + "rope.scaling.attn_factor"))
        scaling["attention_factor"] = *factor * (1.0 + 0.1 * std::log(scaling["factor"].to_number<double>()));
      object_["rope_scaling"] = scaling;
    }
    if (!file_.contains(kDivisors)) return;
    json::array divisors;
    const Tensor values = file_.read(kDivisors);
    for (const float value : values.values<float>()) divisors.emplace_back(static_cast<double>(value));
    object_["rope_scaling"] = json::object{{"rope_type", "longrope"},
                                           {"short_factor", divisors},
                                           {"long_factor", divisors},
                                           {"attention_factor", 1.0},
                                           {"original_max_position_embeddings", object_["max_position_embeddings"]}};
  }

  void windows() {
    const auto window = file_.whole(prefix_ + "attention.sliding_window");
    const bool seen = model_type_ == "gemma2" || model_type_ == "gemma3_text" ||
                      (model_type_ == "exaone4" && whole("block_count") == kExaone4WindowedLayers);
    if (model_type_ == "exaone4" && !seen) object_["sliding_window"] = nullptr;
    if (!window || !seen) return;
    object_["sliding_window"] = *window;
    const GgufValue* pattern = file_.find(prefix_ + "attention.sliding_window_pattern");
    const auto* array = pattern == nullptr ? nullptr : std::get_if<GgufArray>(pattern);
    const auto* slides = array == nullptr ? nullptr : std::get_if<std::vector<bool>>(array);
    if (slides == nullptr) return;
    json::array kinds;
    for (const bool each : *slides) kinds.emplace_back(each ? "sliding_attention" : "full_attention");
    object_["layer_types"] = kinds;
  }

  void gemma() {
    copy_number("attn_logit_softcapping", "attn_logit_softcapping");
    copy_number("final_logit_softcapping", "final_logit_softcapping");
    copy_number("rope.freq_base_swa", "rope_local_base_freq");
    const std::int64_t layers = whole("block_count");
    const bool largest = layers == (model_type_ == "gemma2" ? 46 : 62);
    object_["query_pre_attn_scalar"] =
        largest ? whole("embedding_length") / whole("attention.head_count") : object_["head_dim"].as_int64();
  }

  void exaone() {
    object_["num_layers"] = object_["num_hidden_layers"];
    object_["layer_norm_epsilon"] = object_["rms_norm_eps"];
    object_.erase("num_hidden_layers");
    object_.erase("rms_norm_eps");
  }

  const GgufFile& file_;
  std::string prefix_;
  std::string model_type_;
  json::object object_;
};

const GgufArchitecture& architecture_of(const GgufFile& file) {
  const std::string* name = file.text("general.architecture");
  std::string known;
  for (const GgufArchitecture& row : kArchitectures) {
    if (name != nullptr && row.name == *name) return row;
    if (known.find(std::string(row.name)) == std::string::npos)
      known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error(ErrorCode::kInvalidInput,
              file.path().string() + ": general.architecture " +
                  (name == nullptr ? std::string("is missing") : in_quotes(*name) + " is not read") + "; read are " +
                  known);
}

}  // namespace

const GgufArchitecture& gguf_architecture(std::string_view model_type) {
  std::string known;
  for (const GgufArchitecture& row : kArchitectures) {
    if (row.model_type == model_type) return row;
    known += (known.empty() ? "" : ", ") + std::string(row.model_type);
  }
  throw Error(ErrorCode::kInvalidInput,
              "llama.cpp has no " + std::string(model_type) + ", so it is not written as GGUF; written are " + known);
}

std::vector<GgufPlace> gguf_places(const ModelConfig& config) {
  std::vector<GgufPlace> places{{std::string(config.names.embedding) + ".weight", "token_embd.weight"}};
  for (std::int64_t layer = 0; layer < config.layer_count; ++layer) add_block(config, layer, places);
  places.push_back({std::string(config.names.final_norm) + ".weight", "output_norm.weight", GgufRole::kNorm});
  if (!config.tie_word_embeddings) places.push_back({std::string(config.names.head) + ".weight", "output.weight"});
  return places;
}

void to_gguf_layout(const ModelConfig& config, const GgufArchitecture& architecture, GgufRole role, Tensor& values) {
  change_layout(config, architecture, role, true, values);
}

void from_gguf_layout(const ModelConfig& config, const GgufArchitecture& architecture, GgufRole role, Tensor& values) {
  change_layout(config, architecture, role, false, values);
}

void check_gguf_can_hold(const ModelConfig& config, const GgufArchitecture& architecture) {
  check_rotation(config, architecture);
  check_scales(config);
  if (!architecture.biases && (config.output_bias || config.feed_forward_bias))
    refuse(config, "a bias on the output projection or the feed-forward layer");
  if (architecture.square_output && config.query_size() != config.hidden_size)
    refuse(config, "heads of another total width than the hidden size");
  if (config.model_type == "exaone4" && has_windows(config) && config.layer_count != kExaone4WindowedLayers)
    refuse(config, "windows in a model of other than 64 layers");
}

std::int64_t gguf_context(const ModelConfig& config, const GgufArchitecture& architecture) {
  std::int64_t context = config.max_positions;
  if (architecture.windows) return context;
  for (const LayerPlan& layer : config.layers) {
    if (layer.window > 0) context = std::min(context, layer.window);
  }
  return context;
}

GgufMetadata gguf_model_metadata(const ModelConfig& config, const GgufArchitecture& architecture,
                                 std::string_view name) {
  const std::string prefix = std::string(architecture.name) + ".";
  GgufMetadata metadata{{"general.architecture", std::string(architecture.name)},
                        {"general.type", std::string("model")},
                        {"general.name", std::string(name)}};
  const auto add = [&](const char* key, std::int64_t value) {
    metadata.emplace_back(prefix + key, static_cast<std::uint32_t>(value));
  };
  add("block_count", config.layer_count);
  add("context_length", gguf_context(config, architecture));
  add("embedding_length", config.hidden_size);
  add("feed_forward_length", config.intermediate_size);
  add("attention.head_count", config.head_count);
  add("attention.head_count_kv", config.key_value_head_count);
  add("attention.key_length", config.head_dim);
  add("attention.value_length", config.head_dim);
  add("vocab_size", config.vocab_size);
  metadata.emplace_back(prefix + "attention.layer_norm_rms_epsilon", config.norm_epsilon);
  add_rotation(config, prefix, metadata);
  if (architecture.windows && has_windows(config)) add_windows(config, prefix, metadata);
  if (config.attention_softcap != 0.0f)
    metadata.emplace_back(prefix + "attn_logit_softcapping", config.attention_softcap);
  if (config.logit_softcap != 0.0f) metadata.emplace_back(prefix + "final_logit_softcapping", config.logit_softcap);
  metadata.emplace_back(kConfigKey, json::serialize(to_json(config)));
  return metadata;
}

std::optional<Tensor> gguf_divisors(const ModelConfig& config) {
  const RotaryConfig& rotary = config.rotaries.front();
  if (rotary.type != "llama3") return std::nullopt;
  RotaryConfig plain;
  plain.theta = rotary.theta;
  const std::vector<float> usual = inverse_frequencies(plain, config.head_dim, 0);
  const std::vector<float> stretched = inverse_frequencies(rotary, config.head_dim, 0);
  std::vector<float> divisors;
  for (std::size_t i = 0; i < usual.size(); ++i) divisors.push_back(usual[i] / stretched[i]);
  return Tensor::from(divisors);
}

ModelConfig gguf_model_config(const GgufFile& file) {
  const GgufArchitecture& architecture = architecture_of(file);
  if (const std::string* document = file.text(kConfigKey))
    return model_config_from_json(platform::parse_json(*document, kConfigKey));
  return model_config_from_json(ConfigKeys(file, architecture).document());
}

}  // namespace finetune
