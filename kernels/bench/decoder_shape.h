// The two decoders that speed is measured on, with random weights, and the arithmetic that training them takes. Both
// have the blocks of Llama and a head that is the embedding. Plain values and pure functions; any thread.
// Letters as in the formulas: L layers, d hidden size, V vocabulary, T tokens of a sequence, R rank.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace kernels {

struct DecoderShape {
  std::string name;
  std::int64_t hidden = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t key_value_heads = 0;
  std::int64_t feed_forward = 0;
  std::int64_t vocabulary = 0;

  std::int64_t head_size() const { return hidden / heads; }
  std::int64_t key_value_size() const { return key_value_heads * head_size(); }
};

/// nano (the embedded base's: d 256, L 6) and smol (135 million weights: d 576, L 30).
const std::vector<DecoderShape>& decoder_shapes();

/// One linear layer of a block, [out, in].
struct LinearShape {
  const char* name = "";
  std::int64_t in = 0;
  std::int64_t out = 0;
};
/// query, key, value, output, gate, up, down.
std::array<LinearShape, 7> block_linears(const DecoderShape& shape);

/// P: weights of all linear layers of the blocks, without embedding and head.
std::int64_t linear_weights(const DecoderShape& shape);
/// P_L: weights of adapters of rank R beside all of them.
std::int64_t adapter_weights(const DecoderShape& shape, std::int64_t rank);

/// Useful arithmetic of a LoRA training step with a frozen base, floating-point operations a token:
///   4 P + 6 P_L + 4 d V + 6 L T d
/// Forward and the gradient of the input of the frozen layers and of the head (2 + 2 a weight); forward and both
/// gradients of the adapters; causal attention's two products forward and four backward, of which half are masked.
/// What an implementation computes beyond that (scores again, for one) does not count.
double training_flop_per_token(const DecoderShape& shape, std::int64_t rank, std::int64_t sequence);

}  // namespace kernels
