// Probe: a few examples with the raw outputs that the adapted model gave at training, and those of the same parts
// without the adapter. At load the first must come out again, and the two must differ, or the adapter does not act.
// Pure; one thread.
#pragma once

#include <vector>

#include "finetune/adapter/adapted_model.h"
#include "platform/dataset/example.h"

namespace finetune {

/// Largest allowed difference, relative to the largest recorded output: float32 and 16-bit weights.
inline constexpr double kProbeTolerance32 = 1e-3;
inline constexpr double kProbeTolerance16 = 3e-2;

platform::json::value record_probe(kernels::Context& context, AdaptedModel& model, const EncodingRules& rules,
                                   const std::vector<platform::Example>& examples);
/// Throws kConflict when the outputs differ by more than the tolerance, or when the adapter changes nothing.
void verify_probe(kernels::Context& context, AdaptedModel& model, const EncodingRules& rules,
                  const platform::json::value& probe, double tolerance);
/// Throws kConflict when a model without adapter does not answer as the recorded bare base did.
void verify_bare(kernels::Context& context, AdaptedModel& model, const EncodingRules& rules,
                 const platform::json::value& probe, double tolerance);

}  // namespace finetune
