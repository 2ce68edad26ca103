#include "finetune/adapter/reference.h"

#include <numeric>

namespace finetune {
namespace {

// While it lives the bare base answers.
struct WithoutAdapter {
  explicit WithoutAdapter(Transformer& model) : transformer(model) { transformer.set_adapter_active(false); }
  ~WithoutAdapter() { transformer.set_adapter_active(true); }
  WithoutAdapter(const WithoutAdapter&) = delete;
  Transformer& transformer;
};

}  // namespace

void set_reference_margins(kernels::Context& context, AdaptedModel& model, std::vector<EncodedExample>& pairs,
                           const std::vector<std::size_t>& which, std::int64_t max_tokens,
                           const StopQuestion& should_stop) {
  const WithoutAdapter bare(model.transformer());
  for (const auto& group : group_by_tokens(pairs, which, max_tokens)) {
    if (should_stop && should_stop())
      throw platform::Error(platform::ErrorCode::kCancelled, "the computation was asked to stop");
    std::vector<const EncodedExample*> batch;
    for (const std::size_t index : group) batch.push_back(&pairs[index]);
    const auto outputs = model.outputs(context, batch);
    for (std::size_t i = 0; i < group.size(); ++i) {
      EncodedExample& pair = pairs[group[i]];
      const PairLogprobs reference = pair_logprobs(pair, outputs[i]);
      pair.reference_margin = reference.chosen.sum - reference.rejected.sum;
    }
  }
}

void set_reference_margins(kernels::Context& context, AdaptedModel& model, std::vector<EncodedExample>& pairs,
                           std::int64_t max_tokens, const StopQuestion& should_stop) {
  std::vector<std::size_t> all(pairs.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  set_reference_margins(context, model, pairs, all, max_tokens, should_stop);
}

}  // namespace finetune
