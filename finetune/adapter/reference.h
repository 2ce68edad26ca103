// The reference of direct preference optimisation: the bare frozen base, the same weights with the adapter switched
// off, as PEFT gives it where no other reference is named. No second model is held; what is kept is one number a pair.
#pragma once

#include <vector>

#include "finetune/adapter/loaded_adapter.h"

namespace finetune {

/// Sets `reference_margin` of the pairs at `which`: log r(chosen) - log r(rejected), without dropout or noise. In
/// batches of at most `max_tokens`, made in the order of `which`, so that equal calls give equal bits. Throws
/// kCancelled when `should_stop` says so.
void set_reference_margins(kernels::Context& context, AdaptedModel& model, std::vector<EncodedExample>& pairs,
                           const std::vector<std::size_t>& which, std::int64_t max_tokens,
                           const StopQuestion& should_stop);
/// Of all of them.
void set_reference_margins(kernels::Context& context, AdaptedModel& model, std::vector<EncodedExample>& pairs,
                           std::int64_t max_tokens, const StopQuestion& should_stop);

}  // namespace finetune
