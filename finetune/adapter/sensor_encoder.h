// SensorEncoder: slot values -> embeddings that stand beside those of tokens. A number or a patch of samples goes
// through a linear layer of its field, SiLU, and one linear layer shared by all fields, plus the field's own vector; a
// category, and a missing value, is a learned row. Gradients accumulate. Belongs to one thread. Letters: S slots, H
// hidden, E inner width.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "finetune/adapter/sensor_schema.h"
#include "finetune/model/weights.h"
#include "kernels/core/context.h"

namespace finetune {

class SensorEncoder {
 public:
  /// Random start; `scale` is the usual size of a token embedding's element.
  SensorEncoder(const SensorSchema& schema, std::int64_t hidden_size, float scale, kernels::Random& random);

  /// [S, H], valid until the next call.
  const kernels::Tensor& forward(kernels::Context& context, std::span<const SlotValue* const> slots);
  /// After forward with the same slots. dy: [S, H].
  void backward(kernels::Context& context, const kernels::Tensor& dy);

  /// Every weight, in a fixed order; names begin with "sensor.".
  std::vector<Weight*> weights();
  void make_trainable();

 private:
  struct Field {
    Weight first, first_bias;  // [E, F], [E]
    Weight rows;  // [values + 2, H]: categories, unseen, missing (numbers and signals: own vector, missing)
    bool dense = false;
    std::int64_t features = 0;
    std::int64_t begin = 0, count = 0;  // its part of `dense_rows_`
    kernels::Tensor input, before, drow;
  };

  void sort_slots(std::span<const SlotValue* const> slots);

  std::int64_t hidden_;
  std::vector<Field> fields_;
  Weight second_;  // [H, E]
  std::vector<std::vector<std::int32_t>> dense_rows_of_, table_rows_of_, table_ids_of_;
  kernels::Tensor dense_rows_{kernels::Shape{0}, kernels::DataType::kInt32};
  kernels::Tensor inner_, dense_output_, output_;
};

}  // namespace finetune
