#include "kernels/ops/attention.h"

#include "kernels/cpu/operations.h"
#include "kernels/cuda/operations.h"
#include "kernels/ops/attention_checks.h"

namespace kernels {
namespace {

// The sums on a device are not read here: the kernel notes what is wrong with them.
void check_sequences(const char* operation, const Context& context, const Tensor& cu_seqlens, std::int64_t tokens) {
  check_rank(operation, "cu_seqlens", cu_seqlens, 1);
  check_shape(operation, "cu_seqlens", cu_seqlens, {cu_seqlens.size(0)}, DataType::kInt32);
  if (cu_seqlens.count() == 0) throw_invalid(operation, "cu_seqlens is empty; no documents are one 0");
  if (context.is_cuda()) return;
  const auto sums = cu_seqlens.values<std::int32_t>();
  bool valid = sums.front() == 0 && sums.back() == tokens;
  for (std::size_t i = 1; i < sums.size(); ++i) valid = valid && sums[i - 1] <= sums[i];
  if (!valid) throw_invalid(operation, "cu_seqlens must rise from 0 to " + std::to_string(tokens));
}

// Checks the inputs against each other; the type of the activations.
DataType checked_inputs(const char* operation, const Context& context, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Tensor& cu_seqlens, const AttentionOptions& options) {
  const DataType type = activation_type(operation, context, "q", q);
  check_rank(operation, "q", q, 3);
  check_rank(operation, "k", k, 3);
  check_heads(operation, q, k.size(1));
  check_shape(operation, "k", k, {q.size(0), k.size(1), q.size(2)}, type);
  check_shape(operation, "v", v, {q.size(0), k.size(1), q.size(2)}, type);
  check_sequences(operation, context, cu_seqlens, q.size(0));
  check_attention_options(operation, options);
  check_device_limits(operation, context, q);
  return type;
}

cpu::AttentionShape shape_of(const Tensor& q, const Tensor& k, const Tensor& cu_seqlens) {
  return {q.size(0), q.size(1), k.size(1), q.size(2), cu_seqlens.values<std::int32_t>()};
}

// Checks one cache of a batch; its type is that of q.
void check_sequence(const Context& context, const CachedSequence& sequence, std::int64_t key_heads,
                    std::int64_t head_size, DataType type) {
  constexpr const char* kOperation = "attention_decode";
  check_devices(kOperation, context, {{"keys", sequence.keys}, {"values", sequence.values}});
  check_rank(kOperation, "keys", *sequence.keys, 3);
  const std::int64_t capacity = sequence.keys->size(0);
  check_shape(kOperation, "keys", *sequence.keys, {capacity, key_heads, head_size}, type);
  check_shape(kOperation, "values", *sequence.values, {capacity, key_heads, head_size}, type);
  if (sequence.length >= 1 && sequence.length <= capacity) return;
  throw_invalid(kOperation,
                "length " + std::to_string(sequence.length) + " is not in a cache of " + std::to_string(capacity));
}

}  // namespace

void attention_forward(Context& context, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& cu_seqlens,
                       const AttentionOptions& options, Tensor& o, Tensor& lse) {
  constexpr const char* kOperation = "attention_forward";
  check_devices(kOperation, context,
                {{"q", &q}, {"k", &k}, {"v", &v}, {"cu_seqlens", &cu_seqlens}, {"o", &o}, {"lse", &lse}});
  const DataType type = checked_inputs(kOperation, context, q, k, v, cu_seqlens, options);
  check_shape(kOperation, "o", o, {q.size(0), q.size(1), q.size(2)}, type);
  check_shape(kOperation, "lse", lse, {q.size(0), q.size(1)});
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::attention_forward(context, q, k, v, cu_seqlens, options, o, lse);
  }
  cpu::attention_forward(context, shape_of(q, k, cu_seqlens), options,
                         {q.data<float>(), k.data<float>(), v.data<float>()}, o.data<float>(), lse.data<float>());
}

void attention_backward(Context& context, const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v,
                        const Tensor& o, const Tensor& lse, const Tensor& cu_seqlens, const AttentionOptions& options,
                        Tensor& dq, Tensor& dk, Tensor& dv) {
  constexpr const char* kOperation = "attention_backward";
  check_devices(kOperation, context,
                {{"d_o", &d_o},
                 {"q", &q},
                 {"k", &k},
                 {"v", &v},
                 {"o", &o},
                 {"lse", &lse},
                 {"cu_seqlens", &cu_seqlens},
                 {"dq", &dq},
                 {"dk", &dk},
                 {"dv", &dv}});
  const DataType type = checked_inputs(kOperation, context, q, k, v, cu_seqlens, options);
  check_shape(kOperation, "d_o", d_o, {q.size(0), q.size(1), q.size(2)}, type);
  check_shape(kOperation, "o", o, {q.size(0), q.size(1), q.size(2)}, type);
  check_shape(kOperation, "lse", lse, {q.size(0), q.size(1)});
  check_shape(kOperation, "dq", dq, {q.size(0), q.size(1), q.size(2)}, type);
  check_shape(kOperation, "dk", dk, {k.size(0), k.size(1), k.size(2)}, type);
  check_shape(kOperation, "dv", dv, {k.size(0), k.size(1), k.size(2)}, type);
  if constexpr (kCudaBuilt) {
    if (context.is_cuda())
      return cuda::attention_backward(context, d_o, q, k, v, o, lse, cu_seqlens, options, dq, dk, dv);
  }
  cpu::attention_backward(
      context, shape_of(q, k, cu_seqlens), options, {q.data<float>(), k.data<float>(), v.data<float>()},
      {d_o.data<float>(), o.data<float>(), lse.data<float>(), dq.data<float>(), dk.data<float>(), dv.data<float>()});
}

void attention_decode(Context& context, const Tensor& q, std::span<const CachedSequence> sequences,
                      const AttentionOptions& options, Tensor& o) {
  constexpr const char* kOperation = "attention_decode";
  check_devices(kOperation, context, {{"q", &q}, {"o", &o}});
  const DataType type = activation_type(kOperation, context, "q", q);
  check_rank(kOperation, "q", q, 3);
  check_shape(kOperation, "q", q, {static_cast<std::int64_t>(sequences.size()), q.size(1), q.size(2)}, type);
  check_shape(kOperation, "o", o, {q.size(0), q.size(1), q.size(2)}, type);
  check_attention_options(kOperation, options);
  check_device_limits(kOperation, context, q);
  for (const CachedSequence& sequence : sequences) {
    if (sequence.keys == nullptr || sequence.values == nullptr) throw_invalid(kOperation, "a sequence has no cache");
    check_rank(kOperation, "keys", *sequences[0].keys, 3);
    check_sequence(context, sequence, sequences[0].keys->size(1), q.size(2), type);
  }
  if (!sequences.empty()) check_heads(kOperation, q, sequences[0].keys->size(1));
  if constexpr (kCudaBuilt) {
    if (context.is_cuda()) return cuda::attention_decode(context, q, sequences, options, o);
  }
  cpu::attention_decode(context, q, sequences, options, o);
}

}  // namespace kernels
