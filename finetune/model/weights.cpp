#include "finetune/model/weights.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "finetune/formats/weight_folder.h"
#include "finetune/model/gguf_weights.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using kernels::DataType;
using kernels::Shape;
using kernels::Tensor;

constexpr float kInitialDeviation = 0.02f;

enum class Role { kMatrix, kIntoStream, kNorm, kBias };
// Only the linear layers of the blocks are ever quantised.
enum class Part { kBlock, kTable, kVector };

struct WeightPlace {
  Weight* weight;
  LinearWeight* linear;  // null for norms and biases
  Shape shape;
  Role role;
  Part part;
};

// Collects every weight of a model with its name and shape; the one place that knows which weights a model has.
class Places {
 public:
  Places(ModelWeights& weights, const ModelConfig& config) : config_(config) {
    weights.tied = config.tie_word_embeddings;
    weights.layers.resize(static_cast<std::size_t>(config.layer_count));
    const Shape table{config.vocab_size, config.hidden_size};
    matrix(weights.embedding, std::string(config.names.embedding), table, Role::kMatrix, Part::kTable);
    for (std::size_t layer = 0; layer < weights.layers.size(); ++layer)
      block(weights.layers[layer], static_cast<std::int64_t>(layer));
    norm(weights.final_norm, "", config.names.final_norm, config.hidden_size);
    if (!weights.tied) matrix(weights.head, std::string(config.names.head), table, Role::kMatrix, Part::kTable);
  }
  const std::vector<WeightPlace>& all() const { return all_; }

 private:
  void norm(Weight& weight, const std::string& prefix, std::string_view name, std::int64_t size) {
    if (name.empty()) return;
    weight.name = prefix + std::string(name) + ".weight";
    all_.push_back({&weight, nullptr, {size}, Role::kNorm, Part::kVector});
  }
  void matrix(LinearWeight& weight, const std::string& module, Shape shape, Role role, Part part) {
    weight.name = module + ".weight";
    all_.push_back({&weight, &weight, std::move(shape), role, part});
  }
  void block(LayerWeights& weights, std::int64_t layer) {
    const TensorNames& names = config_.names;
    const std::string prefix = names.block(layer);
    norm(weights.attention_norm, prefix, names.attention_norm, config_.hidden_size);
    norm(weights.attention_branch_norm, prefix, names.attention_branch_norm, config_.hidden_size);
    norm(weights.feed_forward_norm, prefix, names.feed_forward_norm, config_.hidden_size);
    norm(weights.feed_forward_branch_norm, prefix, names.feed_forward_branch_norm, config_.hidden_size);
    norm(weights.query_norm, prefix, names.query_norm, config_.head_dim);
    norm(weights.key_norm, prefix, names.key_norm, config_.head_dim);
    for (const LinearKind kind : kLinearKinds) linear(weights.linears[index_of(kind)], layer, kind);
  }
  void linear(LinearWeight& weight, std::int64_t layer, LinearKind kind) {
    const std::string module = config_.names.linear(layer, kind);
    const bool into_stream = kind == LinearKind::kOutput || kind == LinearKind::kDown;
    matrix(weight, module, {config_.out_features(kind), config_.in_features(kind)},
           into_stream ? Role::kIntoStream : Role::kMatrix, Part::kBlock);
    if (!config_.has_bias(kind)) return;
    weight.bias.name = module + ".bias";
    all_.push_back({&weight.bias, nullptr, {config_.out_features(kind)}, Role::kBias, Part::kVector});
  }

  const ModelConfig& config_;
  std::vector<WeightPlace> all_;
};

void pack(LinearWeight& weight) { weight.packed = kernels::PackedWeight(weight.value.view()); }

DataType stored_type(const WeightSource& files, const std::string& name) {
  const std::string& type = files.info(name).dtype;
  if (type == "BF16") return DataType::kBFloat16;
  return type == "F16" ? DataType::kFloat16 : DataType::kFloat32;
}

DataType held_type(const WeightPlace& place, WeightPrecision precision, DataType stored) {
  if (place.linear == nullptr || precision == WeightPrecision::kFloat32) return DataType::kFloat32;
  if (precision == WeightPrecision::kBFloat16) return DataType::kBFloat16;
  return precision == WeightPrecision::kFloat16 ? DataType::kFloat16 : stored;
}

Tensor read_weight(const WeightSource& files, const WeightPlace& place, WeightPrecision precision) {
  const std::string& name = place.weight->name;
  const DataType stored = stored_type(files, name), held = held_type(place, precision, stored);
  Tensor value = files.read_finite(name, stored);
  if (held == stored) return value;
  value = value.cast_to(held);
  if (held != DataType::kFloat16) return value;
  try {
    check_finite(name, value);
  } catch (const platform::Error&) {
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "tensor '" + name + "' holds values that float16 cannot; choose bfloat16", "base_dtype");
  }
  return value;
}

std::optional<kernels::QuantisedType> quantised_type(WeightPrecision precision) {
  switch (precision) {
    case WeightPrecision::kInt8: return kernels::QuantisedType::kInt8;
    case WeightPrecision::kNf4: return kernels::QuantisedType::kNf4;
    case WeightPrecision::kNf4Nested: return kernels::QuantisedType::kNf4Nested;
    default: return std::nullopt;
  }
}

void refuse_quantised(const ModelWeights& weights, const std::string& what) {
  if (!weights.quantised()) return;
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        "a model that is held in 4 or 8 bits cannot be " + what + "; load it in float32");
}

struct PrecisionName {
  WeightPrecision precision;
  std::string_view name;
};
constexpr PrecisionName kPrecisionNames[] = {
    {WeightPrecision::kFloat32, "float32"}, {WeightPrecision::kBFloat16, "bfloat16"},
    {WeightPrecision::kFloat16, "float16"}, {WeightPrecision::kInt8, "int8"},
    {WeightPrecision::kNf4, "nf4"},         {WeightPrecision::kNf4Nested, "nf4_double"}};

// Old checkpoints carry rotary buffers, and tied ones may repeat the embedding as a head.
bool may_be_ignored(std::string_view name, const ModelConfig& config) {
  return name.ends_with("rotary_emb.inv_freq") ||
         (config.tie_word_embeddings && name == std::string(config.names.head) + ".weight");
}

}  // namespace

std::string_view to_string(WeightPrecision precision) {
  for (const auto& [known, name] : kPrecisionNames) {
    if (known == precision) return name;
  }
  return "";
}

WeightPrecision weight_precision_from(std::string_view asked) {
  std::string names;
  for (const auto& [precision, name] : kPrecisionNames) {
    if (name == asked) return precision;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        "base_dtype is not known: \"" + std::string(asked) + "\"; known: " + names, "base_dtype");
}

void ModelWeights::for_each(const std::function<void(Weight&)>& visit) {
  const auto present = [&](Weight& weight) {
    if (weight.present()) visit(weight);
  };
  present(embedding);
  for (LayerWeights& layer : layers) {
    for (Weight* norm : {&layer.attention_norm, &layer.attention_branch_norm, &layer.feed_forward_norm,
                         &layer.feed_forward_branch_norm, &layer.query_norm, &layer.key_norm})
      present(*norm);
    for (LinearWeight& linear : layer.linears) {
      present(linear);
      present(linear.bias);
    }
  }
  present(final_norm);
  present(head);
}

void ModelWeights::for_each(const std::function<void(const Weight&)>& visit) const {
  const_cast<ModelWeights*>(this)->for_each([&](Weight& weight) { visit(weight); });
}

Tensor LinearWeight::dense(kernels::Context& context) const {
  if (!packed.is_quantised()) return value.view();
  Tensor wide(packed.quantised().shape);
  kernels::dequantise(context, packed.quantised(), wide);
  return wide;
}

bool ModelWeights::quantised() const {
  return std::any_of(layers.begin(), layers.end(), [](const LayerWeights& layer) {
    return std::any_of(layer.linears.begin(), layer.linears.end(),
                       [](const LinearWeight& linear) { return linear.packed.is_quantised(); });
  });
}

void ModelWeights::make_trainable() {
  refuse_quantised(*this, "trained as a whole");
  for_each([](Weight& weight) { weight.gradient = Tensor::zeros(weight.value.shape()); });
}

void ModelWeights::refresh() {
  embedding.packed.refresh();
  for (LayerWeights& layer : layers) {
    for (LinearWeight& linear : layer.linears) linear.packed.refresh();
  }
  if (!tied) head.packed.refresh();
}

std::unique_ptr<WeightSource> open_weights(const std::filesystem::path& base, const ModelConfig& config) {
  if (const auto gguf = gguf_of_base(base)) return std::make_unique<GgufWeights>(*gguf, config);
  return std::make_unique<WeightFolder>(base);
}

ModelWeights load_weights(const std::filesystem::path& base, const ModelConfig& config, WeightPrecision precision) {
  const std::unique_ptr<WeightSource> source = open_weights(base, config);
  const WeightSource& files = *source;
  ModelWeights weights;
  const Places places(weights, config);
  std::map<std::string, Shape> expected;
  for (const WeightPlace& place : places.all()) expected[place.weight->name] = place.shape;
  const auto type = quantised_type(precision);
  kernels::Context context = kernels::Context::cpu();
  files.check_names(expected, [&](std::string_view name) { return may_be_ignored(name, config); });
  for (const WeightPlace& place : places.all()) {
    Tensor value = read_weight(files, place, precision);
    if (type && place.part == Part::kBlock) {
      place.linear->packed = kernels::PackedWeight(kernels::quantise(context, value, *type));
      continue;
    }
    place.weight->value = std::move(value);
    if (place.linear != nullptr) pack(*place.linear);
  }
  return weights;
}

ModelWeights random_weights(const ModelConfig& config, kernels::Random& random) {
  ModelWeights weights;
  const float residual = kInitialDeviation / std::sqrt(2.0f * static_cast<float>(config.layer_count));
  const Places places(weights, config);
  for (const WeightPlace& place : places.all()) {
    const float fill = place.role == Role::kNorm && !config.norm_plus_one ? 1.0f : 0.0f;
    const float deviation = place.role == Role::kIntoStream ? residual : kInitialDeviation;
    place.weight->value = Tensor(place.shape);
    for (float& value : place.weight->value.values<float>())
      value = place.linear == nullptr ? fill : static_cast<float>(random.normal()) * deviation;
    if (place.linear != nullptr) pack(*place.linear);
  }
  return weights;
}

void save_model(const std::filesystem::path& folder, const ModelConfig& config, const ModelWeights& weights,
                DataType type) {
  refuse_quantised(weights, "saved");
  std::filesystem::create_directories(folder);
  std::deque<Tensor> converted;
  std::map<std::string, const Tensor*> tensors;
  weights.for_each([&](const Weight& weight) {
    converted.push_back(weight.value.cast_to(type));
    tensors[weight.name] = &converted.back();
  });
  write_safetensors(folder / "model.safetensors", tensors);
  platform::json::value document = to_json(config);
  const bool new_style = document.as_object().contains("dtype");
  document.as_object()[new_style ? "dtype" : "torch_dtype"] = kernels::name_of(type);
  platform::write_json_file(folder / "config.json", document);
}

std::int64_t parameter_count(const ModelConfig& config) {
  ModelWeights weights;
  std::int64_t count = 0;
  const Places places(weights, config);
  for (const WeightPlace& place : places.all()) {
    std::int64_t elements = 1;
    for (const std::int64_t size : place.shape) elements *= size;
    count += elements;
  }
  return count;
}

}  // namespace finetune
