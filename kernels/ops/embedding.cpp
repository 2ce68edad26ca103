#include "kernels/ops/embedding.h"

#include "kernels/core/error.h"
#include "kernels/cpu/operations.h"

namespace kernels {
namespace {

void check_ids(const char* operation, const Tensor& ids, std::int64_t rows) {
  check_rank(operation, "ids", ids, 1);
  check_shape(operation, "ids", ids, {ids.size(0)}, DataType::kInt32);
  for (const std::int32_t id : ids.values<std::int32_t>()) {
    if (id >= rows)
      throw_invalid(operation, "id " + std::to_string(id) + " is not in a table of " + std::to_string(rows));
  }
}

}  // namespace

void embedding_forward(Context& context, const Tensor& table, const Tensor& ids, Tensor& y) {
  check_on_cpu("embedding_forward", context);
  check_rank("embedding_forward", "table", table, 2);
  check_floating("embedding_forward", "table", table);
  check_ids("embedding_forward", ids, table.size(0));
  check_shape("embedding_forward", "y", y, {ids.size(0), table.size(1)});
  cpu::embedding_forward(context, table, ids, y);
}

void embedding_backward(Context& context, const Tensor& ids, const Tensor& dy, Tensor& dtable) {
  check_on_cpu("embedding_backward", context);
  check_rank("embedding_backward", "dtable", dtable, 2);
  check_shape("embedding_backward", "dtable", dtable, {dtable.size(0), dtable.size(1)});
  check_ids("embedding_backward", ids, dtable.size(0));
  check_shape("embedding_backward", "dy", dy, {ids.size(0), dtable.size(1)});
  cpu::embedding_backward(context, ids, dy, dtable);
}

}  // namespace kernels
