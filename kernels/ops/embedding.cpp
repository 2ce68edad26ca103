#include "kernels/ops/embedding.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"

namespace kernels {
namespace {

// The values of tensors on a device are checked there.
void check_ids(const char* operation, const Tensor& ids, std::int64_t rows) {
  check_rank(operation, "ids", ids, 1);
  check_shape(operation, "ids", ids, {ids.size(0)}, DataType::kInt32);
  if (ids.device().type != DeviceType::kCpu) return;
  for (const std::int32_t id : ids.values<std::int32_t>()) {
    if (id >= rows)
      throw_invalid(operation, "id " + std::to_string(id) + " is not in a table of " + std::to_string(rows));
  }
}

void check_bags(const char* operation, const Tensor& table, const Tensor& ids, const Tensor& offsets,
                const Tensor& weights) {
  check_rank(operation, "table", table, 2);
  check_shape(operation, "table", table, {table.size(0), table.size(1)});
  check_ids(operation, ids, table.size(0));
  check_rank(operation, "offsets", offsets, 1);
  check_shape(operation, "offsets", offsets, {offsets.size(0)}, DataType::kInt32);
  if (offsets.count() == 0) throw_invalid(operation, "the offsets must go from 0 to " + std::to_string(ids.size(0)));
  check_shape(operation, "weights", weights, {ids.size(0)});
  if (ids.device().type != DeviceType::kCpu) return;
  for (const std::int32_t id : ids.values<std::int32_t>()) {
    if (id < 0) throw_invalid(operation, "id " + std::to_string(id) + " is negative");
  }
  std::int32_t before = 0;
  for (const std::int32_t offset : offsets.values<std::int32_t>()) {
    if (offset < before) throw_invalid(operation, "offset " + std::to_string(offset) + " is before the one it follows");
    before = offset;
  }
  const bool whole = offsets.size(0) > 0 && offsets.data<std::int32_t>()[0] == 0 && before == ids.size(0);
  if (!whole) throw_invalid(operation, "the offsets must go from 0 to " + std::to_string(ids.size(0)));
}

}  // namespace

void embedding_forward(Context& context, const Tensor& table, const Tensor& ids, Tensor& y) {
  check_devices("embedding_forward", context, {{"table", &table}, {"ids", &ids}, {"y", &y}});
  check_rank("embedding_forward", "table", table, 2);
  check_floating("embedding_forward", "table", table);
  check_ids("embedding_forward", ids, table.size(0));
  check_shape("embedding_forward", "y", y, {ids.size(0), table.size(1)},
              activation_type("embedding_forward", context, "y", y));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::embedding_forward(context, table, ids, y);
  }
  cpu::embedding_forward(context, table, ids, y);
}

void embedding_backward(Context& context, const Tensor& ids, const Tensor& dy, Tensor& dtable) {
  check_devices("embedding_backward", context, {{"ids", &ids}, {"dy", &dy}, {"dtable", &dtable}});
  check_rank("embedding_backward", "dtable", dtable, 2);
  check_shape("embedding_backward", "dtable", dtable, {dtable.size(0), dtable.size(1)});
  check_ids("embedding_backward", ids, dtable.size(0));
  check_shape("embedding_backward", "dy", dy, {ids.size(0), dtable.size(1)},
              activation_type("embedding_backward", context, "dy", dy));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::embedding_backward(context, ids, dy, dtable);
  }
  cpu::embedding_backward(context, ids, dy, dtable);
}

void embedding_bag_forward(Context& context, const Tensor& table, const Tensor& ids, const Tensor& offsets,
                           const Tensor& weights, Tensor& y) {
  check_devices("embedding_bag_forward", context,
                {{"table", &table}, {"ids", &ids}, {"offsets", &offsets}, {"weights", &weights}, {"y", &y}});
  check_bags("embedding_bag_forward", table, ids, offsets, weights);
  check_shape("embedding_bag_forward", "y", y, {offsets.size(0) - 1, table.size(1)},
              activation_type("embedding_bag_forward", context, "y", y));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::embedding_bag_forward(context, table, ids, offsets, weights, y);
  }
  cpu::embedding_bag_forward(context, table, ids, offsets, weights, y);
}

void embedding_bag_backward(Context& context, const Tensor& ids, const Tensor& offsets, const Tensor& weights,
                            const Tensor& dy, Tensor& dtable) {
  check_devices("embedding_bag_backward", context,
                {{"ids", &ids}, {"offsets", &offsets}, {"weights", &weights}, {"dy", &dy}, {"dtable", &dtable}});
  check_bags("embedding_bag_backward", dtable, ids, offsets, weights);
  check_shape("embedding_bag_backward", "dy", dy, {offsets.size(0) - 1, dtable.size(1)},
              activation_type("embedding_bag_backward", context, "dy", dy));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::embedding_bag_backward(context, ids, offsets, weights, dy, dtable);
  }
  cpu::embedding_bag_backward(context, ids, offsets, weights, dy, dtable);
}

}  // namespace kernels
