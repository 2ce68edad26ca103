#include "finetune/adapter/sensor_encoder.h"

#include <cmath>

#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;

constexpr std::int64_t kInnerWidth = 64;

Tensor normal(kernels::Shape shape, double deviation, kernels::Random& random) {
  Tensor tensor(std::move(shape));
  for (float& value : tensor.values<float>()) value = static_cast<float>(random.normal() * deviation);
  return tensor;
}

}  // namespace

SensorEncoder::SensorEncoder(const SensorSchema& schema, std::int64_t hidden_size, float scale, kernels::Random& random)
    : hidden_(hidden_size) {
  const auto deviation = static_cast<double>(scale);
  for (std::size_t i = 0; i < schema.fields.size(); ++i) {
    const SensorField& from = schema.fields[i];
    Field field;
    const std::string prefix = "sensor." + std::to_string(i) + ".";
    field.features = feature_count(schema, from);
    field.dense = field.features > 0;
    const auto rows = static_cast<std::int64_t>(from.values.size()) + 2;
    field.rows.name = prefix + "rows";
    field.rows.value = normal({rows, hidden_}, deviation, random);
    if (field.dense) {
      field.first.name = prefix + "first";
      field.first.value =
          normal({kInnerWidth, field.features}, 1.0 / std::sqrt(static_cast<double>(field.features)), random);
      field.first_bias.name = prefix + "first_bias";
      field.first_bias.value = normal({kInnerWidth}, 0.5, random);
    }
    fields_.push_back(std::move(field));
  }
  second_.name = "sensor.second";
  second_.value = normal({hidden_, kInnerWidth}, 2.0 * deviation / std::sqrt(static_cast<double>(kInnerWidth)), random);
}

std::vector<Weight*> SensorEncoder::weights() {
  std::vector<Weight*> all{&second_};
  for (Field& field : fields_) {
    all.push_back(&field.rows);
    if (!field.dense) continue;
    all.push_back(&field.first);
    all.push_back(&field.first_bias);
  }
  return all;
}

void SensorEncoder::make_trainable() {
  for (Weight* weight : weights()) weight->gradient = Tensor::zeros(weight->value.shape());
}

// Dense slots are grouped by field; every slot also reads one row of its field's table.
void SensorEncoder::sort_slots(std::span<const SlotValue* const> slots) {
  dense_rows_of_.assign(fields_.size(), {});
  table_rows_of_.assign(fields_.size(), {});
  table_ids_of_.assign(fields_.size(), {});
  std::vector<std::vector<float>> inputs(fields_.size());
  for (std::size_t row = 0; row < slots.size(); ++row) {
    const SlotValue& slot = *slots[row];
    const auto index = static_cast<std::size_t>(slot.field);
    const auto last = static_cast<std::int32_t>(fields_[index].rows.value.size(0)) - 1;
    table_rows_of_[index].push_back(static_cast<std::int32_t>(row));
    table_ids_of_[index].push_back(slot.missing ? last : slot.row);
    if (!fields_[index].dense || slot.missing) continue;
    dense_rows_of_[index].push_back(static_cast<std::int32_t>(row));
    inputs[index].insert(inputs[index].end(), slot.features.begin(), slot.features.end());
  }
  std::vector<std::int32_t> order;
  for (std::size_t index = 0; index < fields_.size(); ++index) {
    Field& field = fields_[index];
    field.begin = static_cast<std::int64_t>(order.size());
    field.count = static_cast<std::int64_t>(dense_rows_of_[index].size());
    if (field.count > 0) field.input = Tensor::from(inputs[index], {field.count, field.features});
    order.insert(order.end(), dense_rows_of_[index].begin(), dense_rows_of_[index].end());
  }
  dense_rows_ = Tensor::from(order);
}

const Tensor& SensorEncoder::forward(Context& context, std::span<const SlotValue* const> slots) {
  sort_slots(slots);
  const std::int64_t dense = dense_rows_.count();
  inner_.resize({dense, kInnerWidth});
  dense_output_.resize({dense, hidden_});
  output_.resize({static_cast<std::int64_t>(slots.size()), hidden_});
  output_.fill_zero();
  Tensor rows;
  for (std::size_t index = 0; index < fields_.size(); ++index) {
    Field& field = fields_[index];
    if (field.count > 0) {
      field.before.resize({field.count, kInnerWidth});
      kernels::matmul(context, field.input, field.first.value, field.before, {.transpose_b = true});
      kernels::add_bias(context, field.first_bias.value, field.before);
      Tensor inner = inner_.slice_rows(field.begin, field.begin + field.count);
      kernels::activation_forward(context, kernels::Activation::kSilu, field.before, inner);
    }
    if (table_rows_of_[index].empty()) continue;
    rows.resize({static_cast<std::int64_t>(table_rows_of_[index].size()), hidden_});
    kernels::embedding_forward(context, field.rows.value, Tensor::from(table_ids_of_[index]), rows);
    kernels::scatter_add_rows(context, rows, Tensor::from(table_rows_of_[index]), output_);
  }
  if (dense > 0) {
    kernels::matmul(context, inner_, second_.value, dense_output_, {.transpose_b = true});
    kernels::scatter_add_rows(context, dense_output_, dense_rows_, output_);
  }
  return output_;
}

void SensorEncoder::backward(Context& context, const Tensor& dy) {
  const std::int64_t dense = dense_rows_.count();
  Tensor dinner({dense, kInnerWidth});
  if (dense > 0) {
    kernels::gather_rows(context, dy, dense_rows_, dense_output_);
    kernels::matmul(context, dense_output_, inner_, second_.gradient, {.transpose_a = true, .beta = 1.0f});
    kernels::matmul(context, dense_output_, second_.value, dinner);
  }
  Tensor rows;
  for (std::size_t index = 0; index < fields_.size(); ++index) {
    Field& field = fields_[index];
    if (field.count > 0) {
      Tensor dbefore = dinner.slice_rows(field.begin, field.begin + field.count);
      kernels::activation_backward(context, kernels::Activation::kSilu, dbefore, field.before, dbefore);
      kernels::matmul(context, dbefore, field.input, field.first.gradient, {.transpose_a = true, .beta = 1.0f});
      kernels::sum_rows(context, dbefore, field.first_bias.gradient);
    }
    if (table_rows_of_[index].empty()) continue;
    rows.resize({static_cast<std::int64_t>(table_rows_of_[index].size()), hidden_});
    kernels::gather_rows(context, dy, Tensor::from(table_rows_of_[index]), rows);
    kernels::embedding_backward(context, Tensor::from(table_ids_of_[index]), rows, field.rows.gradient);
  }
}

}  // namespace finetune
