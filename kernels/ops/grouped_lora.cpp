#include "kernels/ops/grouped_lora.h"

#include <algorithm>

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"

namespace kernels {
namespace {

DataType matrix_type(const Tensor& matrix, DataType type) {
  return matrix.type() == DataType::kFloat32 ? DataType::kFloat32 : type;
}

void check_stack(const char* operation, const AdapterRows& rows, const AdapterStack& stack, std::int64_t ranks) {
  const auto adapters = static_cast<std::size_t>(rows.adapters());
  const std::span<const std::int64_t> first = stack.first_rank;
  if (first.size() != adapters + 1 || stack.options.size() != adapters) {
    throw_invalid(operation, "the rows name " + std::to_string(adapters) + " adapters, the stack has " +
                                 std::to_string(first.size()) + " borders of ranks and " +
                                 std::to_string(stack.options.size()) + " options");
  }
  if (first.front() != 0 || !std::is_sorted(first.begin(), first.end()) || first.back() != ranks)
    throw_invalid(operation, "the borders of ranks do not go up from 0 to " + std::to_string(ranks));
  for (const LoraOptions& options : stack.options) {
    if (!(options.dropout >= 0.0f && options.dropout < 1.0f))
      throw_invalid(operation, "dropout " + std::to_string(options.dropout) + " is not in [0, 1)");
  }
}

// Returns the type of the activations.
DataType check_branches(const char* operation, Context& context, const AdapterRows& rows, const Tensor& x,
                        const Tensor& a, const Tensor& b, const Tensor& p, const AdapterStack& stack) {
  check_devices(operation, context, {{"x", &x}, {"a", &a}, {"b", &b}, {"p", &p}, {"rows", &rows.order()}});
  check_rank(operation, "x", x, 2);
  check_rank(operation, "a", a, 2);
  check_rank(operation, "b", b, 2);
  check_rank(operation, "p", p, 2);
  check_stack(operation, rows, stack, a.size(0));
  const DataType type = activation_type(operation, context, "x", x);
  check_shape(operation, "x", x, {rows.rows(), a.size(1)}, type);
  check_shape(operation, "a", a, {a.size(0), a.size(1)}, matrix_type(a, type));
  check_shape(operation, "b", b, {a.size(0), b.size(1)}, matrix_type(b, type));
  std::int64_t most = p.size(1);
  for (std::size_t g = 0; g < stack.options.size(); ++g)
    most = std::max(most, stack.first_rank[g + 1] - stack.first_rank[g]);
  check_shape(operation, "p", p, {rows.rows(), most}, type);
  return type;
}

}  // namespace

AdapterRows::AdapterRows(const Context& context, std::span<const std::int32_t> adapters, std::int64_t count)
    : rows_(static_cast<std::int64_t>(adapters.size())), borders_(static_cast<std::size_t>(count) + 1) {
  for (const std::int32_t adapter : adapters) {
    if (adapter == kNoAdapter) continue;
    if (adapter < 0 || adapter >= count)
      throw_invalid("adapter_rows", "adapter " + std::to_string(adapter) + " is not one of " + std::to_string(count));
    ++borders_[static_cast<std::size_t>(adapter) + 1];
  }
  for (std::size_t g = 1; g < borders_.size(); ++g) borders_[g] += borders_[g - 1];
  sorted_.resize(static_cast<std::size_t>(borders_.back()));
  std::vector<std::int64_t> next(borders_.begin(), borders_.end() - 1);
  for (std::size_t n = 0; n < adapters.size(); ++n) {
    if (adapters[n] == kNoAdapter) continue;
    const auto place = static_cast<std::size_t>(next[static_cast<std::size_t>(adapters[n])]++);
    sorted_[place] = static_cast<std::int32_t>(n);
  }
  order_ = Tensor::from(sorted_).to(context);
}

std::span<const std::int32_t> AdapterRows::rows_of(std::int64_t adapter) const {
  const auto g = static_cast<std::size_t>(adapter);
  const auto begin = static_cast<std::size_t>(borders_[g]), end = static_cast<std::size_t>(borders_[g + 1]);
  return std::span(sorted_).subspan(begin, end - begin);
}

void grouped_lora_forward(Context& context, const AdapterRows& rows, const Tensor& x, const Tensor& a, const Tensor& b,
                          const AdapterStack& stack, Tensor& p, Tensor& y) {
  check_devices("grouped_lora_forward", context, {{"y", &y}});
  const DataType type = check_branches("grouped_lora_forward", context, rows, x, a, b, p, stack);
  check_shape("grouped_lora_forward", "y", y, {rows.rows(), b.size(1)}, type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::grouped_lora_forward(context, rows, x, a, b, stack, p, y);
  }
  cpu::grouped_lora_forward(context, rows, x, a, b, stack, p, y);
}

void grouped_lora_backward(Context& context, const AdapterRows& rows, const Tensor& dy, const Tensor& x,
                           const Tensor& p, const Tensor& a, const Tensor& b, const AdapterStack& stack, Tensor& da,
                           Tensor& db, Tensor* dx) {
  check_devices("grouped_lora_backward", context, {{"dy", &dy}, {"da", &da}, {"db", &db}, {"dx", dx}});
  const DataType type = check_branches("grouped_lora_backward", context, rows, x, a, b, p, stack);
  check_shape("grouped_lora_backward", "dy", dy, {rows.rows(), b.size(1)}, type);
  check_shape("grouped_lora_backward", "da", da, {a.size(0), a.size(1)});
  check_shape("grouped_lora_backward", "db", db, {b.size(0), b.size(1)});
  if (dx != nullptr) check_shape("grouped_lora_backward", "dx", *dx, {rows.rows(), x.size(1)}, type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::grouped_lora_backward(context, rows, dy, x, p, a, b, stack, da, db, dx);
  }
  cpu::grouped_lora_backward(context, rows, dy, x, p, a, b, stack, da, db, dx);
}

}  // namespace kernels
