#include "finetune/model/feed_forward_block.h"

#include "kernels/ops/swiglu.h"

namespace finetune {

using kernels::Context;
using kernels::Tensor;

void FeedForwardBlock::forward(Context& context, std::size_t layer, const Tensor& x, FeedForwardActivations& saved,
                               LinearActivations& linears, Tensor& y, float beta) {
  for (Tensor* tensor : {&saved.gate, &saved.up, &saved.gated}) tensor->resize({x.size(0), config_.intermediate_size});
  linears_.forward(context, layer, LinearKind::kGate, x, linears, saved.gate);
  linears_.forward(context, layer, LinearKind::kUp, x, linears, saved.up);
  kernels::swiglu_forward(context, saved.gate, saved.up, saved.gated, config_.activation);
  linears_.forward(context, layer, LinearKind::kDown, saved.gated, linears, y, beta);
}

void FeedForwardBlock::backward(Context& context, std::size_t layer, const Tensor& dy, const Tensor& x,
                                FeedForwardActivations& saved, LinearActivations& linears, Tensor& dx) {
  dgated_.resize(saved.gated.shape());
  dup_.resize(saved.up.shape());
  linears_.backward(context, layer, LinearKind::kDown, dy, saved.gated, linears, dgated_);
  kernels::swiglu_backward(context, dgated_, saved.gate, saved.up, saved.gate, dup_, config_.activation);
  linears_.backward(context, layer, LinearKind::kGate, saved.gate, x, linears, dx);
  linears_.backward(context, layer, LinearKind::kUp, dup_, x, linears, dx, 1.0f);
}

}  // namespace finetune
