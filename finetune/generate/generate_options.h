// How an answer is written: its length, how each token is chosen, and where it ends. Names and ranges are those of the
// requests that OpenAI's and vLLM's clients send. A plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace finetune {

struct GenerateOptions {
  std::int64_t max_tokens = 256;
  float temperature = 0.0f;  // 0 = greedy; at most 2
  std::int32_t top_k = 0;    // 0 = all
  float top_p = 1.0f;        // (0, 1]
  float min_p = 0.0f;        // [0, 1]: a share of the most probable token's probability
  float typical_p = 1.0f;    // (0, 1]
  /// (0, 2]; over 1, tokens of the prompt and the answer become less likely.
  float repetition_penalty = 1.0f;
  /// No sequence of so many tokens comes twice, the prompt counted in; 0 = any may. At most 64.
  std::int32_t no_repeat_ngram_size = 0;
  std::uint64_t seed = 1;
  std::vector<std::string> stop;  // the answer ends before the first of these texts
  /// How many alternatives are reported beside each token's log-probability; absent: nothing is. At most 20.
  std::optional<std::int32_t> logprobs;

  /// Throws kInvalidInput naming the option that is out of its range, and the range.
  void validate() const;
};

}  // namespace finetune
