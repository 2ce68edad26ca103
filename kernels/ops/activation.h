// The pointwise non-linearities that gated feed-forward layers and small encoders use.
#pragma once

namespace kernels {

/// kSilu: z * sigmoid(z).  kGeluTanh: 0.5 z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))).
enum class Activation { kSilu, kGeluTanh };

}  // namespace kernels
