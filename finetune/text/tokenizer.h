// Text to token ids and back, from a Hugging Face tokenizer.json (normalizer, added tokens, pre-tokenizer, model, post-
// processor and decoder, each from its own table of kinds) or a SentencePiece tokenizer.model. A kind that is in no
// table is refused by name, never read approximately. Immutable after construction; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/tokenizer_engine.h"

namespace finetune {

class Tokenizer {
 public:
  /// Reads tokenizer.json, or without it tokenizer.model, and tokenizer_config.json where it exists, from a model
  /// folder. Throws kNotFound, kInvalidInput naming the part that is not supported, or kCorrupt.
  static Tokenizer load(const std::filesystem::path& folder);
  /// From the documents' text; `config_json` may be empty.
  static Tokenizer from_json(std::string_view tokenizer_json, std::string_view config_json = {});

  /// Token ids of `text`; bytes that are not UTF-8 are read as U+FFFD. Throws kInvalidInput when a pattern of the file
  /// runs over its step limit.
  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// The same ids with their places, as Hugging Face's tokenizers give them. Of a text that is not UTF-8 they are the
  /// places in the text as it is read. Takes longer than encode().
  TokenSpans encode_spans(std::string_view text, const EncodeOptions& options = {}) const;
  /// Text of `ids`, always valid UTF-8; ids that are no token's are skipped. Control pieces of a SentencePiece model
  /// never give text.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens = true) const;

  /// Rows that an embedding needs: highest id + 1.
  std::int32_t vocabulary_size() const;
  std::optional<std::int32_t> token_id(std::string_view token) const;
  /// Bytes that the token adds inside a text, which may be a part of a character; empty where the id is unknown.
  std::string token_bytes(std::int32_t id) const;
  /// Whether decode() reads the id: it is a token's, and no special one that is to be skipped.
  bool is_visible(std::int32_t id, bool skip_special_tokens) const;
  bool is_special(std::int32_t id) const;

  /// What the file's template puts before a text that stands alone: begin-of-text, or nothing. Not every tokenizer that
  /// names a bos_token puts it there.
  const std::vector<std::int32_t>& opening() const;
  /// From tokenizer_config.json's bos_token and eos_token, or the SentencePiece model's own.
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> eos_id() const;

 private:
  explicit Tokenizer(std::unique_ptr<TokenizerEngine> engine);
  std::unique_ptr<TokenizerEngine> engine_;
};

}  // namespace finetune
