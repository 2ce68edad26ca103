#include "finetune/adapter/head.h"

#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"

namespace finetune {

using kernels::Context;
using kernels::Tensor;

Head::Head(std::int64_t outputs, std::int64_t hidden_size, kernels::Random& random) {
  weight_.name = "head.weight";
  weight_.value = Tensor({outputs, 2 * hidden_size});
  for (float& value : weight_.value.values<float>()) value = static_cast<float>(random.normal()) * 0.01f;
  bias_.name = "head.bias";
  bias_.value = Tensor::zeros({outputs});
}

void Head::make_trainable() {
  for (Weight* weight : weights()) weight->gradient = Tensor::zeros(weight->value.shape());
}

void Head::start_at_zero() {
  for (Weight* weight : weights()) weight->value.fill_zero();
}

Tensor& Head::forward(Context& context, const PackedBatch& batch, const Tensor& hidden) {
  const std::int64_t width = hidden.size(1);
  features_.resize({batch.document_count(), 2 * width});
  features_.fill_zero();
  const std::int32_t* borders = batch.cu_seqlens.data<std::int32_t>();
  const float* from = hidden.data<float>();
  float* to = features_.data<float>();
  for (std::int64_t document = 0; document < batch.document_count(); ++document) {
    const std::int64_t begin = borders[document], end = borders[document + 1];
    float* row = to + document * 2 * width;
    for (std::int64_t c = 0; c < width; ++c) row[c] = from[(end - 1) * width + c];
    const float share = 1.0f / static_cast<float>(end - begin);
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t c = 0; c < width; ++c) row[width + c] += share * from[n * width + c];
    }
  }
  output_.resize({batch.document_count(), weight_.value.size(0)});
  kernels::matmul(context, features_, weight_.value, output_, {.transpose_b = true});
  kernels::add_bias(context, bias_.value, output_);
  return output_;
}

void Head::backward(Context& context, const PackedBatch& batch, const Tensor& doutput, Tensor& dhidden) {
  kernels::matmul(context, doutput, features_, weight_.gradient, {.transpose_a = true, .beta = 1.0f});
  kernels::sum_rows(context, doutput, bias_.gradient);
  Tensor dfeatures(features_.shape());
  kernels::matmul(context, doutput, weight_.value, dfeatures);
  const std::int64_t width = dhidden.size(1);
  const std::int32_t* borders = batch.cu_seqlens.data<std::int32_t>();
  const float* from = dfeatures.data<float>();
  float* to = dhidden.data<float>();
  for (std::int64_t document = 0; document < batch.document_count(); ++document) {
    const std::int64_t begin = borders[document], end = borders[document + 1];
    const float* row = from + document * 2 * width;
    const float share = 1.0f / static_cast<float>(end - begin);
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t c = 0; c < width; ++c)
        to[n * width + c] = share * row[width + c] + (n == end - 1 ? row[c] : 0.0f);
    }
  }
}

}  // namespace finetune
