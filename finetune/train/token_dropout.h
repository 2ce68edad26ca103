// Token dropout: examples without some of their text, against overfitting on few texts (word dropout: Iyyer et al.
// 2015). Pure function; any thread.
#pragma once

#include <cstdint>

#include "finetune/train/example_encoding.h"

namespace finetune {

/// Without a share of its text tokens, but never its first and no slot; the same for the same seed.
EncodedExample thinned(const EncodedExample& example, double share, std::uint64_t seed);

}  // namespace finetune
