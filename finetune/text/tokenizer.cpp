#include "finetune/text/tokenizer.h"

#include <algorithm>
#include <map>

#include "finetune/text/byte_level.h"
#include "finetune/text/tokenizer_file.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr std::uint64_t kMaxFileBytes = 128 << 20;

}  // namespace

struct Tokenizer::Parts {
  struct Entry {
    std::string text;  // bytes where the decoder is ByteLevel alone, else as the vocabulary spells it
    bool known = false;
    bool special = false;
  };

  explicit Parts(TokenizerFile source) : file(std::move(source)) {
    for (const auto& [token, id] : file.vocabulary) set_entry(id, token, false);
    for (const AddedToken& token : file.added_tokens) add(token);
    bos = named(file.bos_token);
    eos = named(file.eos_token);
  }

  void set_entry(std::int32_t id, const std::string& token, bool special) {
    if (entries.size() <= static_cast<std::size_t>(id)) entries.resize(static_cast<std::size_t>(id) + 1);
    entries[static_cast<std::size_t>(id)] = {
        file.decoder.byte_level() ? from_byte_alphabet(token).value_or(token) : token, true, special};
  }

  void add(const AddedToken& token) {
    // Such a token is looked for, and printed, in its normalised form.
    const std::string pattern = token.normalized ? file.normalizer.apply(token.content) : token.content;
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

  // `at_start`: the text is the beginning of the whole one.
  void encode_plain(std::string_view text, bool at_start, bool parse_special, std::vector<std::int32_t>& ids) const {
    std::string changed;
    if (!file.normalizer.is_identity()) {
      changed = file.normalizer.apply(text);
      text = changed;
    }
    const bool spell = file.pre_tokenizer.byte_level() && !file.model->takes_bytes();
    for (const TextPart& part : normalized_tokens.split(text, parse_special)) {
      if (part.token) {
        ids.push_back(part.token->id);
        continue;
      }
      file.pre_tokenizer.split(part.text, at_start && part.text.data() == text.data(), [&](std::string_view word) {
        spell ? file.model->encode(to_byte_alphabet(word), ids) : file.model->encode(word, ids);
      });
    }
  }

  TokenizerFile file;
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
  if (options.add_special_tokens) ids = parts_->file.post_processor.prefix();
  for (const TextPart& part : parts_->raw_tokens.split(text, options.parse_special_tokens)) {
    if (part.token) {
      ids.push_back(part.token->id);
    } else {
      parts_->encode_plain(part.text, part.text.data() == text.data(), options.parse_special_tokens, ids);
    }
  }
  const std::vector<std::int32_t>& suffix = parts_->file.post_processor.suffix();
  if (options.add_special_tokens) ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  const Decoder& decoder = parts_->file.decoder;
  std::string bytes;
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids) {
    if (!is_visible(id, skip_special_tokens)) continue;
    const std::string& text = parts_->entry(id)->text;
    decoder.byte_level() ? bytes.append(text) : tokens.emplace_back(text);
  }
  if (!decoder.byte_level()) return decoder.decode(std::move(tokens));
  return is_utf8(bytes) ? bytes : repair_utf8(bytes);
}

std::int32_t Tokenizer::vocabulary_size() const { return static_cast<std::int32_t>(parts_->entries.size()); }

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const { return parts_->named(token); }

std::string Tokenizer::token_bytes(std::int32_t id) const {
  const Parts::Entry* entry = parts_->entry(id);
  if (!entry) return {};
  return parts_->file.decoder.byte_level() ? entry->text : parts_->file.decoder.bytes_of(entry->text);
}

bool Tokenizer::is_visible(std::int32_t id, bool skip_special_tokens) const {
  const Parts::Entry* entry = parts_->entry(id);
  return entry && !(skip_special_tokens && entry->special);
}

bool Tokenizer::is_special(std::int32_t id) const {
  const Parts::Entry* entry = parts_->entry(id);
  return entry && entry->special;
}

std::optional<std::int32_t> Tokenizer::bos_id() const { return parts_->bos; }
std::optional<std::int32_t> Tokenizer::eos_id() const { return parts_->eos; }

}  // namespace finetune
