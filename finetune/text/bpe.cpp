#include "finetune/text/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <queue>
#include <tuple>

#include "finetune/text/unicode.h"

namespace finetune {
namespace {

constexpr std::size_t kShortWord = 40;
constexpr std::size_t kMaxCachedBytes = 64;
constexpr std::size_t kMaxCachedWords = 8192;
constexpr std::int32_t kNoRank = std::numeric_limits<std::int32_t>::max();

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
}

std::size_t scatter(std::uint64_t key) { return (key ^ (key >> 29)) * 0x9E3779B97F4A7C15ull >> 20; }

}  // namespace

Bpe::Bpe(TokenToId vocabulary, const std::vector<BpeMerge>& merges, BpeOptions options)
    : vocabulary_(std::move(vocabulary)), options_(std::move(options)) {
  const auto id_of = [this](std::string_view token) {
    const auto found = vocabulary_.find(token);
    return found == vocabulary_.end() ? -1 : found->second;
  };
  if (options_.byte_fallback) fallback_.emplace(id_of);
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    byte_ids_[byte] = id_of(std::string_view(&character, 1));
  }
  for (const auto& [token, id] : vocabulary_) {
    if (texts_.size() <= static_cast<std::size_t>(id)) texts_.resize(static_cast<std::size_t>(id) + 1);
    texts_[static_cast<std::size_t>(id)] = token;
  }
  slots_.resize(std::bit_ceil(merges.size() * 2 + 2));
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    insert(pair_key(merges[rank].left, merges[rank].right), static_cast<std::int32_t>(rank), merges[rank].result);
  }
}

void Bpe::insert(std::uint64_t pair, std::int32_t rank, std::int32_t result) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = scatter(pair) & mask;
  while (slots_[at].pair != ~std::uint64_t{0} && slots_[at].pair != pair) at = (at + 1) & mask;
  slots_[at] = {pair, rank, result};  // the later one of two equal pairs counts
}

const Bpe::Slot* Bpe::find(std::int32_t left, std::int32_t right) const {
  const std::uint64_t pair = pair_key(left, right);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = scatter(pair) & mask; slots_[at].pair != ~std::uint64_t{0}; at = (at + 1) & mask) {
    if (slots_[at].pair == pair) return &slots_[at];
  }
  return nullptr;
}

// An unknown token waits for what ends its run, which byte tokens do not: they pass it. Lengths are bytes of the word.
class Bpe::SymbolList {
 public:
  SymbolList(const BpeOptions& options, std::size_t capacity) : options_(options) {
    ids.reserve(capacity);
    lengths.reserve(capacity);
  }
  void add(std::int32_t id, std::size_t length) {
    end_run();
    push(id, length);
  }
  bool add_bytes(const ByteFallback& fallback, std::string_view symbol) {
    const bool all = fallback.encode(symbol, ids);
    lengths.resize(ids.size(), 1);
    return all;
  }
  void add_unknown(std::string_view symbol, std::size_t length) {
    if (options_.unknown.name.empty()) {  // left out; its place goes to the symbol before it
      if (!lengths.empty()) lengths.back() += length;
      return;
    }
    if (!options_.fuse_unknown) end_run();
    waiting_ = options_.unknown.require_id(symbol);
    waiting_length_ += length;
  }
  void end_run() {
    if (waiting_) push(*waiting_, waiting_length_);
    waiting_.reset();
    waiting_length_ = 0;
  }
  std::vector<std::int32_t> ids;
  std::vector<std::size_t> lengths;

 private:
  void push(std::int32_t id, std::size_t length) {
    ids.push_back(id);
    lengths.push_back(length);
  }

  const BpeOptions& options_;
  std::optional<std::int32_t> waiting_;
  std::size_t waiting_length_ = 0;
};

Bpe::SymbolList Bpe::symbols_of(std::string_view word) const {
  SymbolList symbols(options_, word.size());
  options_.words_are_bytes ? add_bytes_of(word, symbols) : add_characters_of(word, symbols);
  symbols.end_run();
  return symbols;
}

void Bpe::add_bytes_of(std::string_view word, SymbolList& symbols) const {
  for (std::size_t at = 0; at < word.size(); ++at) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(word[at])];
    id >= 0 ? symbols.add(id, 1) : symbols.add_unknown(word.substr(at, 1), 1);
  }
}

void Bpe::add_characters_of(std::string_view word, SymbolList& symbols) const {
  const bool bare = options_.prefix.empty() && options_.suffix.empty();
  std::string marked;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t begin = at;
    next_code_point(word, at);
    std::string_view symbol = word.substr(begin, at - begin);
    if (!bare) {
      marked = (begin > 0 ? options_.prefix : "") + std::string(symbol) + (at == word.size() ? options_.suffix : "");
      symbol = marked;
    }
    if (const auto found = vocabulary_.find(symbol); found != vocabulary_.end()) {
      symbols.add(found->second, at - begin);
    } else if (!fallback_ || !symbols.add_bytes(*fallback_, symbol)) {
      symbols.add_unknown(symbol, at - begin);
    }
  }
}

void Bpe::merge_short(std::vector<std::int32_t>& symbols) const {
  std::array<std::int32_t, kShortWord> ranks{};
  std::array<std::int32_t, kShortWord> results{};
  const auto look_up = [&](std::size_t i) {
    const Slot* slot = find(symbols[i], symbols[i + 1]);
    ranks[i] = slot ? slot->rank : kNoRank;
    results[i] = slot ? slot->result : 0;
  };
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) look_up(i);
  while (symbols.size() > 1) {
    const std::size_t pairs = symbols.size() - 1;
    const auto best = static_cast<std::size_t>(
        std::min_element(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(pairs)) - ranks.begin());
    if (ranks[best] == kNoRank) return;
    symbols[best] = results[best];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    for (std::size_t i = best + 1; i + 1 < pairs; ++i) {
      ranks[i] = ranks[i + 1];
      results[i] = results[i + 1];
    }
    if (best > 0) look_up(best - 1);
    if (best + 1 < symbols.size()) look_up(best);
  }
}

// A linked list over the symbols and a queue of candidate pairs; a queue entry is stale once either half has changed.
void Bpe::merge_long(std::vector<std::int32_t>& symbols) const {
  const auto count = static_cast<std::int32_t>(symbols.size());
  std::vector<std::int32_t> previous(symbols.size());
  std::vector<std::int32_t> next(symbols.size());
  for (std::int32_t i = 0; i < count; ++i) {
    previous[static_cast<std::size_t>(i)] = i - 1;
    next[static_cast<std::size_t>(i)] = i + 1;
  }
  const auto at = [](std::int32_t i) { return static_cast<std::size_t>(i); };
  using Candidate = std::tuple<std::int32_t, std::int32_t, std::int32_t>;  // rank, position of the left half, result
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](std::int32_t left) {
    if (left < 0 || next[at(left)] >= count) return;
    if (const Slot* slot = find(symbols[at(left)], symbols[at(next[at(left)])]))
      queue.emplace(slot->rank, left, slot->result);
  };
  for (std::int32_t i = 0; i + 1 < count; ++i) offer(i);
  while (!queue.empty()) {
    const auto [rank, left, result] = queue.top();
    queue.pop();
    const std::int32_t right = symbols[at(left)] < 0 ? count : next[at(left)];
    if (right >= count) continue;
    const Slot* slot = find(symbols[at(left)], symbols[at(right)]);
    if (!slot || slot->rank != rank) continue;
    symbols[at(left)] = result;
    symbols[at(right)] = -1;
    next[at(left)] = next[at(right)];
    if (next[at(left)] < count) previous[at(next[at(left)])] = left;
    offer(previous[at(left)]);
    offer(left);
  }
  std::erase(symbols, -1);
}

void Bpe::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (options_.ignore_merges) {
    if (const auto found = vocabulary_.find(word); found != vocabulary_.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  CacheShard* shard = word.size() <= kMaxCachedBytes ? &cache_[TokenHash()(word) % kShards] : nullptr;
  if (shard) {
    const std::lock_guard lock(shard->mutex);
    if (const auto found = shard->words.find(word); found != shard->words.end()) {
      ids.insert(ids.end(), found->second.begin(), found->second.end());
      return;
    }
  }
  std::vector<std::int32_t> symbols = symbols_of(word).ids;
  symbols.size() <= kShortWord ? merge_short(symbols) : merge_long(symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
  if (!shard) return;
  const std::lock_guard lock(shard->mutex);
  if (shard->words.size() < kMaxCachedWords) shard->words.emplace(word, std::move(symbols));
}

std::size_t Bpe::length_of(std::int32_t id, std::string_view word, std::size_t at) const {
  std::string_view text = texts_[static_cast<std::size_t>(id)];
  if (options_.words_are_bytes) return text.size();
  if (at > 0 && text.starts_with(options_.prefix)) text.remove_prefix(options_.prefix.size());
  const bool last = at + text.size() == word.size() + options_.suffix.size();
  if (last && text.ends_with(options_.suffix)) text.remove_suffix(options_.suffix.size());
  return text.size();
}

void Bpe::encode_pieces(std::string_view word, std::vector<TokenPiece>& pieces) const {
  std::vector<std::int32_t> ids;
  encode(word, ids);
  const SymbolList symbols = symbols_of(word);
  std::size_t next = 0, at = 0;
  for (const std::int32_t id : ids) {
    // A token is a symbol, or as many as its text is long.
    const bool merged = next < symbols.ids.size() && symbols.ids[next] != id;
    const std::size_t wanted = merged ? length_of(id, word, at) : 1;
    std::size_t length = 0;
    while (next < symbols.ids.size() && length < wanted) length += symbols.lengths[next++];
    // Marks of a symbol that became bytes are none of the word's.
    const std::size_t end = std::min(word.size(), at + length);
    pieces.push_back({id, {at, end}});
    at = end;
  }
}

}  // namespace finetune
