#include "finetune/text/tokenizer.h"

#include <algorithm>
#include <map>

#include "finetune/text/byte_level.h"
#include "finetune/text/normalizer.h"
#include "finetune/text/pre_tokenizer.h"
#include "finetune/text/tokenizer_file.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr std::uint64_t kMaxFileBytes = 128 << 20;

BytesToId byte_vocabulary(const TokenizerFile& file) {
  BytesToId vocabulary;
  vocabulary.reserve(file.vocabulary.size());
  for (const auto& [token, id] : file.vocabulary) {
    // A spelling outside the byte alphabet belongs to an added token; no text can merge into it.
    if (auto bytes = from_byte_alphabet(token)) vocabulary.emplace(std::move(*bytes), id);
  }
  return vocabulary;
}

}  // namespace

struct Tokenizer::Parts {
  struct Entry {
    std::string bytes;
    bool known = false;
    bool special = false;
  };

  explicit Parts(TokenizerFile source)
      : file(std::move(source)),
        normalizer(file.normalizer),
        pre_tokenizer(file.pre_tokenizer),
        bpe(byte_vocabulary(file), file.merges, file.ignore_merges, file.unknown_id, file.fuse_unknown) {
    if (!pre_tokenizer.byte_level()) {
      throw Error(ErrorCode::kInvalidInput,
                  "tokenizer.json: the pre_tokenizer has no ByteLevel step; only byte-level vocabularies are supported",
                  "pre_tokenizer");
    }
    for (const auto& [token, id] : file.vocabulary) set_entry(id, token, false);
    for (const AddedToken& token : file.added_tokens) add(token);
    bos = named(file.bos_token);
    eos = named(file.eos_token);
  }

  void set_entry(std::int32_t id, std::string_view token, bool special) {
    if (entries.size() <= static_cast<std::size_t>(id)) entries.resize(static_cast<std::size_t>(id) + 1);
    const auto bytes = from_byte_alphabet(token);
    entries[static_cast<std::size_t>(id)] = {bytes ? *bytes : std::string(token), true, special};
  }

  void add(const AddedToken& token) {
    // Such a token is looked for, and printed, in its normalised form.
    const std::string pattern = token.normalized ? normalizer.apply(token.content) : token.content;
    (token.normalized ? normalized_tokens : raw_tokens).add(pattern, &token);
    // The file's own library knows special tokens by their written content, so one that the normaliser changes is not
    // left out.
    set_entry(token.id, pattern, token.special && pattern == token.content);
    added_ids.emplace(token.content, token.id);
  }

  std::optional<std::int32_t> named(std::string_view token) const {
    if (const auto added = added_ids.find(token); added != added_ids.end()) return added->second;
    const auto found = file.vocabulary.find(token);
    if (found == file.vocabulary.end()) return std::nullopt;
    return found->second;
  }

  const Entry* entry(std::int32_t id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= entries.size() || !entries[static_cast<std::size_t>(id)].known)
      return nullptr;
    return &entries[static_cast<std::size_t>(id)];
  }

  void encode_plain(std::string_view text, bool parse_special, std::vector<std::int32_t>& ids) const {
    std::string changed;
    if (!normalizer.is_identity()) {
      changed = normalizer.apply(text);
      text = changed;
    }
    for (const TextPart& part : normalized_tokens.split(text, parse_special)) {
      if (part.token) {
        ids.push_back(part.token->id);
      } else {
        pre_tokenizer.split(part.text, true, [&](std::string_view word) { bpe.encode(word, ids); });
      }
    }
  }

  TokenizerFile file;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  AddedTokenFinder raw_tokens;
  AddedTokenFinder normalized_tokens;
  std::vector<Entry> entries;
  std::map<std::string, std::int32_t, std::less<>> added_ids;
  std::optional<std::int32_t> bos;
  std::optional<std::int32_t> eos;
};

Tokenizer Tokenizer::load(const std::filesystem::path& folder) {
  const std::filesystem::path config = folder / "tokenizer_config.json";
  const std::string config_text =
      std::filesystem::exists(config) ? platform::read_file(config, kMaxFileBytes) : std::string();
  return from_json(platform::read_file(folder / "tokenizer.json", kMaxFileBytes), config_text);
}

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, std::string_view config_json) {
  return Tokenizer(std::make_unique<Parts>(read_tokenizer_file(tokenizer_json, config_json)));
}

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::string repaired;
  if (!is_utf8(text)) {
    repaired = repair_utf8(text);
    text = repaired;
  }
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3 + 4);
  if (options.add_special_tokens) ids = parts_->file.prefix_ids;
  for (const TextPart& part : parts_->raw_tokens.split(text, options.parse_special_tokens)) {
    if (part.token) {
      ids.push_back(part.token->id);
    } else {
      parts_->encode_plain(part.text, options.parse_special_tokens, ids);
    }
  }
  if (options.add_special_tokens) ids.insert(ids.end(), parts_->file.suffix_ids.begin(), parts_->file.suffix_ids.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (!(skip_special_tokens && is_special(id))) bytes += token_bytes(id);
  }
  return is_utf8(bytes) ? bytes : repair_utf8(bytes);
}

std::int32_t Tokenizer::vocabulary_size() const { return static_cast<std::int32_t>(parts_->entries.size()); }

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const { return parts_->named(token); }

std::string_view Tokenizer::token_bytes(std::int32_t id) const {
  const Parts::Entry* entry = parts_->entry(id);
  return entry ? std::string_view(entry->bytes) : std::string_view();
}

bool Tokenizer::is_special(std::int32_t id) const {
  const Parts::Entry* entry = parts_->entry(id);
  return entry && entry->special;
}

std::optional<std::int32_t> Tokenizer::bos_id() const { return parts_->bos; }
std::optional<std::int32_t> Tokenizer::eos_id() const { return parts_->eos; }

std::string DecodeStream::push(std::int32_t id) {
  if (skip_special_tokens_ && tokenizer_->is_special(id)) return {};
  pending_ += tokenizer_->token_bytes(id);
  std::string text = repair_utf8(pending_);
  if (text.ends_with("\xEF\xBF\xBD")) return {};
  pending_.clear();
  return text;
}

std::string DecodeStream::finish() {
  std::string text = repair_utf8(pending_);
  pending_.clear();
  return text;
}

}  // namespace finetune
