#include "finetune/text/bpe_trainer.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "finetune/text/added_tokens.h"
#include "finetune/text/bpe.h"
#include "finetune/text/byte_level.h"
#include "finetune/text/pre_tokenizer.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

constexpr const char* kLlama3Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kSingleDigitsExpression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

json::value pre_tokenizer_json(SplitPattern pattern) {
  json::object bytes{{"type", "ByteLevel"},
                     {"add_prefix_space", false},
                     {"trim_offsets", true},
                     {"use_regex", pattern == SplitPattern::kGpt2}};
  if (pattern == SplitPattern::kGpt2) return bytes;
  const char* expression = pattern == SplitPattern::kLlama3 ? kLlama3Expression : kSingleDigitsExpression;
  json::object split{
      {"type", "Split"}, {"pattern", json::object{{"Regex", expression}}}, {"behavior", "Isolated"}, {"invert", false}};
  return json::object{{"type", "Sequence"}, {"pretokenizers", json::array{std::move(split), std::move(bytes)}}};
}

using WordCounts = std::unordered_map<std::string, std::int64_t, TokenHash, std::equal_to<>>;

void count_words(const std::filesystem::path& path, const BpeTrainerOptions& options, WordCounts& counts) {
  std::vector<AddedToken> specials(options.special_tokens.size());
  AddedTokenFinder finder;
  for (std::size_t i = 0; i < specials.size(); ++i) {
    specials[i].content = options.special_tokens[i];
    finder.add(specials[i].content, &specials[i]);
  }
  const PreTokenizer pre_tokenizer(pre_tokenizer_json(options.pattern));
  const std::string text = repair_utf8(platform::read_file(path, std::uint64_t{4} << 30));
  for (const TextPart& part : finder.split(text, true)) {
    if (part.token) continue;
    const std::string changed = options.nfc ? normalized(part.text, NormalForm::kNfc) : std::string(part.text);
    pre_tokenizer.split(changed, true, [&](std::string_view word) {
      const auto found = counts.find(word);
      if (found != counts.end())
        ++found->second;
      else
        counts.emplace(word, 1);
    });
  }
}

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
}

// Words as symbol lists, and for each neighbouring pair its count and the words it stands in. A merge touches only
// these.
class MergeLearner {
 public:
  MergeLearner(const WordCounts& counts, const BpeTrainerOptions& options) : options_(options) {
    vocabulary_.tokens = options.special_tokens;
    const auto first_byte = static_cast<std::int32_t>(vocabulary_.tokens.size());
    for (int byte = 0; byte < 256; ++byte) vocabulary_.tokens.emplace_back(1, static_cast<char>(byte));
    std::vector<std::pair<std::string_view, std::int64_t>> sorted(counts.begin(), counts.end());
    std::sort(sorted.begin(), sorted.end());
    for (const auto& [text, count] : sorted) {
      Word word{{}, count};
      for (const char byte : text) word.symbols.push_back(first_byte + static_cast<unsigned char>(byte));
      words_.push_back(std::move(word));
    }
    for (std::uint32_t i = 0; i < words_.size(); ++i) {
      for (std::size_t at = 0; at + 1 < words_[i].symbols.size(); ++at)
        change(words_[i].symbols[at], words_[i].symbols[at + 1], words_[i].count, i);
    }
    for (const auto& [pair, state] : pairs_) queue_.push({state.count, pair});
    changed_.clear();
  }

  BpeVocabulary learn() {
    while (static_cast<std::int32_t>(vocabulary_.tokens.size()) < options_.vocabulary_size && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const auto state = pairs_.find(best.pair);
      if (state == pairs_.end() || state->second.count != best.count) continue;  // stale; a fresh entry is in the queue
      if (best.count < options_.minimum_pair_count) break;
      merge(best.pair);
    }
    return std::move(vocabulary_);
  }

 private:
  struct Word {
    std::vector<std::int32_t> symbols;
    std::int64_t count;
  };
  struct PairState {
    std::int64_t count = 0;
    std::vector<std::uint32_t> words;  // may name a word twice, or one that has lost the pair
  };
  struct Candidate {
    std::int64_t count;
    std::uint64_t pair;
    // The most frequent pair first, of equal ones that with the older tokens.
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void change(std::int32_t left, std::int32_t right, std::int64_t by, std::uint32_t word) {
    const std::uint64_t pair = pair_key(left, right);
    PairState& state = pairs_[pair];
    state.count += by;
    if (by > 0 && (state.words.empty() || state.words.back() != word)) state.words.push_back(word);
    changed_.insert(pair);
  }

  std::int32_t token_for(const std::string& bytes) {
    // Two different pairs may spell the same bytes; they share the token.
    const auto [found, made] = merged_ids_.try_emplace(bytes, static_cast<std::int32_t>(vocabulary_.tokens.size()));
    if (made) vocabulary_.tokens.push_back(bytes);
    return found->second;
  }

  void merge(std::uint64_t pair) {
    const auto left = static_cast<std::int32_t>(pair >> 32);
    const auto right = static_cast<std::int32_t>(pair & 0xFFFFFFFFu);
    const std::string bytes =
        vocabulary_.tokens[static_cast<std::size_t>(left)] + vocabulary_.tokens[static_cast<std::size_t>(right)];
    const std::vector<std::uint32_t> words = std::move(pairs_[pair].words);
    pairs_.erase(pair);
    if (bytes.size() > options_.maximum_token_bytes) return;
    const std::int32_t merged = token_for(bytes);
    vocabulary_.merges.emplace_back(left, right);
    changed_.clear();
    for (const std::uint32_t word : words) merge_in(word, left, right, merged);
    changed_.erase(pair);
    pairs_.erase(pair);
    for (const std::uint64_t changed : changed_) {
      const auto state = pairs_.find(changed);
      if (state->second.count > 0)
        queue_.push({state->second.count, changed});
      else
        pairs_.erase(state);
    }
  }

  void merge_in(std::uint32_t index, std::int32_t left, std::int32_t right, std::int32_t merged) {
    Word& word = words_[index];
    std::vector<std::int32_t>& symbols = word.symbols;
    for (std::size_t at = 0; at + 1 < symbols.size(); ++at) {
      if (symbols[at] != left || symbols[at + 1] != right) continue;
      if (at > 0) {
        change(symbols[at - 1], left, -word.count, index);
        change(symbols[at - 1], merged, word.count, index);
      }
      if (at + 2 < symbols.size()) {
        change(right, symbols[at + 2], -word.count, index);
        change(merged, symbols[at + 2], word.count, index);
      }
      symbols[at] = merged;
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
  }

  const BpeTrainerOptions& options_;
  BpeVocabulary vocabulary_;
  std::vector<Word> words_;
  std::unordered_map<std::uint64_t, PairState> pairs_;
  std::unordered_set<std::uint64_t> changed_;
  std::unordered_map<std::string, std::int32_t> merged_ids_;
  std::priority_queue<Candidate> queue_;
};

json::object added_token_json(std::size_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

json::value post_processor_json(const BpeTrainerOptions& options) {
  if (options.bos_token.empty())
    return json::object{
        {"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  const auto id = std::find(options.special_tokens.begin(), options.special_tokens.end(), options.bos_token) -
                  options.special_tokens.begin();
  const auto special = [&](int type) {
    return json::object{{"SpecialToken", json::object{{"id", options.bos_token}, {"type_id", type}}}};
  };
  const auto text = [](const char* name, int type) {
    return json::object{{"Sequence", json::object{{"id", name}, {"type_id", type}}}};
  };
  json::object named{{"id", options.bos_token}, {"ids", json::array{id}}, {"tokens", json::array{options.bos_token}}};
  return json::object{{"type", "TemplateProcessing"},
                      {"single", json::array{special(0), text("A", 0)}},
                      {"pair", json::array{special(0), text("A", 0), text("B", 1)}},
                      {"special_tokens", json::object{{options.bos_token, std::move(named)}}}};
}

json::object model_json(const BpeVocabulary& vocabulary, std::size_t special_count) {
  json::object ids;
  const auto spelled = [&](std::size_t id) {
    return id < special_count ? vocabulary.tokens[id] : to_byte_alphabet(vocabulary.tokens[id]);
  };
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) ids[spelled(id)] = id;
  json::array merges;
  for (const auto& [left, right] : vocabulary.merges) {
    merges.emplace_back(spelled(static_cast<std::size_t>(left)) + " " + spelled(static_cast<std::size_t>(right)));
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", std::move(ids)},
          {"merges", std::move(merges)}};
}

}  // namespace

void BpeTrainerOptions::validate() const {
  const auto fail = [](const std::string& message, const char* field) {
    throw Error(ErrorCode::kInvalidInput, message, field);
  };
  const auto least = static_cast<std::int32_t>(special_tokens.size()) + 256;
  if (vocabulary_size < least)
    fail("vocabulary_size must be at least " + std::to_string(least) + " (256 bytes and the special tokens), not " +
             std::to_string(vocabulary_size),
         "vocabulary_size");
  if (vocabulary_size > 1'000'000) fail("vocabulary_size must be at most 1000000", "vocabulary_size");
  if (minimum_pair_count < 1) fail("minimum_pair_count must be at least 1", "minimum_pair_count");
  if (maximum_token_bytes < 2) fail("maximum_token_bytes must be at least 2", "maximum_token_bytes");
  for (const std::string& token : special_tokens) {
    if (token.size() < 2 || std::count(special_tokens.begin(), special_tokens.end(), token) > 1)
      fail("special token is too short or stands twice: '" + token + "'", "special_tokens");
  }
  for (const std::string* token : {&bos_token, &eos_token, &pad_token}) {
    if (!token->empty() && std::find(special_tokens.begin(), special_tokens.end(), *token) == special_tokens.end()) {
      fail("'" + *token + "' is not one of special_tokens", "special_tokens");
    }
  }
}

BpeVocabulary train_bpe(const std::vector<std::filesystem::path>& text_files, const BpeTrainerOptions& options) {
  options.validate();
  WordCounts counts;
  for (const auto& path : text_files) count_words(path, options, counts);
  return MergeLearner(counts, options).learn();
}

void write_tokenizer(const std::filesystem::path& folder, const BpeVocabulary& vocabulary,
                     const BpeTrainerOptions& options) {
  options.validate();
  json::array added;
  for (std::size_t id = 0; id < options.special_tokens.size(); ++id)
    added.push_back(added_token_json(id, options.special_tokens[id]));
  json::value normalizer = nullptr;
  if (options.nfc) normalizer = json::object{{"type", "NFC"}};
  const json::object document{
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", std::move(added)},
      {"normalizer", std::move(normalizer)},
      {"pre_tokenizer", pre_tokenizer_json(options.pattern)},
      {"post_processor", post_processor_json(options)},
      {"decoder",
       json::object{{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}}},
      {"model", model_json(vocabulary, options.special_tokens.size())}};
  json::object config{{"tokenizer_class", "PreTrainedTokenizerFast"},
                      {"clean_up_tokenization_spaces", false},
                      {"model_max_length", 1000000}};
  if (!options.bos_token.empty()) config["bos_token"] = options.bos_token;
  if (!options.eos_token.empty()) config["eos_token"] = options.eos_token;
  if (!options.pad_token.empty()) config["pad_token"] = options.pad_token;
  std::filesystem::create_directories(folder);
  platform::write_file_atomically(folder / "tokenizer.json", platform::pretty_json(document));
  platform::write_file_atomically(folder / "tokenizer_config.json", platform::pretty_json(config));
  if (!options.chat_template.empty())
    platform::write_file_atomically(folder / "chat_template.jinja", options.chat_template);
}

}  // namespace finetune
