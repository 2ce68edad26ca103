#include "kernels/bench/decoder_shape.h"

namespace kernels {

const std::vector<DecoderShape>& decoder_shapes() {
  static const std::vector<DecoderShape> shapes{
      {"nano", 256, 6, 8, 4, 768, 4096},
      {"smol", 576, 30, 9, 3, 1536, 49152},
  };
  return shapes;
}

std::array<LinearShape, 7> block_linears(const DecoderShape& shape) {
  return {{{"query", shape.hidden, shape.hidden},
           {"key", shape.hidden, shape.key_value_size()},
           {"value", shape.hidden, shape.key_value_size()},
           {"output", shape.hidden, shape.hidden},
           {"gate", shape.hidden, shape.feed_forward},
           {"up", shape.hidden, shape.feed_forward},
           {"down", shape.feed_forward, shape.hidden}}};
}

std::int64_t linear_weights(const DecoderShape& shape) {
  std::int64_t count = 0;
  for (const LinearShape& linear : block_linears(shape)) count += linear.in * linear.out;
  return shape.layers * count;
}

std::int64_t adapter_weights(const DecoderShape& shape, std::int64_t rank) {
  std::int64_t count = 0;
  for (const LinearShape& linear : block_linears(shape)) count += rank * (linear.in + linear.out);
  return shape.layers * count;
}

double training_flop_per_token(const DecoderShape& shape, std::int64_t rank, std::int64_t sequence) {
  return 4.0 * static_cast<double>(linear_weights(shape)) + 6.0 * static_cast<double>(adapter_weights(shape, rank)) +
         4.0 * static_cast<double>(shape.hidden * shape.vocabulary) +
         6.0 * static_cast<double>(shape.layers * sequence * shape.hidden);
}

}  // namespace kernels
