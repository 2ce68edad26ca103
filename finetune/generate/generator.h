// Generator: continues a token sequence with a key/value cache, greedily or sampled, and streams whole characters.
// Borrows the model; belongs to one thread.
#pragma once

#include <vector>

#include "finetune/adapter/adapted_model.h"
#include "finetune/generate/predictor.h"

namespace finetune {

/// Continues `prompt` (slots allowed) until an end token, a stop text, max_tokens or the model's longest position.
Generation generate(kernels::Context& context, Base& base, AdaptedModel& model, const EncodedExample& prompt,
                    const GenerateOptions& options, const OnPiece& on_piece);

}  // namespace finetune
