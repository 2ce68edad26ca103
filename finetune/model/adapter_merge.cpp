// Writing an adapter into the weights of its base, and taking it off again.
#include <cmath>

#include "finetune/model/adapter.h"
#include "finetune/model/adapter_start.h"
#include "kernels/ops/matmul.h"
#include "platform/base/error.h"

namespace finetune {

using kernels::DataType;
using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

namespace {

[[noreturn]] void refuse(const std::string& setting, const std::string& message) {
  throw Error(ErrorCode::kInvalidInput, message, setting);
}

// value[j, i] *= factors[j] or factors[i].
void multiply(Tensor& value, const Tensor& factors, bool by_column, bool inverted) {
  const std::int64_t rows = value.size(0), columns = value.size(1);
  for (std::int64_t j = 0; j < rows; ++j) {
    for (std::int64_t i = 0; i < columns; ++i) {
      const float factor = factors.data<float>()[by_column ? i : j];
      float& element = value.data<float>()[j * columns + i];
      element = inverted ? element / factor : element * factor;
    }
  }
}

// whole += sign (s B A - s B0 A0).
void add_product(kernels::Context& context, const LinearAdapter& adapter, float sign, Tensor& whole) {
  kernels::matmul(context, adapter.b.value, adapter.a.value, whole, {.alpha = sign * adapter.scaling, .beta = 1.0f});
  if (adapter.start_a.count() > 0)
    kernels::matmul(context, adapter.start_b, adapter.start_a, whole, {.alpha = -sign * adapter.scaling, .beta = 1.0f});
}

// What the layer's weight becomes, in float32.
void apply(kernels::Context& context, const LinearAdapter& adapter, Tensor& whole) {
  if (adapter.factors.present()) return multiply(whole, adapter.factors.value, adapter.factors_of_input, false);
  add_product(context, adapter, 1.0f, whole);
  if (!adapter.magnitude.present()) return;
  Tensor factors = row_norms(whole);
  for (std::int64_t j = 0; j < factors.count(); ++j)
    factors.data<float>()[j] = adapter.magnitude.value.data<float>()[j] / factors.data<float>()[j];
  multiply(whole, factors, false, false);
}

void take_off(kernels::Context& context, const LinearAdapter& adapter, Tensor& whole) {
  if (adapter.factors.present()) return multiply(whole, adapter.factors.value, adapter.factors_of_input, true);
  add_product(context, adapter, -1.0f, whole);
}

// Rounds `exact` to the form in which the layer is held.
void store(kernels::Context& context, const Tensor& exact, LinearWeight& weight, MergedWeights& merged) {
  if (weight.packed.is_quantised()) {
    weight.packed = kernels::PackedWeight(kernels::quantise(context, exact, weight.packed.quantised().type));
  } else {
    weight.value.copy_from(exact.cast_to(weight.value.type()));
  }
  merged.changed.insert(weight.name);
  merged.note_error(weight.name, relative_distance(weight.dense(context).cast_to(DataType::kFloat32), exact));
}

// IA3 scales the layer's bias with its output; a bias on B is added to it.
void apply_to_bias(const LinearAdapter& adapter, bool taking_off, LinearWeight& weight, MergedWeights& merged) {
  const bool scales = adapter.factors.present() && !adapter.factors_of_input && weight.bias.present();
  if (!scales && !adapter.b_bias.present()) return;
  if (!weight.bias.present())
    refuse("lora_bias",
           "an adapter with lora_bias cannot be merged: the base has no place for the bias; serve it beside the base");
  Tensor exact = weight.bias.value.cast_to(DataType::kFloat32);
  for (std::int64_t j = 0; j < exact.count(); ++j) {
    float& element = exact.data<float>()[j];
    if (scales) {
      const float factor = adapter.factors.value.data<float>()[j];
      element = taking_off ? element / factor : element * factor;
    } else {
      element += (taking_off ? -adapter.scaling : adapter.scaling) * adapter.b_bias.value.data<float>()[j];
    }
  }
  weight.bias.value.copy_from(exact.cast_to(weight.bias.value.type()));
  merged.changed.insert(weight.bias.name);
}

void untie(const ModelConfig& model, ModelWeights& weights, MergedWeights& merged) {
  if (!weights.tied) return;
  weights.head.name = std::string(model.names.head) + ".weight";
  weights.head.value = weights.embedding.value.clone();
  weights.head.packed = kernels::PackedWeight(weights.head.value.view());
  weights.tied = false;
  merged.untied = true;
  merged.changed.insert(weights.head.name);
}

// s (B A)^T of an embedding, [V, H].
void add_embedding(kernels::Context& context, const EmbeddingAdapter& adapter, float sign, Tensor& table) {
  kernels::matmul(context, adapter.a.value, adapter.b.value, table,
                  {.transpose_a = true, .transpose_b = true, .alpha = sign * adapter.scaling, .beta = 1.0f});
}

void check_can_be_merged(const PeftConfig& config) {
  if (config.type == PeftType::kBottleneck)
    refuse("peft_type",
           "a bottleneck adapter cannot be merged: it is no change of the weights; serve it beside the base");
}

void check_can_be_undone(const PeftConfig& config) {
  check_can_be_merged(config);
  if (config.use_dora)
    refuse("use_dora", "a merged DoRA adapter cannot be taken off: the rows' norms are lost; take the base itself");
  if (!config.modules_to_save.empty() || !config.trainable_token_indices.empty())
    refuse("modules_to_save",
           "what an adapter has replaced as a whole (modules_to_save, trainable_token_indices) cannot "
           "be taken off; take the base itself");
}

template <typename Visit>
void for_each_weight(const LinearAdapters& linears, ModelWeights& weights, Visit&& visit) {
  for (std::size_t layer = 0; layer < linears.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const auto& adapter = linears[layer][index_of(kind)];
      if (adapter) visit(*adapter, weights.layers[layer].linears[index_of(kind)]);
    }
  }
}

void replace(const LinearWeight& copy, LinearWeight* linear, Weight& weight, MergedWeights& merged) {
  weight.value.copy_from(copy.value.cast_to(weight.value.type()));
  merged.changed.insert(weight.name);
  if (linear == nullptr || !copy.bias.present()) return;
  linear->bias.value.copy_from(copy.bias.value.cast_to(linear->bias.value.type()));
  merged.changed.insert(linear->bias.name);
}

void replace_saved(const SavedModules& saved, ModelWeights& weights, MergedWeights& merged) {
  const auto norm = [&](Weight& weight) {
    if (const LinearWeight* copy = saved.find(weight.name)) replace(*copy, nullptr, weight, merged);
  };
  const auto matrix = [&](LinearWeight& weight) {
    if (const LinearWeight* copy = saved.find(weight.name)) replace(*copy, &weight, weight, merged);
  };
  matrix(weights.embedding);
  for (LayerWeights& layer : weights.layers) {
    for (Weight* weight : {&layer.attention_norm, &layer.attention_branch_norm, &layer.feed_forward_norm,
                           &layer.feed_forward_branch_norm, &layer.query_norm, &layer.key_norm})
      norm(*weight);
    for (LinearWeight& linear : layer.linears) matrix(linear);
  }
  norm(weights.final_norm);
  if (!weights.tied) matrix(weights.head);
}

}  // namespace

double relative_distance(const Tensor& stored, const Tensor& exact) {
  double difference = 0, size = 0;
  for (std::int64_t i = 0; i < exact.count(); ++i) {
    const double value = static_cast<double>(exact.data<float>()[i]);
    const double gap = static_cast<double>(stored.data<float>()[i]) - value;
    difference += gap * gap;
    size += value * value;
  }
  return size > 0 ? std::sqrt(difference / size) : 0.0;
}

MergedWeights Adapter::merge_into(kernels::Context& context, ModelWeights& weights) const {
  check_can_be_merged(config_);
  MergedWeights merged;
  for_each_weight(linears_, weights, [&](const LinearAdapter& adapter, LinearWeight& weight) {
    apply_to_bias(adapter, false, weight, merged);
    Tensor exact = weight.dense(context).cast_to(DataType::kFloat32);
    apply(context, adapter, exact);
    store(context, exact, weight, merged);
  });
  merge_tables(context, weights, merged);
  replace_saved(saved_, weights, merged);
  weights.refresh();
  return merged;
}

void Adapter::merge_tables(kernels::Context& context, ModelWeights& weights, MergedWeights& merged) const {
  const auto saves = [&](std::string_view module) { return saved_.find(std::string(module) + ".weight") != nullptr; };
  const bool parts =
      embedding_.a.present() || head_.a.present() || saves(model_.names.embedding) || saves(model_.names.head);
  if (parts) untie(model_, weights, merged);
  Tensor exact = weights.embedding.value.cast_to(DataType::kFloat32);
  if (embedding_.a.present()) add_embedding(context, embedding_, 1.0f, exact);
  for (std::size_t k = 0; k < embedding_.tokens.size(); ++k) {
    const auto row = static_cast<std::int64_t>(k);
    exact.slice_rows(embedding_.tokens[k], embedding_.tokens[k] + 1)
        .copy_from(embedding_.rows.value.slice_rows(row, row + 1));
  }
  if (embedding_.a.present() || embedding_.rows.present()) store(context, exact, weights.embedding, merged);
  if (!head_.a.present()) return;
  exact = weights.head.value.cast_to(DataType::kFloat32);
  apply(context, head_, exact);
  store(context, exact, weights.head, merged);
}

MergedWeights Adapter::unmerge_from(kernels::Context& context, ModelWeights& weights) const {
  check_can_be_undone(config_);
  MergedWeights merged;
  for_each_weight(linears_, weights, [&](const LinearAdapter& adapter, LinearWeight& weight) {
    for (const float factor : adapter.factors.value.values<float>()) {
      if (factor == 0.0f)
        refuse("peft_type", "the factors of " + weight.name + " hold a zero, which cannot be taken off; take the base");
    }
    apply_to_bias(adapter, true, weight, merged);
    Tensor exact = weight.dense(context).cast_to(DataType::kFloat32);
    take_off(context, adapter, exact);
    store(context, exact, weight, merged);
  });
  if (embedding_.a.present()) {
    Tensor exact = weights.embedding.value.cast_to(DataType::kFloat32);
    add_embedding(context, embedding_, -1.0f, exact);
    store(context, exact, weights.embedding, merged);
  }
  if (head_.a.present()) {
    Tensor exact = weights.head.value.cast_to(DataType::kFloat32);
    take_off(context, head_, exact);
    store(context, exact, weights.head, merged);
  }
  weights.refresh();
  return merged;
}

}  // namespace finetune
