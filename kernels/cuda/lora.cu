#include <array>

#include "kernels/core/context.h"
#include "kernels/cuda/low_rank.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

AdapterSegment whole_batch(const Tensor& x, const Tensor& a, const LoraOptions& options) {
  return {0, x.size(0), 0, a.size(0), options};
}

}  // namespace

void lora_forward(Context& context, const Tensor& x, const Tensor& a, const Tensor& b, const LoraOptions& options,
                  Tensor& p, Tensor& y) {
  const std::array segments{whole_batch(x, a, options)};
  product_to_low_rank(context, "lora_forward (p)", {segments}, x, a, LowRankMatrix::kA, p);
  add_product_from_low_rank(context, "lora_forward (y)", {segments}, p, b, LowRankMatrix::kB, y);
}

void lora_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& p, const Tensor& a,
                   const Tensor& b, const LoraOptions& options, Tensor& da, Tensor& db, Tensor* dx) {
  const std::array segments{whole_batch(x, a, options)};
  ScratchFrame frame(context);
  Tensor q = Tensor::wrap(frame.bytes(p.size_bytes()), p.shape(), p.type(), context);
  product_to_low_rank(context, "lora_backward (q)", {segments}, dy, b, LowRankMatrix::kB, q);
  add_low_rank_gradient(context, "lora_backward (db)", {segments}, dy, p, LowRankMatrix::kB, db);
  add_low_rank_gradient(context, "lora_backward (da)", {segments}, x, q, LowRankMatrix::kA, da);
  if (dx == nullptr) return;
  add_product_from_low_rank(context, "lora_backward (dx)", {segments}, q, a, LowRankMatrix::kA, *dx);
}

}  // namespace kernels::cuda
