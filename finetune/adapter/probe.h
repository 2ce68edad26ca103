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
/// An adapter that changes less does not act: rounding does as much.
inline constexpr double kLeastEffect = 1e-5;

/// Throws kInvalidInput naming an example that the adapted model answers with something else than finite numbers.
platform::json::value record_probe(kernels::Context& context, AdaptedModel& model, const EncodingRules& rules,
                                   const std::vector<platform::Example>& examples);
/// How far the adapted outputs of a recorded probe are from those of the bare base, relative to the largest.
double recorded_effect(const platform::json::value& probe);
/// Throws kConflict when the outputs differ by more than the tolerance, or when they cannot be told from the bare
/// base's: an effect below kLeastEffect, or of the size of what the outputs differ by.
void verify_probe(kernels::Context& context, AdaptedModel& model, const EncodingRules& rules,
                  const platform::json::value& probe, double tolerance);
/// Throws kConflict when a model without adapter does not answer as the recorded bare base did.
void verify_bare(kernels::Context& context, AdaptedModel& model, const EncodingRules& rules,
                 const platform::json::value& probe, double tolerance);

}  // namespace finetune
