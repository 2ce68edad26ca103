// A SentencePiece tokenizer.model at work, through the format's own library; this pair is the only place that sees it.
// Immutable after construction; any thread.
#pragma once

#include <deque>
#include <memory>
#include <string_view>

#include "finetune/text/added_tokens.h"
#include "finetune/text/tokenizer_engine.h"

namespace finetune {

/// Control pieces give no text. The template is `add_bos_token` (on unless switched off) and `add_eos_token` (off
/// unless switched on) of tokenizer_config.json.
class SentencePiece : public TokenizerEngine {
 public:
  /// `config_json` may be empty. Throws kCorrupt where `model` is no such file.
  SentencePiece(std::string_view model, std::string_view config_json);
  ~SentencePiece() override;
  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options) const override;
  TokenSpans encode_spans(std::string_view text, const EncodeOptions& options) const override;
  std::string decode(std::span<const std::int32_t> ids) const override;
  std::string bytes_of(std::int32_t id) const override;
  std::optional<std::int32_t> id_of(std::string_view token) const override;

 private:
  struct Library;
  void read_config(std::string_view config_json);

  std::unique_ptr<Library> library_;
  std::deque<AddedToken> control_tokens_;  // a deque, because the finder points into it
  AddedTokenFinder finder_;
  bool add_bos_ = true;
  bool add_eos_ = false;
};

}  // namespace finetune
