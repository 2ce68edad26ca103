#include "finetune/text/sentence_piece.h"

#include <sentencepiece_processor.h>

#include "finetune/text/byte_token.h"
#include "platform/base/error.h"
#include "platform/base/json.h"

namespace finetune {

using platform::Error;
using platform::ErrorCode;

namespace {

[[noreturn]] void refuse_model(std::string_view mistake) {
  throw Error(ErrorCode::kCorrupt,
              "tokenizer.model is no SentencePiece model: " + std::string(mistake) + "; fetch it again");
}

// The library tells mistakes by a status, but its tries throw: of a piece that begins with a zero byte, say.
void read_model(sentencepiece::SentencePieceProcessor& processor, std::string_view model) {
  try {
    const auto status = processor.LoadFromSerializedProto({model.data(), model.size()});
    if (!status.ok()) refuse_model(status.message());
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    refuse_model(error.what());
  }
  if (processor.GetPieceSize() == 0) refuse_model("it has no pieces");
}

void check_encoded(const sentencepiece::util::Status& status) {
  if (status.ok()) return;
  throw Error(ErrorCode::kInvalidInput,
              "tokenizer.model cannot encode the text: " + std::string(status.message()) + "; shorten it");
}

}  // namespace

struct SentencePiece::Library {
  sentencepiece::SentencePieceProcessor processor;
};

SentencePiece::SentencePiece(std::string_view model, std::string_view config_json)
    : library_(std::make_unique<Library>()) {
  sentencepiece::SentencePieceProcessor& processor = library_->processor;
  read_model(processor, model);
  const auto present = [](int id) { return id >= 0 ? std::optional<std::int32_t>(id) : std::nullopt; };
  bos = present(processor.bos_id());
  eos = present(processor.eos_id());
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    kinds.push_back(processor.IsControl(id) ? TokenKind::kSpecial : TokenKind::kPlain);
    if (!processor.IsControl(id)) continue;
    control_tokens_.push_back({.id = id, .content = processor.IdToPiece(id), .special = true});
    finder_.add(control_tokens_.back().content, &control_tokens_.back());
  }
  if (!config_json.empty()) read_config(config_json);
  if (add_bos_ && bos) opening = {*bos};
}

SentencePiece::~SentencePiece() = default;

void SentencePiece::read_config(std::string_view config_json) {
  const platform::json::value document = platform::parse_json(config_json, "tokenizer_config.json");
  const platform::json::object& config = platform::as_object(document, "tokenizer_config.json");
  add_bos_ = platform::bool_or(config, "add_bos_token", true, "tokenizer_config.json");
  add_eos_ = platform::bool_or(config, "add_eos_token", false, "tokenizer_config.json");
}

std::vector<std::int32_t> SentencePiece::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<std::int32_t> ids;
  if (options.add_special_tokens) ids = opening;
  for (const TextPart& part : finder_.split(text, options.parse_special_tokens)) {
    if (part.token) {
      ids.push_back(part.token->id);
      continue;
    }
    std::vector<int> found;
    check_encoded(library_->processor.Encode({part.text.data(), part.text.size()}, &found));
    ids.insert(ids.end(), found.begin(), found.end());
  }
  if (options.add_special_tokens && add_eos_ && eos) ids.push_back(*eos);
  return ids;
}

TokenSpans SentencePiece::encode_spans(std::string_view text, const EncodeOptions& options) const {
  TokenSpans found;
  if (options.add_special_tokens) {
    for (const std::int32_t id : opening) found.add(id, {});
  }
  for (const TextPart& part : finder_.split(text, options.parse_special_tokens)) {
    const auto begin = static_cast<std::size_t>(part.text.data() - text.data());
    if (part.token) {
      found.add(part.token->id, {begin, begin + part.text.size()});
      continue;
    }
    sentencepiece::ImmutableSentencePieceText pieces;
    check_encoded(library_->processor.Encode({part.text.data(), part.text.size()}, pieces.mutable_proto()));
    for (const auto& piece : pieces.pieces())
      found.add(static_cast<std::int32_t>(piece.id()), {begin + piece.begin(), begin + piece.end()});
  }
  if (options.add_special_tokens && add_eos_ && eos) found.add(*eos, {});
  return found;
}

std::string SentencePiece::decode(std::span<const std::int32_t> ids) const {
  std::string text;
  const auto status = library_->processor.Decode(std::vector<int>(ids.begin(), ids.end()), &text);
  if (!status.ok())
    throw Error(ErrorCode::kInvalidInput,
                "tokenizer.model cannot decode the tokens: " + std::string(status.message()) + "; fetch it again");
  return text;
}

std::string SentencePiece::bytes_of(std::int32_t id) const {
  const sentencepiece::SentencePieceProcessor& processor = library_->processor;
  std::string piece = processor.IdToPiece(id);
  if (processor.IsByte(id)) {
    if (const auto byte = byte_of_token(piece)) return {*byte};
  }
  if (processor.IsControl(id)) return {};
  // Not decoded, but for the one that has no text of its own: the first pieces of a text lose their spaces.
  if (processor.IsUnknown(id)) return decode({&id, 1});
  static constexpr std::string_view kSpace = "\u2581";
  for (std::size_t at = 0; (at = piece.find(kSpace, at)) != std::string::npos; ++at)
    piece.replace(at, kSpace.size(), " ");
  return piece;
}

std::optional<std::int32_t> SentencePiece::id_of(std::string_view token) const {
  const int id = library_->processor.PieceToId({token.data(), token.size()});
  // The library answers with the unknown piece for what is none.
  if (id < 0 || library_->processor.IdToPiece(id) != token) return std::nullopt;
  return id;
}

}  // namespace finetune
