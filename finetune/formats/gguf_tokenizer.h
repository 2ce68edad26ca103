// A tokenizer in a GGUF file: what llama.cpp reads (tokens with their kinds, merges or scores, the name of the
// pre-tokenizer, special ids, chat template), and the whole tokenizer.json under `tokenizer.huggingface.json`, as the
// format's description has it. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "finetune/formats/gguf.h"

namespace finetune {

struct TokenizerDocuments {
  std::string tokenizer_json;  // tokenizer.json
  std::string config_json;     // tokenizer_config.json; may be empty
};

/// The keys of a tokenizer for a model of `vocabulary_size` rows; rows without a token get fillers. `pre` names the
/// pre-tokenizer; empty: by its pattern. Throws kInvalidInput for a kind of tokenizer that llama.cpp does not have, and
/// for a pattern that has no name there.
GgufMetadata gguf_tokenizer_metadata(const TokenizerDocuments& documents, std::string_view chat_template,
                                     std::int64_t vocabulary_size, std::string_view pre = {});

/// The documents of a file's tokenizer: those that it carries, else made from its tokens, merges and the name of its
/// pre-tokenizer. Throws kInvalidInput where neither is possible.
TokenizerDocuments tokenizer_documents(const GgufFile& file);

}  // namespace finetune
