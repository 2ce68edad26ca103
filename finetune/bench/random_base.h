// A base folder with random weights, and texts for it: what speed is measured on. The folder is one that a publisher
// could hand out (config.json, model.safetensors in bfloat16, a tokenizer as large as the vocabulary), so that loading
// it takes what loading takes, and transformers reads it too. The same seed gives the same bytes. One thread.
#pragma once

#include <cstdint>
#include <filesystem>

#include "finetune/model/model_config.h"
#include "kernels/bench/decoder_shape.h"

namespace finetune {

/// A Llama of this shape whose head is the embedding; positions up to `max_positions`.
ModelConfig config_of(const kernels::DecoderShape& shape, std::int64_t max_positions);

/// Writes the folder. Throws kInvalidInput for a vocabulary that has no room for 256 bytes and the control tokens.
void write_random_base(const std::filesystem::path& folder, const kernels::DecoderShape& shape,
                       std::int64_t max_positions, std::uint64_t seed = 1);

/// Writes `count` training examples, plain texts of random letters of at least `tokens` tokens each in any tokenizer
/// that write_random_base() makes.
void write_random_texts(const std::filesystem::path& file, std::int64_t count, std::int64_t tokens,
                        std::uint64_t seed = 1);

}  // namespace finetune
