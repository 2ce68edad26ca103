// distillation_rows(): loss and gradient of rows of logits beside a teacher (linear_distillation). A block a row.
#pragma once

#include "kernels/core/context.h"
#include "kernels/cuda/cross_entropy_logits.h"
#include "kernels/cuda/view.h"
#include "kernels/ops/cross_entropy.h"

namespace kernels::cuda {

/// A teacher on the device.
struct TeacherView {
  GlobalView<const std::int64_t> borders;
  GlobalView<const std::int32_t> tokens;
  GlobalView<const float> log_probabilities;
  GlobalView<float> logits;  // [entries]: room for the model's own
};

struct DistillationRows {
  std::int64_t rows = 0, classes = 0;
  GlobalView<const std::int32_t> targets;  // [rows], none ignored
  GlobalView<const std::int32_t> places;   // [rows]: the row of the teacher
  GlobalView<const float> weights;         // [rows]
  TeacherView teacher;
  double ratio = 0.0, temperature = 1.0;
  float scale = 1.0f;
  LogitMap map;
  GlobalView<float> losses;  // [rows]: weight times loss
  bool wants_gradient = false;
};

/// logits: [rows, classes], changed: into the gradient where it is wanted.
void distillation_rows(Context& context, const DistillationRows& rows, Tensor& logits);

}  // namespace kernels::cuda
