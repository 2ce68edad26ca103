#include "finetune/adapter/adapted_model.h"

#include <cmath>

#include "finetune/formats/safetensors.h"

namespace finetune {

using kernels::Context;
using kernels::LossSum;
using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

namespace {

float usual_size(const Tensor& table) {
  double squares = 0;
  const Tensor values = table.cast_to(kernels::DataType::kFloat32);
  for (const float value : values.values<float>()) squares += static_cast<double>(value) * static_cast<double>(value);
  return static_cast<float>(std::sqrt(squares / static_cast<double>(values.count())));
}

void make_sensor_parts(AdapterParts& parts, const Base& base, kernels::Random& random) {
  if (!parts.schema.empty()) {
    const float usual = usual_size(base.weights.embedding.value) * base.config.embedding_multiplier;
    parts.encoder.emplace(parts.schema, base.config.hidden_size, usual, random);
  }
  if (parts.task == Task::kClassify)
    parts.head.emplace(static_cast<std::int64_t>(parts.labels.size()), base.config.hidden_size, random);
  if (parts.task == Task::kRegress) parts.head.emplace(1, base.config.hidden_size, random);
}

Tensor example_weights(Batch batch) {
  std::vector<float> weights;
  for (const EncodedExample* example : batch) weights.push_back(example->weight);
  return Tensor::from(weights);
}

}  // namespace

void AdapterParts::start(const Base& base, const PeftConfig& config, std::uint64_t seed) {
  kernels::Random random(seed);
  adapter = Adapter(base.config, base.weights, config, random);
  make_sensor_parts(*this, base, random);
}

void AdapterParts::start_from(const Base& base, Adapter trained, std::uint64_t seed) {
  kernels::Random random(seed);
  adapter = std::move(trained);
  make_sensor_parts(*this, base, random);
}

std::vector<Weight*> AdapterParts::sensor_weights() {
  std::vector<Weight*> all;
  if (encoder) all = encoder->weights();
  if (head) {
    for (Weight* weight : head->weights()) all.push_back(weight);
  }
  return all;
}

std::vector<Weight*> AdapterParts::weights() {
  std::vector<Weight*> all;
  adapter.for_each([&](Weight& weight) { all.push_back(&weight); });
  for (Weight* weight : sensor_weights()) all.push_back(weight);
  return all;
}

void AdapterParts::make_trainable() {
  adapter.make_trainable();
  if (encoder) encoder->make_trainable();
  if (head) head->make_trainable();
}

void AdapterParts::save(const std::filesystem::path& folder) {
  adapter.save(folder);
  std::map<std::string, const Tensor*> tensors;
  for (const Weight* weight : sensor_weights()) tensors[weight->name] = &weight->value;
  if (!tensors.empty()) write_safetensors(folder / "sensor.safetensors", tensors);
}

void AdapterParts::load(const std::filesystem::path& folder, const Base& base) {
  adapter = Adapter::load(folder, base.config, base.weights);
  kernels::Random random(0);
  make_sensor_parts(*this, base, random);
  const std::vector<Weight*> weights = sensor_weights();
  if (weights.empty()) return;
  const SafetensorsFile file(folder / "sensor.safetensors");
  for (Weight* weight : weights) {
    Tensor stored = file.read_finite(weight->name, kernels::DataType::kFloat32);
    if (stored.shape() != weight->value.shape()) {
      throw Error(ErrorCode::kCorrupt,
                  "sensor.safetensors has another shape for " + weight->name + " than the manifest asks for");
    }
    weight->value = std::move(stored);
  }
}

AdaptedModel::AdaptedModel(Base& base, AdapterParts& parts)
    : base_(base), parts_(parts), transformer_(base.config, base.weights, &parts.adapter) {}

const Tensor* AdaptedModel::slot_embeddings(Context& context, Batch batch) {
  std::vector<const SlotValue*> slots;
  for (const EncodedExample* example : batch) {
    for (const SlotValue& slot : example->slots) slots.push_back(&slot);
  }
  if (slots.empty()) return nullptr;
  return &parts_.encoder->forward(context, slots);
}

const Tensor& AdaptedModel::hidden_of(Context& context, Batch batch, ActivationMode mode) {
  std::vector<std::span<const std::int32_t>> documents;
  for (const EncodedExample* example : batch) documents.emplace_back(example->ids);
  packed_ = pack_documents(documents);
  return transformer_.forward(context, packed_, slot_embeddings(context, batch), mode);
}

LossSum AdaptedModel::token_loss(Context& context, Batch batch, const Tensor& hidden, float scale, Tensor* dhidden) {
  std::vector<std::int32_t> targets;
  std::vector<float> weights;
  for (const EncodedExample* example : batch) {
    targets.insert(targets.end(), example->targets.begin(), example->targets.end());
    weights.insert(weights.end(), example->targets.size(), example->weight);
  }
  const Tensor row_weights = Tensor::from(weights);
  OutputHead& head = transformer_.output_head();
  Tensor* dweight = dhidden != nullptr ? head.gradient() : nullptr;
  const LossSum loss = kernels::linear_cross_entropy(context, hidden, head.weight(), Tensor::from(targets),
                                                     &row_weights, base_.config.head_options(scale), dhidden, dweight);
  if (dweight != nullptr) head.backward(context);
  return loss;
}

LossSum AdaptedModel::loss_of(Context& context, Batch batch, const Tensor& hidden, float scale,
                              const Tensor* class_weights, Tensor* dhidden) {
  if (parts_.task == Task::kLanguageModel) return token_loss(context, batch, hidden, scale, dhidden);
  Tensor& output = parts_.head->forward(context, packed_, hidden);
  const Tensor weights = example_weights(batch);
  LossSum loss;
  if (parts_.task == Task::kClassify) {
    std::vector<std::int32_t> labels;
    for (const EncodedExample* example : batch)
      labels.push_back(example->label < 0 ? kernels::kIgnoredTarget : example->label);
    loss = kernels::softmax_cross_entropy(context, output, Tensor::from(labels), class_weights, &weights, scale,
                                          dhidden != nullptr ? &output : nullptr);
  } else {
    std::vector<float> values;
    for (const EncodedExample* example : batch) {
      values.push_back(
          static_cast<float>((static_cast<double>(example->value) - parts_.target_mean) / parts_.target_deviation));
    }
    loss = kernels::squared_error(context, output, Tensor::from(values, output.shape()), &weights, scale,
                                  dhidden != nullptr ? &output : nullptr);
  }
  if (dhidden != nullptr) parts_.head->backward(context, packed_, output, *dhidden);
  return loss;
}

LossSum AdaptedModel::train(Context& context, Batch batch, float scale, const Tensor* class_weights,
                            ActivationMode mode, std::uint64_t dropout_seed) {
  transformer_.set_dropout_seed(dropout_seed);
  const Tensor& hidden = hidden_of(context, batch, mode);
  dhidden_.resize(hidden.shape());
  const LossSum loss = loss_of(context, batch, hidden, scale, class_weights, &dhidden_);
  const bool slots = packed_.slot_count() > 0;
  transformer_.backward(context, packed_, dhidden_, slots ? &dslots_ : nullptr);
  if (slots) parts_.encoder->backward(context, dslots_);
  return loss;
}

LossSum AdaptedModel::loss(Context& context, Batch batch, const Tensor* class_weights) {
  return loss_of(context, batch, hidden_of(context, batch, ActivationMode::kNone), 0.0f, class_weights, nullptr);
}

std::vector<std::vector<float>> AdaptedModel::outputs(Context& context, Batch batch) {
  std::vector<std::vector<float>> rows = raw_outputs(context, batch);
  if (parts_.task != Task::kRegress) return rows;
  for (std::vector<float>& row : rows)
    row[0] = static_cast<float>(parts_.target_mean + parts_.target_deviation * static_cast<double>(row[0]));
  return rows;
}

std::vector<std::vector<float>> AdaptedModel::raw_outputs(Context& context, Batch batch) {
  const Tensor& hidden = hidden_of(context, batch, ActivationMode::kNone);
  std::vector<std::vector<float>> rows;
  if (parts_.task == Task::kLanguageModel) {
    std::vector<std::int32_t> targets;
    for (const EncodedExample* example : batch)
      targets.insert(targets.end(), example->targets.begin(), example->targets.end());
    Tensor log_probabilities({hidden.size(0)});
    kernels::token_log_probabilities(context, hidden, transformer_.output_head().weight(), Tensor::from(targets),
                                     base_.config.head_options(), log_probabilities);
    std::size_t at = 0;
    for (const EncodedExample* example : batch) {
      rows.emplace_back();
      for (const std::int32_t target : example->targets) {
        if (target >= 0) rows.back().push_back(log_probabilities.data<float>()[at]);
        ++at;
      }
    }
    return rows;
  }
  const Tensor& output = parts_.head->forward(context, packed_, hidden);
  const auto width = output.size(1);
  for (std::int64_t row = 0; row < output.size(0); ++row) {
    const float* from = output.data<float>() + row * width;
    rows.emplace_back(from, from + width);
  }
  return rows;
}

std::vector<std::vector<std::size_t>> group_by_tokens(const std::vector<EncodedExample>& examples,
                                                      const std::vector<std::size_t>& order, std::int64_t max_tokens) {
  std::vector<std::vector<std::size_t>> groups;
  std::int64_t tokens = 0;
  for (const std::size_t index : order) {
    const auto length = static_cast<std::int64_t>(examples[index].ids.size());
    if (groups.empty() || tokens + length > max_tokens) {
      groups.emplace_back();
      tokens = 0;
    }
    groups.back().push_back(index);
    tokens += length;
  }
  return groups;
}

}  // namespace finetune
