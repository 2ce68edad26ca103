// A base folder small enough to be trained in a test: random weights, and a tokenizer made from a few lines. For tests
// only.
#pragma once

#include <filesystem>
#include <string>

#include "finetune/model/base.h"
#include "finetune/text/bpe_trainer.h"
#include "finetune/text/chat_format.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"
#include "platform/dataset/example.h"

namespace support {

inline finetune::ModelConfig tiny_config(std::int64_t vocabulary = 300) {
  return finetune::model_config_from_json(platform::json::object{{"architectures", {"LlamaForCausalLM"}},
                                                                 {"model_type", "llama"},
                                                                 {"vocab_size", vocabulary},
                                                                 {"hidden_size", 16},
                                                                 {"intermediate_size", 24},
                                                                 {"num_hidden_layers", 2},
                                                                 {"num_attention_heads", 4},
                                                                 {"num_key_value_heads", 2},
                                                                 {"head_dim", 4},
                                                                 {"max_position_embeddings", 128},
                                                                 {"rms_norm_eps", 1e-5},
                                                                 {"tie_word_embeddings", true}});
}

/// Writes config.json, model.safetensors (bfloat16) and the tokenizer, which has 290 tokens, into `folder`.
inline void write_tiny_base(const std::filesystem::path& folder, std::uint64_t seed = 7,
                            finetune::ModelConfig config = tiny_config(300)) {
  std::filesystem::create_directories(folder);
  platform::write_file_atomically(folder / "words.txt",
                                  "spindle load high, spindle load low. torque 12 Nm; bearing hot, bearing cold.\n");
  finetune::BpeTrainerOptions options;
  options.vocabulary_size = 290;
  options.special_tokens = finetune::nano_control_tokens();
  options.pad_token = options.special_tokens.at(0);
  options.bos_token = options.special_tokens.at(1);
  options.eos_token = options.special_tokens.at(2);
  options.chat_template = finetune::nano_chat_template();
  finetune::write_tokenizer(folder, finetune::train_bpe({folder / "words.txt"}, options), options);
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

/// Writes `count` examples that a tiny base learns in a second, as JSON lines: "spindle load" is " high" and "bearing"
/// is " cold", in turns.
inline void write_text_examples(const std::filesystem::path& file, int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    platform::Example example;
    example.id = "m" + std::to_string(i);
    example.prompt = i % 2 == 0 ? "spindle load" : "bearing";
    example.completion = i % 2 == 0 ? " high" : " cold";
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(file, lines);
}

}  // namespace support
