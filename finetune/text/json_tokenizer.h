// A tokenizer.json at work: its parts one behind the other. Immutable after construction; any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "finetune/text/added_tokens.h"
#include "finetune/text/tokenizer_engine.h"
#include "finetune/text/tokenizer_file.h"

namespace finetune {

class JsonTokenizer : public TokenizerEngine {
 public:
  explicit JsonTokenizer(TokenizerFile file);
  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options) const override;
  TokenSpans encode_spans(std::string_view text, const EncodeOptions& options) const override;
  std::string decode(std::span<const std::int32_t> ids) const override;
  std::string bytes_of(std::int32_t id) const override;
  std::optional<std::int32_t> id_of(std::string_view token) const override;

 private:
  void set_token(std::int32_t id, const std::string& token, TokenKind kind);
  void add(const AddedToken& token);
  // `at_start`: the text is the beginning of the whole one.
  void encode_plain(std::string_view text, bool at_start, bool parse_special, std::vector<std::int32_t>& ids) const;

  // `at`: where the text stands in the whole one.
  void encode_plain_spans(std::string_view text, std::size_t at, bool parse_special, TokenSpans& found) const;

  void trim_places(TokenSpans& found) const;

  TokenizerFile file_;
  AddedTokenFinder raw_tokens_;
  AddedTokenFinder normalized_tokens_;
  // By id: bytes where the decoder is ByteLevel alone, else as the vocabulary spells it.
  std::vector<std::string> texts_;
  std::map<std::string, std::int32_t, std::less<>> added_ids_;
};

}  // namespace finetune
