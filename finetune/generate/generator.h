// Generator: continues a token sequence with a key/value cache, greedily or sampled, and streams whole characters.
// Borrows the model. Several threads may continue their own sequences with one model: each token is computed under
// `computing`, and pieces are handed over outside it, so that a slow reader holds up nobody else.
#pragma once

#include <vector>

#include "finetune/adapter/adapted_model.h"
#include "finetune/generate/constraint.h"
#include "finetune/generate/fair_mutex.h"
#include "finetune/generate/predictor.h"

namespace finetune {

/// Continues `prompt` (slots allowed) until an end token, a stop text, max_tokens or the model's longest position. With
/// a constraint the answer is always finished before the limit and ends with "stop"; throws kInvalidInput where the
/// limit is too short for any, and for options that would end or empty it (stop, no_repeat_ngram_size).
Generation generate(kernels::Context& context, Base& base, AdaptedModel& model, const EncodedExample& prompt,
                    const GenerateOptions& options, const OnPiece& on_piece, FairMutex& computing,
                    Constraint* constraint = nullptr);

}  // namespace finetune
