#include "finetune/model/transformer.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rms_norm.h"

namespace finetune {

using kernels::Context;
using kernels::Tensor;

Transformer::Transformer(const ModelConfig& config, ModelWeights& weights, Adapter* adapter)
    : config_(config),
      base_(weights),
      weights_(config_, weights, adapter != nullptr ? &adapter->saved() : nullptr),
      embedding_(weights_, adapter != nullptr ? &adapter->embedding() : nullptr),
      head_(weights_, adapter != nullptr ? &adapter->head() : nullptr,
            adapter != nullptr ? &adapter->embedding() : nullptr),
      linears_(weights_, adapter != nullptr ? &adapter->linears() : nullptr),
      rotaries_(config_),
      attention_(config_, weights, weights_, linears_, rotaries_),
      feed_forward_(config_, linears_) {
  kept_.resize(static_cast<std::size_t>(config_.layer_count));
}

void Transformer::embed(Context& context, const PackedBatch& batch, const Tensor* slots) {
  stream_.resize({batch.token_count(), config_.hidden_size});
  embedding_.forward(context, batch.ids, stream_);
  if (config_.embedding_multiplier != 1.0f) kernels::scale(context, stream_, config_.embedding_multiplier);
  if (mode_ != ActivationMode::kNone && embedding_noise_ > 0.0f) add_noise(batch);
  if (batch.slot_count() == 0) return;
  if (slots == nullptr)
    throw platform::Error(platform::ErrorCode::kInternal, "a batch with slots needs slot embeddings");
  kernels::scatter_rows(context, *slots, batch.slot_rows, stream_);
}

void Transformer::add_noise(const PackedBatch& batch) {
  constexpr std::uint64_t kNoise = 0x4e454654u;  // apart from the dropout masks of the same seed
  kernels::Random random(kernels::random_bits(dropout_seed_, kNoise));
  const auto borders = batch.cu_seqlens.values<std::int32_t>();
  const std::int64_t size = config_.hidden_size;
  for (std::size_t document = 0; document + 1 < borders.size(); ++document) {
    const std::int64_t begin = borders[document] * size, end = borders[document + 1] * size;
    const double reach =
        static_cast<double>(embedding_noise_) / std::sqrt(std::max(1.0, static_cast<double>(end - begin)));
    for (float& value :
         stream_.values<float>().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)))
      value += static_cast<float>((2.0 * random.uniform() - 1.0) * reach);
  }
}

void Transformer::begin(Context& context, const PackedBatch& batch, const Tensor& positions, ActivationMode mode,
                        bool continues) {
  mode_ = mode;
  weights_.begin(adapter_active_);
  embedding_.begin(adapter_active_);
  head_.begin(context, adapter_active_, continues);
  linears_.begin(context, {mode != ActivationMode::kNone, adapter_active_, dropout_seed_, continues});
  rotaries_.make(context, positions, batch.cu_seqlens);
}

// stream += multiplier * norm(body(norm(stream))), with the norms that the family has. `body(x, y, beta)` computes
// y = beta y + branch(x), so that the plain case needs no second pass over memory.
template <typename Body>
void Transformer::branch_forward(Context& context, const BranchNorms& norms, BranchActivations& saved, Body&& body) {
  const Tensor* x = &stream_;
  if (norms.before.present()) {
    saved.normed.resize(stream_.shape());
    saved.rstd.resize({stream_.size(0)});
    kernels::rms_norm_forward(context, stream_, norms.before.value, config_.norm_options(), saved.normed, saved.rstd);
    x = &saved.normed;
  }
  if (norms.before.present() && !norms.after.present() && config_.residual_multiplier == 1.0f)
    return body(*x, stream_, 1.0f);
  saved.output.resize(stream_.shape());
  body(*x, saved.output, 0.0f);
  if (!norms.after.present()) return kernels::add(context, saved.output, stream_, config_.residual_multiplier);
  branch_.resize(stream_.shape());
  saved.output_rstd.resize({stream_.size(0)});
  kernels::rms_norm_forward(context, saved.output, norms.after.value, config_.norm_options(), branch_,
                            saved.output_rstd);
  kernels::add(context, branch_, stream_, config_.residual_multiplier);
}

// dstream: the gradient of the stream behind the branch, and in its place that of the stream before it, which was
// `input`. `body(dy, x, dx)` computes the branch's gradient.
template <typename Body>
void Transformer::branch_backward(Context& context, const BranchNorms& norms, const Tensor& input,
                                  BranchActivations& saved, Tensor& dstream, Body&& body) {
  const Tensor* dy = &dstream;
  if (norms.after.present() || config_.residual_multiplier != 1.0f) {
    dbranch_.resize(dstream.shape());
    dbranch_.copy_from(dstream);
    if (config_.residual_multiplier != 1.0f) kernels::scale(context, dbranch_, config_.residual_multiplier);
    dy = &dbranch_;
  }
  if (norms.after.present())
    kernels::rms_norm_backward(context, dbranch_, saved.output, norms.after.value, saved.output_rstd,
                               config_.norm_options(), dbranch_, norms.after.gradient_or_null());
  dinput_.resize(dstream.shape());
  body(*dy, norms.before.present() ? saved.normed : input, dinput_);
  if (!norms.before.present()) return kernels::add(context, dinput_, dstream);
  kernels::rms_norm_backward(context, dinput_, input, norms.before.value, saved.rstd, config_.norm_options(), dstream,
                             norms.before.gradient_or_null(), true);
}

void Transformer::block_forward(Context& context, std::size_t layer, const PackedBatch& batch, BlockActivations& saved,
                                KeyValueCache* cache) {
  LayerWeights& weights = base_.layers[layer];
  branch_forward(context, {weights_.of(weights.attention_norm), weights_.of(weights.attention_branch_norm)},
                 saved.attention_branch, [&](const Tensor& x, Tensor& y, float beta) {
                   attention_.forward(context, layer, batch, x, saved.attention, saved.linears, cache, y, beta);
                 });
  if (mode_ != ActivationMode::kNone) {
    saved.middle.resize(stream_.shape());
    saved.middle.copy_from(stream_);
  }
  branch_forward(context, {weights_.of(weights.feed_forward_norm), weights_.of(weights.feed_forward_branch_norm)},
                 saved.feed_forward_branch, [&](const Tensor& x, Tensor& y, float beta) {
                   feed_forward_.forward(context, layer, x, saved.feed_forward, saved.linears, y, beta);
                 });
}

void Transformer::block_backward(Context& context, std::size_t layer, const PackedBatch& batch, BlockActivations& saved,
                                 Tensor& dstream) {
  LayerWeights& weights = base_.layers[layer];
  branch_backward(context, {weights_.of(weights.feed_forward_norm), weights_.of(weights.feed_forward_branch_norm)},
                  saved.middle, saved.feed_forward_branch, dstream, [&](const Tensor& dy, const Tensor& x, Tensor& dx) {
                    feed_forward_.backward(context, layer, dy, x, saved.feed_forward, saved.linears, dx);
                  });
  branch_backward(context, {weights_.of(weights.attention_norm), weights_.of(weights.attention_branch_norm)},
                  kept_[layer].input, saved.attention_branch, dstream,
                  [&](const Tensor& dy, const Tensor& x, Tensor& dx) {
                    attention_.backward(context, layer, batch, dy, x, saved.attention, saved.linears, dx);
                  });
}

void Transformer::finish(Context& context, const Tensor& stream) {
  const Weight& final_norm = weights_.of(base_.final_norm);
  hidden_.resize(stream.shape());
  final_rstd_.resize({stream.size(0)});
  kernels::rms_norm_forward(context, stream, final_norm.value, config_.norm_options(), hidden_, final_rstd_);
}

const Tensor& Transformer::forward(Context& context, const PackedBatch& batch, const Tensor* slots,
                                   ActivationMode mode) {
  begin(context, batch, batch.positions, mode, false);
  embed(context, batch, slots);
  for (std::size_t layer = 0; layer < kept_.size(); ++layer) {
    if (mode != ActivationMode::kNone) {
      kept_[layer].input.resize(stream_.shape());
      kept_[layer].input.copy_from(stream_);
    }
    block_forward(context, layer, batch, mode == ActivationMode::kKeep ? kept_[layer] : scratch_, nullptr);
  }
  finish(context, stream_);
  return hidden_;
}

// Where angles follow from the length: keeps the sequence and, beyond the original length, computes all of it anew.
const Tensor* Transformer::continued(Context& context, const PackedBatch& batch, const Tensor* slots,
                                     KeyValueCache& cache) {
  const auto stretched = std::find_if(config_.rotaries.begin(), config_.rotaries.end(),
                                      [](const RotaryConfig& rotary) { return rotary.by_length(); });
  if (stretched == config_.rotaries.end()) return nullptr;
  const auto ids = batch.ids.values<std::int32_t>();
  cache.ids.insert(cache.ids.end(), ids.begin(), ids.end());
  if (slots != nullptr && batch.slot_count() > 0) cache.slots = slots->clone();
  const std::int64_t length = cache.length + batch.token_count();
  if (length <= stretched->original_max_positions) return nullptr;
  cache.length = length;
  const std::span<const std::int32_t> whole(cache.ids);
  return &forward(context, pack_documents({&whole, 1}), cache.slots.count() > 0 ? &cache.slots : nullptr,
                  ActivationMode::kNone);
}

const Tensor& Transformer::forward_cached(Context& context, const PackedBatch& batch, const Tensor* slots,
                                          KeyValueCache& cache) {
  if (cache.length + batch.token_count() > cache.capacity()) {
    throw platform::Error(
        platform::ErrorCode::kTooLarge,
        "the sequence is longer than its room of " + std::to_string(cache.capacity()) + " tokens; shorten the prompt");
  }
  if (const Tensor* anew = continued(context, batch, slots, cache)) return *anew;
  Tensor positions = batch.positions.clone();
  for (std::int32_t& position : positions.values<std::int32_t>()) position += static_cast<std::int32_t>(cache.length);
  begin(context, batch, positions, ActivationMode::kNone, cache.length > 0);
  embed(context, batch, slots);
  for (std::size_t layer = 0; layer < kept_.size(); ++layer) block_forward(context, layer, batch, scratch_, &cache);
  cache.length += batch.token_count();
  finish(context, stream_);
  return hidden_;
}

void Transformer::backward(Context& context, const PackedBatch& batch, Tensor& dhidden, Tensor* dslots) {
  if (mode_ == ActivationMode::kNone)
    throw platform::Error(platform::ErrorCode::kInternal, "backward without kept activations");
  Weight& final_norm = weights_.of(base_.final_norm);
  kernels::rms_norm_backward(context, dhidden, stream_, final_norm.value, final_rstd_, config_.norm_options(), dhidden,
                             final_norm.gradient_or_null(), false);
  for (std::size_t layer = kept_.size(); layer-- > 0;) {
    if (mode_ == ActivationMode::kRecompute) {
      stream_.copy_from(kept_[layer].input);
      block_forward(context, layer, batch, scratch_, nullptr);
    }
    block_backward(context, layer, batch, mode_ == ActivationMode::kRecompute ? scratch_ : kept_[layer], dhidden);
  }
  if (dslots != nullptr && batch.slot_count() > 0) {
    dslots->resize({batch.slot_count(), config_.hidden_size});
    kernels::gather_rows(context, dhidden, batch.slot_rows, *dslots);
  }
  if (embedding_.trained()) {
    if (config_.embedding_multiplier != 1.0f) kernels::scale(context, dhidden, config_.embedding_multiplier);
    embedding_.backward(context, batch.ids, dhidden);
  }
  mode_ = ActivationMode::kNone;
}

void Transformer::logits(Context& context, const Tensor& hidden, Tensor& logits) {
  kernels::linear(context, hidden, head_.weight(), logits);
  if (config_.logit_multiplier != 1.0f) kernels::scale(context, logits, config_.logit_multiplier);
  if (config_.logit_softcap > 0.0f) kernels::softcap(context, logits, config_.logit_softcap);
}

}  // namespace finetune
