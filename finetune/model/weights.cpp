#include "finetune/model/weights.h"

#include <cmath>
#include <map>

#include "finetune/formats/weight_folder.h"

namespace finetune {
namespace {

using kernels::DataType;
using kernels::Shape;
using kernels::Tensor;

constexpr float kInitialDeviation = 0.02f;

struct WeightPlace {
  Weight* weight;
  LinearWeight* linear;  // null for norms
  Shape shape;
};

std::string layer_prefix(std::size_t layer) { return "model.layers." + std::to_string(layer) + "."; }

// Every weight with its name and shape; the one place that knows the names in the files.
std::vector<WeightPlace> places(ModelWeights& weights, const ModelConfig& config) {
  std::vector<WeightPlace> all;
  const auto norm = [&](Weight& weight, std::string name) {
    weight.name = std::move(name);
    all.push_back({&weight, nullptr, {config.hidden_size}});
  };
  const auto matrix = [&](LinearWeight& weight, std::string name, Shape shape) {
    weight.name = std::move(name);
    all.push_back({&weight, &weight, std::move(shape)});
  };
  weights.tied = config.tie_word_embeddings;
  weights.layers.resize(static_cast<std::size_t>(config.layer_count));
  matrix(weights.embedding, "model.embed_tokens.weight", {config.vocab_size, config.hidden_size});
  for (std::size_t layer = 0; layer < weights.layers.size(); ++layer) {
    LayerWeights& block = weights.layers[layer];
    norm(block.input_norm, layer_prefix(layer) + "input_layernorm.weight");
    norm(block.post_attention_norm, layer_prefix(layer) + "post_attention_layernorm.weight");
    for (const LinearKind kind : kLinearKinds) {
      matrix(block.linears[index_of(kind)], module_name(static_cast<std::int64_t>(layer), kind) + ".weight",
             {out_features(config, kind), in_features(config, kind)});
    }
  }
  norm(weights.final_norm, "model.norm.weight");
  if (!weights.tied) matrix(weights.head, "lm_head.weight", {config.vocab_size, config.hidden_size});
  return all;
}

void pack(LinearWeight& weight) { weight.packed = kernels::PackedWeight(weight.value.view()); }

Tensor read_weight(const WeightFolder& files, const WeightPlace& place, WeightPrecision precision) {
  const std::string& name = place.weight->name;
  const bool keep =
      precision == WeightPrecision::kStored && place.linear != nullptr && files.info(name).dtype == "BF16";
  return files.read_finite(name, keep ? DataType::kBFloat16 : DataType::kFloat32);
}

// Old checkpoints carry rotary buffers, and tied ones may repeat the embedding as a head.
bool may_be_ignored(std::string_view name, bool tied) {
  return name.ends_with("rotary_emb.inv_freq") || (tied && name == "lm_head.weight");
}

}  // namespace

std::string_view module_suffix(LinearKind kind) {
  static constexpr std::array<std::string_view, kLinearCount> kSuffixes = {
      "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
      "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
  return kSuffixes[index_of(kind)];
}

std::string module_name(std::int64_t layer, LinearKind kind) {
  return "model.layers." + std::to_string(layer) + "." + std::string(module_suffix(kind));
}

std::int64_t in_features(const ModelConfig& config, LinearKind kind) {
  if (kind == LinearKind::kOutput) return config.query_size();
  return kind == LinearKind::kDown ? config.intermediate_size : config.hidden_size;
}

std::int64_t out_features(const ModelConfig& config, LinearKind kind) {
  switch (kind) {
    case LinearKind::kQuery: return config.query_size();
    case LinearKind::kKey:
    case LinearKind::kValue: return config.key_value_size();
    case LinearKind::kGate:
    case LinearKind::kUp: return config.intermediate_size;
    case LinearKind::kOutput:
    case LinearKind::kDown: return config.hidden_size;
  }
  return 0;
}

void ModelWeights::for_each(const std::function<void(Weight&)>& visit) {
  visit(embedding);
  for (LayerWeights& layer : layers) {
    visit(layer.input_norm);
    visit(layer.post_attention_norm);
    for (LinearWeight& linear : layer.linears) visit(linear);
  }
  visit(final_norm);
  if (!tied) visit(head);
}

void ModelWeights::for_each(const std::function<void(const Weight&)>& visit) const {
  const_cast<ModelWeights*>(this)->for_each([&](Weight& weight) { visit(weight); });
}

void ModelWeights::make_trainable() {
  for_each([](Weight& weight) { weight.gradient = Tensor::zeros(weight.value.shape()); });
}

void ModelWeights::refresh() {
  embedding.packed.refresh();
  for (LayerWeights& layer : layers) {
    for (LinearWeight& linear : layer.linears) linear.packed.refresh();
  }
  if (!tied) head.packed.refresh();
}

ModelWeights load_weights(const std::filesystem::path& folder, const ModelConfig& config, WeightPrecision precision) {
  const WeightFolder files(folder);
  ModelWeights weights;
  const std::vector<WeightPlace> all = places(weights, config);
  std::map<std::string, Shape> expected;
  for (const WeightPlace& place : all) expected[place.weight->name] = place.shape;
  files.check_names(expected, [&](std::string_view name) { return may_be_ignored(name, config.tie_word_embeddings); });
  for (const WeightPlace& place : all) {
    place.weight->value = read_weight(files, place, precision);
    if (place.linear != nullptr) pack(*place.linear);
  }
  return weights;
}

ModelWeights random_weights(const ModelConfig& config, kernels::Random& random) {
  ModelWeights weights;
  const float residual = kInitialDeviation / std::sqrt(2.0f * static_cast<float>(config.layer_count));
  for (const WeightPlace& place : places(weights, config)) {
    place.weight->value = Tensor(place.shape);
    const std::string_view name = place.weight->name;
    const bool into_residual = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
    for (float& value : place.weight->value.values<float>()) {
      const float deviation = into_residual ? residual : kInitialDeviation;
      value = place.linear == nullptr ? 1.0f : static_cast<float>(random.normal()) * deviation;
    }
    if (place.linear != nullptr) pack(*place.linear);
  }
  return weights;
}

void save_model(const std::filesystem::path& folder, const ModelConfig& config, const ModelWeights& weights,
                DataType type) {
  std::filesystem::create_directories(folder);
  std::vector<Tensor> converted;
  std::map<std::string, const Tensor*> tensors;
  converted.reserve(static_cast<std::size_t>(config.layer_count) * 9 + 3);
  weights.for_each([&](const Weight& weight) {
    converted.push_back(weight.value.cast_to(type));
    tensors[weight.name] = &converted.back();
  });
  write_safetensors(folder / "model.safetensors", tensors);
  platform::json::value document = to_json(config);
  document.as_object()["torch_dtype"] = kernels::name_of(type);
  platform::write_json_file(folder / "config.json", document);
}

}  // namespace finetune
