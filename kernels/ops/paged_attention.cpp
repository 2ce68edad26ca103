#include "kernels/ops/paged_attention.h"

#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"
#include "kernels/ops/attention_checks.h"

namespace kernels {
namespace {

constexpr const char* kOperation = "paged_attention_decode";

void check_complete(const PagedCache& cache) {
  if (cache.keys == nullptr || cache.values == nullptr) throw_invalid(kOperation, "the cache has no pages");
  if (cache.block_table == nullptr || cache.lengths == nullptr)
    throw_invalid(kOperation, "the cache has no block_table or no lengths");
}

void check_shapes(const Context& context, const Tensor& q, const PagedCache& cache, const Tensor& o) {
  const DataType type = activation_type(kOperation, context, "q", q);
  check_rank(kOperation, "q", q, 3);
  check_rank(kOperation, "keys", *cache.keys, 4);
  check_rank(kOperation, "block_table", *cache.block_table, 2);
  const Shape& pool = cache.keys->shape();
  check_shape(kOperation, "keys", *cache.keys, {pool[0], pool[1], pool[2], q.size(2)}, type);
  check_shape(kOperation, "values", *cache.values, {pool[0], pool[1], pool[2], q.size(2)}, type);
  check_shape(kOperation, "block_table", *cache.block_table, {q.size(0), cache.block_table->size(1)}, DataType::kInt32);
  check_shape(kOperation, "lengths", *cache.lengths, {q.size(0)}, DataType::kInt32);
  check_shape(kOperation, "o", o, {q.size(0), q.size(1), q.size(2)}, type);
  const bool tokens_first = cache.layout == PageLayout::kTokensFirst;
  check_heads(kOperation, q, pool[tokens_first ? 2 : 1]);
  if (pool[tokens_first ? 1 : 2] == 0)
    throw_invalid(kOperation, "keys " + shape_to_string(pool) + " has pages of no tokens");
  check_device_limits(kOperation, context, q);
}

// The host reads them where it computes; a device notes what is wrong itself.
void check_lengths(const PagedCache& cache) {
  const auto lengths = cache.lengths->values<std::int32_t>();
  const std::int64_t page_size = cache.keys->size(cache.layout == PageLayout::kTokensFirst ? 1 : 2);
  const std::int64_t most = cache.block_table->size(1) * page_size;
  for (const std::int32_t length : lengths) {
    if (length >= 0 && length <= most) continue;
    throw_invalid(kOperation, "length " + std::to_string(length) + " is not in a block_table of " +
                                  std::to_string(most) + " tokens");
  }
}

}  // namespace

void paged_attention_decode(Context& context, const Tensor& q, const PagedCache& cache, const AttentionOptions& options,
                            Tensor& o) {
  check_complete(cache);
  check_devices(kOperation, context,
                {{"q", &q},
                 {"keys", cache.keys},
                 {"values", cache.values},
                 {"block_table", cache.block_table},
                 {"lengths", cache.lengths},
                 {"o", &o}});
  check_shapes(context, q, cache, o);
  check_attention_options(kOperation, options);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::paged_attention_decode(context, q, cache, options, o);
  }
  check_lengths(cache);
  cpu::paged_attention_decode(context, q, cache, options, o);
}

}  // namespace kernels
