// Text to token ids and back, from a Hugging Face tokenizer.json: byte-level BPE with its normalisers, pre-tokenisers,
// added tokens and template. A file that needs anything else is refused by name, never read approximately.
// A Tokenizer is immutable after construction and may be used from any thread; a DecodeStream belongs to one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

struct EncodeOptions {
  /// Adds what the file's template adds (begin-of-text and the like).
  bool add_special_tokens = false;
  /// Off: "<|end|>" in a user's text stays plain text and can never become the control token. On only for text that we
  /// rendered ourselves.
  bool parse_special_tokens = false;
};

class Tokenizer {
 public:
  /// Reads tokenizer.json, and tokenizer_config.json where it exists, from a model folder. Throws kNotFound,
  /// kInvalidInput naming the part that is not supported, or kCorrupt.
  static Tokenizer load(const std::filesystem::path& folder);
  /// From the documents' text; `config_json` may be empty.
  static Tokenizer from_json(std::string_view tokenizer_json, std::string_view config_json = {});

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Token ids of `text`; bytes that are not UTF-8 are read as U+FFFD. Throws kInvalidInput when a pattern of the file
  /// runs over its step limit.
  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// Text of `ids`, always valid UTF-8; ids out of range are skipped.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens = true) const;

  /// Rows that an embedding needs: highest id + 1.
  std::int32_t vocabulary_size() const;
  std::optional<std::int32_t> token_id(std::string_view token) const;
  /// Bytes that the token stands for; empty where the id is unknown.
  std::string_view token_bytes(std::int32_t id) const;
  bool is_special(std::int32_t id) const;

  /// From tokenizer_config.json's bos_token and eos_token.
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> eos_id() const;

 private:
  struct Parts;
  explicit Tokenizer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Text of a growing sequence, a chunk a token, never half a character: a chunk is held back while it ends inside one.
class DecodeStream {
 public:
  explicit DecodeStream(const Tokenizer& tokenizer, bool skip_special_tokens = true)
      : tokenizer_(&tokenizer), skip_special_tokens_(skip_special_tokens) {}
  /// The text that this token completes; "" while waiting.
  std::string push(std::int32_t id);
  /// What is still held back, broken bytes as U+FFFD; the stream is empty afterwards.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  std::string pending_;
};

}  // namespace finetune
