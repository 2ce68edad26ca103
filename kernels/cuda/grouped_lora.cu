#include <vector>

#include "kernels/core/context.h"
#include "kernels/cuda/low_rank.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

std::vector<AdapterSegment> segments_of(const AdapterRows& rows, const AdapterStack& stack) {
  std::vector<AdapterSegment> list;
  for (std::size_t g = 0; g < stack.options.size(); ++g) {
    const std::int64_t begin = rows.borders()[g], end = rows.borders()[g + 1];
    list.push_back(
        {begin, end - begin, stack.first_rank[g], stack.first_rank[g + 1] - stack.first_rank[g], stack.options[g]});
  }
  return list;
}

}  // namespace

void grouped_lora_forward(Context& context, const AdapterRows& rows, const Tensor& x, const Tensor& a, const Tensor& b,
                          const AdapterStack& stack, Tensor& p, Tensor& y) {
  const std::vector<AdapterSegment> list = segments_of(rows, stack);
  const AdapterSegments segments{list, &rows.order()};
  product_to_low_rank(context, "grouped_lora_forward (p)", segments, x, a, LowRankMatrix::kA, p);
  add_product_from_low_rank(context, "grouped_lora_forward (y)", segments, p, b, LowRankMatrix::kB, y);
}

void grouped_lora_backward(Context& context, const AdapterRows& rows, const Tensor& dy, const Tensor& x,
                           const Tensor& p, const Tensor& a, const Tensor& b, const AdapterStack& stack, Tensor& da,
                           Tensor& db, Tensor* dx) {
  const std::vector<AdapterSegment> list = segments_of(rows, stack);
  const AdapterSegments segments{list, &rows.order()};
  ScratchFrame frame(context);
  Tensor q = Tensor::wrap(frame.bytes(p.size_bytes()), p.shape(), p.type(), context);
  product_to_low_rank(context, "grouped_lora_backward (q)", segments, dy, b, LowRankMatrix::kB, q);
  add_low_rank_gradient(context, "grouped_lora_backward (db)", segments, dy, p, LowRankMatrix::kB, db);
  add_low_rank_gradient(context, "grouped_lora_backward (da)", segments, x, q, LowRankMatrix::kA, da);
  if (dx == nullptr) return;
  add_product_from_low_rank(context, "grouped_lora_backward (dx)", segments, q, a, LowRankMatrix::kA, *dx);
}

}  // namespace kernels::cuda
