// RotaryConfig: how fast each pair of channels turns with the position, and every way of stretching that over longer
// texts that the families use. Formulas: transformers' modeling_rope_utils. Plain value; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/base/json.h"

namespace finetune {

struct RotaryConfig {
  double theta = 10000.0;
  std::string type = "default";  // default, dynamic, linear, llama3, longrope, yarn
  double factor = 1.0;           // all but default and longrope
  /// Positions that the base was trained on before it was stretched; dynamic, llama3, longrope, yarn.
  std::int64_t original_max_positions = 0;
  double low_frequency_factor = 1.0;   // llama3
  double high_frequency_factor = 4.0;  // llama3
  double beta_fast = 32.0;             // yarn: rotations within the original length from which nothing is stretched
  double beta_slow = 1.0;              // yarn: rotations below which everything is
  bool truncate = true;                // yarn: the borders between the two are whole channels
  double attention_factor = 1.0;       // multiplies cosine and sine
  std::vector<double> short_factor;    // longrope, [F]: divisors up to the original length
  std::vector<double> long_factor;     // longrope, [F]: beyond it

  /// True if the angles follow from the length of the text, so that each document has its own.
  bool by_length() const { return type == "dynamic" || type == "longrope"; }
};

/// From one block of config.json (`rope_scaling`, or transformers 5's `rope_parameters`), whose `rope_theta`, where it
/// is there, goes before `theta`. `max_positions` and `head_dim` are the model's. Throws kInvalidInput naming the key.
RotaryConfig rotary_from_json(const platform::json::object& block, double theta, std::int64_t max_positions,
                              std::int64_t head_dim);

/// Inverse frequencies [head_dim / 2] for a text of `length` tokens, which counts only where by_length().
std::vector<float> inverse_frequencies(const RotaryConfig& rotary, std::int64_t head_dim, std::int64_t length);

}  // namespace finetune
