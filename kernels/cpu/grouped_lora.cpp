// The rows of each adapter are gathered and go through the branch of lora.cpp.
#include <algorithm>

#include "kernels/cpu/operations.h"

namespace kernels::cpu {
namespace {

// One adapter of the stack as lora.h has it.
struct Branch {
  std::span<const std::int32_t> rows;
  std::int64_t first_rank, rank;
  const LoraOptions& options;

  Tensor gathered(ScratchFrame& frame, const Tensor& from, std::int64_t columns) const {
    const auto count = static_cast<std::int64_t>(rows.size()), stride = from.size(1);
    float* place = frame.floats(count * columns);
    for (std::int64_t i = 0; i < count; ++i)
      std::copy_n(from.data<float>() + rows[static_cast<std::size_t>(i)] * stride, columns, place + i * columns);
    return Tensor::wrap(place, {count, columns});
  }
  void scatter(const Tensor& values, Tensor& to) const {
    const std::int64_t columns = values.size(1), stride = to.size(1);
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::copy_n(values.data<float>() + static_cast<std::int64_t>(i) * columns, columns,
                  to.data<float>() + rows[i] * stride);
  }
  // Its matrix in a stack of rows of this many elements, as [first, second].
  Tensor matrix(const Tensor& stack, std::int64_t first, std::int64_t second) const {
    return stack.slice_rows(first_rank, first_rank + rank).view({first, second});
  }
  Tensor matrix(Tensor& stack, std::int64_t first, std::int64_t second) const {
    return stack.slice_rows(first_rank, first_rank + rank).view({first, second});
  }
};

template <typename Body>
void for_each_branch(const AdapterRows& rows, const AdapterStack& stack, const Body& body) {
  for (std::int64_t g = 0; g < rows.adapters(); ++g) {
    const auto at = static_cast<std::size_t>(g);
    const Branch branch{rows.rows_of(g), stack.first_rank[at], stack.first_rank[at + 1] - stack.first_rank[at],
                        stack.options[at]};
    if (branch.rank > 0 && !branch.rows.empty()) body(branch);
  }
}

}  // namespace

void grouped_lora_forward(Context& context, const AdapterRows& rows, const Tensor& x, const Tensor& a, const Tensor& b,
                          const AdapterStack& stack, Tensor& p, Tensor& y) {
  const std::int64_t in = x.size(1), out = y.size(1);
  for_each_branch(rows, stack, [&](const Branch& branch) {
    ScratchFrame frame(context);
    const Tensor inputs = branch.gathered(frame, x, in);
    Tensor sums = branch.gathered(frame, y, out);
    Tensor low = Tensor::wrap(frame.floats(inputs.size(0) * branch.rank), {inputs.size(0), branch.rank});
    cpu::lora_forward(context, inputs, branch.matrix(a, branch.rank, in), branch.matrix(b, out, branch.rank),
                      branch.options, low, sums);
    branch.scatter(low, p);
    branch.scatter(sums, y);
  });
}

void grouped_lora_backward(Context& context, const AdapterRows& rows, const Tensor& dy, const Tensor& x,
                           const Tensor& p, const Tensor& a, const Tensor& b, const AdapterStack& stack, Tensor& da,
                           Tensor& db, Tensor* dx) {
  const std::int64_t in = x.size(1), out = dy.size(1);
  for_each_branch(rows, stack, [&](const Branch& branch) {
    ScratchFrame frame(context);
    const Tensor inputs = branch.gathered(frame, x, in), gradients = branch.gathered(frame, dy, out);
    const Tensor low = branch.gathered(frame, p, branch.rank);
    Tensor sums = dx == nullptr ? Tensor() : branch.gathered(frame, *dx, in);
    Tensor a_gradient = branch.matrix(da, branch.rank, in), b_gradient = branch.matrix(db, out, branch.rank);
    cpu::lora_backward(context, gradients, inputs, low, branch.matrix(a, branch.rank, in),
                       branch.matrix(b, out, branch.rank), branch.options, a_gradient, b_gradient,
                       dx == nullptr ? nullptr : &sums);
    if (dx != nullptr) branch.scatter(sums, *dx);
  });
}

}  // namespace kernels::cpu
