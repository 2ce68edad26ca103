// The CUDA versions behind kernels/ops. Shapes, types and devices were checked by the caller; contracts are those of
// the headers in kernels/ops. Activations are float32, bfloat16 or float16, all of one call the same; sums are float32.
// Needs no CUDA header, so that kernels/core and kernels/ops include it whether there is a toolkit or not.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kernels/core/memory.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/activation.h"
#include "kernels/ops/adamw.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/grouped_lora.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/paged_attention.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/rotary.h"
#include "kernels/ops/sample.h"
#include "kernels/ops/sgd.h"

namespace kernels::cuda {

class Session;
/// Throws DeviceError when there is no such device or it is older than compute capability 8.0.
std::shared_ptr<Session> open_session(int device);
std::shared_ptr<Memory> memory_of(Session& session);
/// Throws what kernels found wrong since the last call (faults.h), or DeviceError.
void synchronise(Session& session);
/// 0 where there is no driver.
int device_count();

// elementwise.cu
void add(Context& context, const Tensor& x, Tensor& y, float factor);
void multiply(Context& context, const Tensor& a, const Tensor& b, Tensor& y);
void scale(Context& context, Tensor& y, float factor);
void softcap(Context& context, Tensor& y, float cap);
void cast(Context& context, const Tensor& x, Tensor& y);
void add_bias(Context& context, const Tensor& bias, Tensor& y, float factor);
void sum_rows(Context& context, const Tensor& x, Tensor& total, float factor);
void multiply_columns(Context& context, const Tensor& x, const Tensor& factors, Tensor& y, float beta);
void dot_columns(Context& context, const Tensor& a, const Tensor& b, Tensor& total);
void activation_forward(Context& context, Activation activation, const Tensor& x, Tensor& y);
void activation_backward(Context& context, Activation activation, const Tensor& dy, const Tensor& x, Tensor& dx);
void gather_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y);
void scatter_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y);

// embedding.cu
void embedding_forward(Context& context, const Tensor& table, const Tensor& ids, Tensor& y);
void embedding_backward(Context& context, const Tensor& ids, const Tensor& dy, Tensor& dtable);
void embedding_bag_forward(Context& context, const Tensor& table, const Tensor& ids, const Tensor& offsets,
                           const Tensor& weights, Tensor& y);
void embedding_bag_backward(Context& context, const Tensor& ids, const Tensor& offsets, const Tensor& weights,
                            const Tensor& dy, Tensor& dtable);
void scatter_add_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y);

// matmul.cu
void matmul(Context& context, const Tensor& a, const Tensor& b, Tensor& c, const MatmulOptions& options);
void gemm(Context& context, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc);
void linear(Context& context, const Tensor& x, const PackedWeight& weight, Tensor& y, float beta);
void linear_backward_input(Context& context, const Tensor& dy, const PackedWeight& weight, Tensor& dx, float beta);
void linear_backward_weight(Context& context, const Tensor& dy, const Tensor& x, Tensor& dweight, float beta);

// quantise.cu
void dequantise(Context& context, const QuantisedWeight& weight, Tensor& out);

// rms_norm.cu
void rms_norm_forward(Context& context, const Tensor& x, const Tensor& weight, const RmsNormOptions& options, Tensor& y,
                      Tensor& rstd);
void add_rms_norm_forward(Context& context, const Tensor& delta, const Tensor& weight, const RmsNormOptions& options,
                          Tensor& residual, Tensor& y, Tensor& rstd);
void rms_norm_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const RmsNormOptions& options, Tensor& dx, Tensor* dweight, bool accumulate_dx);

// rotary.cu
void make_rotary_table(Context& context, const Tensor& positions, const Tensor& inv_freq, float attention_factor,
                       RotaryTable& table);
void rotate(Context& context, const RotaryTable& table, float direction, Tensor& x);

// grouped_lora.cu
void grouped_lora_forward(Context& context, const AdapterRows& rows, const Tensor& x, const Tensor& a, const Tensor& b,
                          const AdapterStack& stack, Tensor& p, Tensor& y);
void grouped_lora_backward(Context& context, const AdapterRows& rows, const Tensor& dy, const Tensor& x,
                           const Tensor& p, const Tensor& a, const Tensor& b, const AdapterStack& stack, Tensor& da,
                           Tensor& db, Tensor* dx);

// linear_cross_entropy.cu; log_probabilities as token_log_probabilities() has them, or null
LossSum linear_cross_entropy(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                             const Tensor* row_weights, const LinearCrossEntropyOptions& options, Tensor* dhidden,
                             Tensor* dweight, Tensor* log_probabilities);
LossSum linear_distillation(Context& context, const Tensor& hidden, const PackedWeight& head, const Tensor& targets,
                            const Tensor* row_weights, const TeacherProbabilities& teacher,
                            const DistillationOptions& distillation, const LinearCrossEntropyOptions& options,
                            Tensor* dhidden, Tensor* dweight);

// lora.cu
void lora_forward(Context& context, const Tensor& x, const Tensor& a, const Tensor& b, const LoraOptions& options,
                  Tensor& p, Tensor& y);
void lora_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& p, const Tensor& a,
                   const Tensor& b, const LoraOptions& options, Tensor& da, Tensor& db, Tensor* dx);

// swiglu.cu
void swiglu_forward(Context& context, const Tensor& gate, const Tensor& up, Tensor& h, Activation activation);
void swiglu_backward(Context& context, const Tensor& dh, const Tensor& gate, const Tensor& up, Tensor& dgate,
                     Tensor& dup, Activation activation);

// adamw.cu
void adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options, std::int64_t step,
                float gradient_scale);
void clipped_adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options,
                        std::int64_t step, const Tensor& norm, float maximum_norm, Tensor& skipped);
double global_norm(Context& context, std::span<const Tensor* const> tensors);
void global_norm(Context& context, std::span<const Tensor* const> tensors, Tensor& norm);

// attention_forward.cu, attention_backward.cu
void attention_forward(Context& context, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& cu_seqlens,
                       const AttentionOptions& options, Tensor& o, Tensor& lse);
void attention_backward(Context& context, const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v,
                        const Tensor& o, const Tensor& lse, const Tensor& cu_seqlens, const AttentionOptions& options,
                        Tensor& dq, Tensor& dk, Tensor& dv);

// sample.cu
struct SampledRow {
  SampleOptions options;
  std::vector<std::int32_t> seen, banned;  // none twice, all in the vocabulary
  std::span<const std::uint64_t> allowed;
  double uniform;
};
void sample_tokens(Context& context, const Tensor& logits, std::span<const SampledRow> rows, Tensor& tokens);

// sgd.cu
void sgd_step(Context& context, std::span<const SgdTensor> tensors, const SgdOptions& options, float gradient_scale);

// value_losses.cu
LossSum squared_error(Context& context, const Tensor& y, const Tensor& targets, const Tensor* row_weights, float scale,
                      Tensor* dy);
LossSum sigmoid_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets, const Tensor* row_weights,
                              float scale, Tensor* dlogits);
LossSum huber_loss(Context& context, const Tensor& y, const Tensor& targets, const Tensor* row_weights, float delta,
                   float scale, Tensor* dy);
LossSum pinball_loss(Context& context, const Tensor& y, const Tensor& targets, std::span<const double> quantiles,
                     const Tensor* row_weights, float scale, Tensor* dy);

// attention_decode.cu
void attention_decode(Context& context, const Tensor& q, std::span<const CachedSequence> sequences,
                      const AttentionOptions& options, Tensor& o);
void paged_attention_decode(Context& context, const Tensor& q, const PagedCache& cache, const AttentionOptions& options,
                            Tensor& o);

// cross_entropy.cu
LossSum softmax_cross_entropy(Context& context, const Tensor& logits, const Tensor& targets,
                              const Tensor* class_weights, const Tensor* row_weights, float scale, Tensor* dlogits);

}  // namespace kernels::cuda
