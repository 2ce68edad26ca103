// A base folder small enough to be trained in a test: random weights, and a tokenizer made from a few lines. For tests
// only.
#pragma once

#include <filesystem>
#include <string>

#include "finetune/model/base.h"
#include "finetune/text/bpe_trainer.h"
#include "finetune/text/chat_format.h"
#include "platform/base/file.h"

namespace support {

inline finetune::ModelConfig tiny_config(std::int64_t vocabulary = 300) {
  finetune::ModelConfig config;
  config.vocab_size = vocabulary;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.layer_count = 2;
  config.head_count = 4;
  config.key_value_head_count = 2;
  config.head_dim = 4;
  config.max_positions = 128;
  config.norm_epsilon = 1e-5f;
  config.tie_word_embeddings = true;
  return config;
}

/// Writes config.json, model.safetensors (bfloat16) and the tokenizer into `folder`.
inline void write_tiny_base(const std::filesystem::path& folder, std::uint64_t seed = 7) {
  std::filesystem::create_directories(folder);
  platform::write_file_atomically(folder / "words.txt",
                                  "spindle load high, spindle load low. torque 12 Nm; bearing hot, bearing cold.\n");
  finetune::BpeTrainerOptions options;
  options.vocabulary_size = 290;
  options.special_tokens = finetune::nano_control_tokens();
  options.pad_token = options.special_tokens.at(0);
  options.bos_token = options.special_tokens.at(1);
  options.eos_token = options.special_tokens.at(2);
  finetune::write_tokenizer(folder, finetune::train_bpe({folder / "words.txt"}, options), options);
  finetune::ModelConfig config = tiny_config(300);
  config.end_tokens = {2};
  kernels::Random random(seed);
  finetune::ModelWeights weights = finetune::random_weights(config, random);
  weights.for_each([](finetune::Weight& weight) {
    if (weight.value.rank() != 2) return;
    // Alive at once, unlike a real start; a head that can be sure needs longer rows.
    const float factor = weight.name == "model.embed_tokens.weight" ? 50.0f : 8.0f;
    for (float& value : weight.value.values<float>()) value *= factor;
  });
  finetune::save_model(folder, config, weights, kernels::DataType::kBFloat16);
}

}  // namespace support
