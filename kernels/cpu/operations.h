// The CPU versions behind kernels/ops, on raw row-major pointers. Shapes were checked by the caller; contracts are
// those of the headers in kernels/ops. Weights that may have 16 bits come as FloatSource.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/ops/activation.h"
#include "kernels/ops/adamw.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/grouped_lora.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/paged_attention.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/rotary.h"
#include "kernels/ops/sgd.h"

namespace kernels::cpu {

/// Reads a float32, bfloat16 or float16 array as float32; one of the three is set.
struct FloatSource {
  const float* wide = nullptr;
  const BFloat16* narrow = nullptr;
  const Float16* half = nullptr;
};
FloatSource float_source(const Tensor& tensor);
/// out[i] = source[begin + i] for i < count.
void widen(FloatSource source, std::int64_t begin, std::int64_t count, float* out);
/// The whole tensor as float32: its own memory, or a widened copy in `frame`.
const float* as_float(Context& context, ScratchFrame& frame, const Tensor& tensor);

void gemm(Context& context, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc);
void linear(Context& context, const Tensor& x, const PackedWeight& weight, Tensor& y, float beta);
void linear_backward_input(Context& context, const Tensor& dy, const PackedWeight& weight, Tensor& dx, float beta);

struct AttentionShape {
  std::int64_t tokens, heads, key_heads, head_size;
  std::span<const std::int32_t> cu_seqlens;
};
struct AttentionInputs {
  const float *q, *k, *v;
};
void attention_forward(Context& context, const AttentionShape& shape, const AttentionOptions& options,
                       const AttentionInputs& in, float* o, float* lse, InstructionSet set = widest_instruction_set());
struct AttentionGradients {
  const float *d_o, *o, *lse;
  float *dq, *dk, *dv;
};
void attention_backward(Context& context, const AttentionShape& shape, const AttentionOptions& options,
                        const AttentionInputs& in, const AttentionGradients& gradients,
                        InstructionSet set = widest_instruction_set());
void attention_decode(Context& context, const Tensor& q, std::span<const CachedSequence> sequences,
                      const AttentionOptions& options, Tensor& o);
void paged_attention_decode(Context& context, const Tensor& q, const PagedCache& cache, const AttentionOptions& options,
                            Tensor& o);

void embedding_forward(Context& context, const Tensor& table, const Tensor& ids, Tensor& y);
void embedding_backward(Context& context, const Tensor& ids, const Tensor& dy, Tensor& dtable);
void embedding_bag_forward(Context& context, const Tensor& table, const Tensor& ids, const Tensor& offsets,
                           const Tensor& weights, Tensor& y);
void embedding_bag_backward(Context& context, const Tensor& ids, const Tensor& offsets, const Tensor& weights,
                            const Tensor& dy, Tensor& dtable);

void rms_norm_forward(Context& context, const Tensor& x, const Tensor& weight, const RmsNormOptions& options, Tensor& y,
                      Tensor& rstd);
void rms_norm_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const RmsNormOptions& options, Tensor& dx, Tensor* dweight, bool accumulate_dx);
void make_rotary_table(Context& context, const Tensor& positions, const Tensor& inv_freq, float attention_factor,
                       RotaryTable& table);
/// Rotates by the table's angles times `direction`, which is 1 or -1.
void rotate(Context& context, const RotaryTable& table, float direction, Tensor& x);
void swiglu_forward(Context& context, const Tensor& gate, const Tensor& up, Tensor& h, Activation activation);
void swiglu_backward(Context& context, const Tensor& dh, const Tensor& gate, const Tensor& up, Tensor& dgate,
                     Tensor& dup, Activation activation);
void lora_forward(Context& context, const Tensor& x, const Tensor& a, const Tensor& b, const LoraOptions& options,
                  Tensor& p, Tensor& y);
void lora_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& p, const Tensor& a,
                   const Tensor& b, const LoraOptions& options, Tensor& da, Tensor& db, Tensor* dx);
void grouped_lora_forward(Context& context, const AdapterRows& rows, const Tensor& x, const Tensor& a, const Tensor& b,
                          const AdapterStack& stack, Tensor& p, Tensor& y);
void grouped_lora_backward(Context& context, const AdapterRows& rows, const Tensor& dy, const Tensor& x,
                           const Tensor& p, const Tensor& a, const Tensor& b, const AdapterStack& stack, Tensor& da,
                           Tensor& db, Tensor* dx);
void adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options, std::int64_t step,
                float gradient_scale);
void sgd_step(Context& context, std::span<const SgdTensor> tensors, const SgdOptions& options, float gradient_scale);
double global_norm(Context& context, std::span<const Tensor* const> tensors);
LossSum linear_cross_entropy(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                             const Tensor* row_weights, const LinearCrossEntropyOptions& options, Tensor* dhidden,
                             Tensor* dweight, Tensor* log_probabilities);
LossSum linear_distillation(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                            const Tensor* row_weights, const TeacherProbabilities& teacher,
                            const DistillationOptions& distillation, const LinearCrossEntropyOptions& options,
                            Tensor* dhidden, Tensor* dweight);

/// The row kernels of the losses. Each returns -log p(target).
struct LossRow {
  const float* logits;
  std::int64_t classes;
  std::int32_t target;
  float weight;     // multiplies the gradient only
  float* gradient;  // [classes] or null; may be logits
  float softcap;    // what the logits were capped with; 0 for none
};
double cross_entropy_row(const LossRow& row);
/// The same beside the distance from a teacher (ops/cross_entropy.h); at least one token.
struct TeacherRow {
  std::span<const std::int32_t> tokens;
  std::span<const float> log_probabilities;
  double ratio, temperature;
};
double distillation_row(const LossRow& row, const TeacherRow& teacher);
/// logits = cap * tanh(logits / cap).
void softcap_row(float* logits, std::int64_t classes, float cap);
void softmax_row(const float* logits, std::int64_t classes, float* y);

}  // namespace kernels::cpu
