#include "finetune/bench/random_base.h"

#include <cmath>
#include <map>
#include <unordered_set>

#include "finetune/formats/safetensors.h"
#include "finetune/text/bpe_trainer.h"
#include "finetune/text/chat_format.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"
#include "platform/base/file.h"
#include "platform/dataset/example.h"

namespace finetune {
namespace {

using kernels::Tensor;

constexpr std::size_t kLongestToken = 12;  // bytes
constexpr float kDeviation = 0.02f;

// Words made of two words that are there already, as byte-pair encoding makes them; of letters, so that a text of them
// can be read.
BpeVocabulary random_vocabulary(std::int64_t size, const std::vector<std::string>& control, std::uint64_t seed) {
  BpeVocabulary vocabulary{control, {}};
  std::vector<std::int32_t> words;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte >= 'a' && byte <= 'z') words.push_back(static_cast<std::int32_t>(vocabulary.tokens.size()));
    vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  }
  kernels::Random random(seed);
  std::unordered_set<std::string> known;
  while (static_cast<std::int64_t>(vocabulary.tokens.size()) < size) {
    const std::int32_t left = words[random.below(words.size())], right = words[random.below(words.size())];
    std::string word =
        vocabulary.tokens[static_cast<std::size_t>(left)] + vocabulary.tokens[static_cast<std::size_t>(right)];
    if (word.size() > kLongestToken || !known.insert(word).second) continue;
    words.push_back(static_cast<std::int32_t>(vocabulary.tokens.size()));
    vocabulary.tokens.push_back(std::move(word));
    vocabulary.merges.emplace_back(left, right);
  }
  return vocabulary;
}

std::string random_text(std::size_t bytes, kernels::Random& random) {
  std::string text;
  while (text.size() < bytes) {
    if (!text.empty()) text += ' ';
    for (std::uint64_t letters = 2 + random.below(9); letters > 0; --letters)
      text += static_cast<char>('a' + static_cast<char>(random.below(26)));
  }
  return text;
}

// Weights of a fresh decoder, by their names in the file. Uniform rather than normal, four from each random number: a
// hundred million are made in a second.
class RandomWeights {
 public:
  RandomWeights(const ModelConfig& config, std::uint64_t seed) : random_(seed) {
    const float into_stream = kDeviation / std::sqrt(2.0f * static_cast<float>(config.layer_count));
    matrix(std::string(config.names.embedding), config.vocab_size, config.hidden_size, kDeviation);
    for (std::int64_t layer = 0; layer < config.layer_count; ++layer) {
      const std::string block = config.names.block(layer);
      norm(block + std::string(config.names.attention_norm), config.hidden_size);
      norm(block + std::string(config.names.feed_forward_norm), config.hidden_size);
      for (const LinearKind kind : kLinearKinds) {
        const bool ends_branch = kind == LinearKind::kOutput || kind == LinearKind::kDown;
        matrix(config.names.linear(layer, kind), config.out_features(kind), config.in_features(kind),
               ends_branch ? into_stream : kDeviation);
      }
    }
    norm(std::string(config.names.final_norm), config.hidden_size);
  }
  void write(const std::filesystem::path& file) const {
    std::map<std::string, const Tensor*> named;
    for (const auto& [name, tensor] : tensors_) named[name] = &tensor;
    write_safetensors(file, named);
  }

 private:
  void matrix(const std::string& module, std::int64_t rows, std::int64_t columns, float deviation) {
    Tensor tensor({rows, columns}, kernels::DataType::kBFloat16);
    const float scale = deviation * std::sqrt(3.0f) / 32768.0f;  // a uniform number's deviation is its reach / sqrt(3)
    std::uint64_t bits = 0;
    int left = 0;
    for (kernels::BFloat16& value : tensor.values<kernels::BFloat16>()) {
      if (left == 0) bits = random_.bits();
      left = left == 0 ? 3 : left - 1;
      value = kernels::to_bfloat16(static_cast<float>(static_cast<std::int16_t>(bits & 0xffffu)) * scale);
      bits >>= 16;
    }
    tensors_[module + ".weight"] = std::move(tensor);
  }
  void norm(const std::string& module, std::int64_t size) {
    Tensor tensor({size}, kernels::DataType::kBFloat16);
    for (kernels::BFloat16& value : tensor.values<kernels::BFloat16>()) value = kernels::to_bfloat16(1.0f);
    tensors_[module + ".weight"] = std::move(tensor);
  }

  kernels::Random random_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace

ModelConfig config_of(const kernels::DecoderShape& shape, std::int64_t max_positions) {
  return model_config_from_json(platform::json::object{{"architectures", {"LlamaForCausalLM"}},
                                                       {"model_type", "llama"},
                                                       {"vocab_size", shape.vocabulary},
                                                       {"hidden_size", shape.hidden},
                                                       {"intermediate_size", shape.feed_forward},
                                                       {"num_hidden_layers", shape.layers},
                                                       {"num_attention_heads", shape.heads},
                                                       {"num_key_value_heads", shape.key_value_heads},
                                                       {"head_dim", shape.head_size()},
                                                       {"max_position_embeddings", max_positions},
                                                       {"rms_norm_eps", 1e-5},
                                                       {"tie_word_embeddings", true}});
}

void write_random_base(const std::filesystem::path& folder, const kernels::DecoderShape& shape,
                       std::int64_t max_positions, std::uint64_t seed) {
  BpeTrainerOptions options;
  options.vocabulary_size = static_cast<std::int32_t>(shape.vocabulary);
  options.special_tokens = nano_control_tokens();
  options.pad_token = options.special_tokens.at(0);
  options.bos_token = options.special_tokens.at(1);
  options.eos_token = options.special_tokens.at(2);
  options.chat_template = nano_chat_template();
  options.validate();
  write_tokenizer(folder, random_vocabulary(shape.vocabulary, options.special_tokens, seed), options);
  ModelConfig config = config_of(shape, max_positions);
  config.end_tokens = {2};
  RandomWeights(config, seed).write(folder / "model.safetensors");
  platform::json::value document = to_json(config);
  document.as_object()["torch_dtype"] = "bfloat16";
  platform::write_json_file(folder / "config.json", document);
}

void write_random_texts(const std::filesystem::path& file, std::int64_t count, std::int64_t tokens,
                        std::uint64_t seed) {
  kernels::Random random(seed);
  std::string lines;
  for (std::int64_t i = 0; i < count; ++i) {
    platform::Example example;
    example.id = "text" + std::to_string(i);
    // No token is longer than kLongestToken, and none reaches over a space.
    example.text = random_text(static_cast<std::size_t>(tokens) * kLongestToken, random);
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(file, lines);
}

}  // namespace finetune
