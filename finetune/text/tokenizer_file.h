// The parts of a tokenizer.json (and tokenizer_config.json), checked against each other; what Tokenizer is built from.
// Immutable after reading; any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/added_tokens.h"
#include "finetune/text/decoder.h"
#include "finetune/text/model_reader.h"
#include "finetune/text/normalizer.h"
#include "finetune/text/post_processor.h"
#include "finetune/text/pre_tokenizer.h"

namespace finetune {

struct TokenizerFile {
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  PostProcessor post_processor;
  Decoder decoder;
  std::unique_ptr<TokenModel> model;
  /// Without the added tokens that are not in the model's vocabulary.
  Vocabulary vocabulary;
  /// A deque, because finders point into it.
  std::deque<AddedToken> added_tokens;
  std::string bos_token;
  std::string eos_token;
};

/// Throws kInvalidInput naming the part that is not supported, or kCorrupt where the parts contradict each other.
TokenizerFile read_tokenizer_file(std::string_view tokenizer_json, std::string_view config_json);

}  // namespace finetune
