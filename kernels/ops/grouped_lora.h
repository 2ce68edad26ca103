// The low-rank branches of many adapters beside one frozen linear layer, for batches whose rows belong to different
// adapters: training many adapters in one pass, serving many at once. What it promises is one sentence: the rows of an
// adapter, gathered in their order, get what lora_forward() and lora_backward() give them with that adapter alone.
// Letters: N rows, G adapters, R_g the rank of adapter g (0: it changes nothing), S the sum of all ranks.
//
// The adapters of a layer are stacked, so that an optimizer steps them as one tensor: A is [S, in], each adapter's
// [R_g, in] below the last one's; B is S * out elements in shape [S, out], of which adapter g's [out, R_g] are the ones
// from element first_rank[g] * out on. Types as in lora.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/lora.h"

namespace kernels {

/// Which adapter each row of a batch belongs to. Made once for a batch, used by every layer; holds the order of the
/// rows on the device of the context it is made with.
class AdapterRows {
 public:
  static constexpr std::int32_t kNoAdapter = -1;

  /// adapters[n]: below `count`, or kNoAdapter for a row that no adapter changes. Throws std::invalid_argument on
  /// another index.
  AdapterRows(const Context& context, std::span<const std::int32_t> adapters, std::int64_t count);

  std::int64_t rows() const { return rows_; }
  std::int64_t adapters() const { return static_cast<std::int64_t>(borders_.size()) - 1; }
  /// The rows of adapter g, ascending.
  std::span<const std::int32_t> rows_of(std::int64_t adapter) const;
  /// Where they begin among the rows of all adapters, one adapter after another; [G + 1].
  const std::vector<std::int64_t>& borders() const { return borders_; }
  /// The rows of all adapters in that order: int32, on the device.
  const Tensor& order() const { return order_; }

 private:
  std::int64_t rows_ = 0;
  std::vector<std::int64_t> borders_;
  std::vector<std::int32_t> sorted_;
  Tensor order_;
};

/// Where the adapters lie in the stack, and each one's options. Borrowed. Dropout drops element i of an adapter's own
/// rows by (its seed, i).
struct AdapterStack {
  std::span<const std::int64_t> first_rank;  // [G + 1], from 0 to S
  std::span<const LoraOptions> options;      // [G]
};

/// lora_forward() of every adapter.  x: [N, in]; a: [S, in]; b: [S, out]; p: [N, the largest rank or more], of which a
/// row gets as many as its adapter's rank; y: [N, out], +=.
void grouped_lora_forward(Context& context, const AdapterRows& rows, const Tensor& x, const Tensor& a, const Tensor& b,
                          const AdapterStack& stack, Tensor& p, Tensor& y);

/// lora_backward() of every adapter.  dy: [N, out]; da: [S, in] and db: [S, out], float32, +=; dx: [N, in], +=, or
/// null.
void grouped_lora_backward(Context& context, const AdapterRows& rows, const Tensor& dy, const Tensor& x,
                           const Tensor& p, const Tensor& a, const Tensor& b, const AdapterStack& stack, Tensor& da,
                           Tensor& db, Tensor* dx);

}  // namespace kernels
