// Trains a byte-level BPE vocabulary and writes it as tokenizer.json and tokenizer_config.json that Hugging Face's
// tokenizers load. All 256 bytes are tokens, so no text has an unknown part. The same texts and options give the same
// bytes on every machine. One call uses one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace finetune {

enum class SplitPattern {
  kGpt2,         // runs of letters, of digits, of other characters
  kLlama3,       // digits in groups of up to three
  kSingleDigits  // as kLlama3 with every digit apart
};

struct BpeTrainerOptions {
  /// Control tokens included.
  std::int32_t vocabulary_size = 4096;
  /// Get the first ids, in this order.
  std::vector<std::string> special_tokens;
  SplitPattern pattern = SplitPattern::kSingleDigits;
  /// A pair seen less often is not merged; the vocabulary may then stay smaller.
  std::int64_t minimum_pair_count = 2;
  /// Longer tokens are not made.
  std::size_t maximum_token_bytes = 24;
  /// Normalise text to NFC, so that decomposed Hangul gives the same tokens.
  bool nfc = true;
  /// Names for tokenizer_config.json; each must be one of special_tokens or empty.
  std::string bos_token;
  std::string eos_token;
  std::string pad_token;
  /// Written as chat_template.jinja; empty: none.
  std::string chat_template;

  /// Throws kInvalidInput naming the field.
  void validate() const;
};

struct BpeVocabulary {
  /// Byte strings; index = id. Special tokens first, then the 256 bytes, then merges in order.
  std::vector<std::string> tokens;
  /// Ids of the two halves, in rank order.
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;
};

/// Learns from whole texts; a word never crosses a text's border.
BpeVocabulary train_bpe(const std::vector<std::filesystem::path>& text_files, const BpeTrainerOptions& options);
/// Writes tokenizer.json, tokenizer_config.json and the chat template, if there is one, into `folder`.
void write_tokenizer(const std::filesystem::path& folder, const BpeVocabulary& vocabulary,
                     const BpeTrainerOptions& options);

}  // namespace finetune
