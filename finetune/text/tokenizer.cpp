#include "finetune/text/tokenizer.h"

#include "finetune/text/json_tokenizer.h"
#include "finetune/text/sentence_piece.h"
#include "finetune/text/unicode.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

constexpr std::uint64_t kMaxFileBytes = 128 << 20;

std::string read_if_there(const std::filesystem::path& path) {
  return std::filesystem::exists(path) ? platform::read_file(path, kMaxFileBytes) : std::string();
}

}  // namespace

Tokenizer Tokenizer::load(const std::filesystem::path& folder) {
  const std::string config = read_if_there(folder / "tokenizer_config.json");
  const std::filesystem::path model = folder / "tokenizer.model";
  if (!std::filesystem::exists(folder / "tokenizer.json") && std::filesystem::exists(model))
    return Tokenizer(std::make_unique<SentencePiece>(platform::read_file(model, kMaxFileBytes), config));
  return from_json(platform::read_file(folder / "tokenizer.json", kMaxFileBytes), config);
}

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, std::string_view config_json) {
  return Tokenizer(std::make_unique<JsonTokenizer>(read_tokenizer_file(tokenizer_json, config_json)));
}

Tokenizer::Tokenizer(std::unique_ptr<TokenizerEngine> engine) : engine_(std::move(engine)) {}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  return is_utf8(text) ? engine_->encode(text, options) : engine_->encode(repair_utf8(text), options);
}

TokenSpans Tokenizer::encode_spans(std::string_view text, const EncodeOptions& options) const {
  return is_utf8(text) ? engine_->encode_spans(text, options) : engine_->encode_spans(repair_utf8(text), options);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  std::vector<std::int32_t> visible;
  visible.reserve(ids.size());
  for (const std::int32_t id : ids) {
    if (is_visible(id, skip_special_tokens)) visible.push_back(id);
  }
  return engine_->decode(visible);
}

std::int32_t Tokenizer::vocabulary_size() const { return static_cast<std::int32_t>(engine_->kinds.size()); }

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const { return engine_->id_of(token); }

std::string Tokenizer::token_bytes(std::int32_t id) const {
  return engine_->kind(id) == TokenKind::kAbsent ? std::string() : engine_->bytes_of(id);
}

bool Tokenizer::is_visible(std::int32_t id, bool skip_special_tokens) const {
  const TokenKind kind = engine_->kind(id);
  return kind == TokenKind::kPlain || (kind == TokenKind::kSpecial && !skip_special_tokens);
}

bool Tokenizer::is_special(std::int32_t id) const { return engine_->kind(id) == TokenKind::kSpecial; }

const std::vector<std::int32_t>& Tokenizer::opening() const { return engine_->opening; }
std::optional<std::int32_t> Tokenizer::bos_id() const { return engine_->bos; }
std::optional<std::int32_t> Tokenizer::eos_id() const { return engine_->eos; }

}  // namespace finetune
