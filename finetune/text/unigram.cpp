#include "finetune/text/unigram.h"

#include <algorithm>

#include "finetune/text/unicode.h"

namespace finetune {
namespace {

// How much worse than the worst piece an unknown character is.
constexpr double kUnknownPenalty = 10.0;

TokenToId index(const std::vector<std::pair<std::string, double>>& pieces) {
  TokenToId ids;
  ids.reserve(pieces.size());
  for (std::size_t id = 0; id < pieces.size(); ++id) ids[pieces[id].first] = static_cast<std::int32_t>(id);
  return ids;
}

PieceTrie trie_of(const std::vector<std::pair<std::string, double>>& pieces) {
  std::vector<std::pair<std::string_view, std::int32_t>> values;
  values.reserve(pieces.size());
  for (const auto& [piece, score] : pieces) values.emplace_back(piece, static_cast<std::int32_t>(values.size()));
  return PieceTrie(std::move(values));
}

double lowest(const std::vector<std::pair<std::string, double>>& pieces) {
  double score = pieces.empty() ? 0 : pieces.front().second;
  for (const auto& piece : pieces) score = std::min(score, piece.second);
  return score;
}

}  // namespace

// The best way to the end of a prefix of the word.
struct Unigram::Best {
  double score = 0;
  std::size_t begin = kNone;  // where its last piece begins
  std::int32_t id = 0;
  static constexpr std::size_t kNone = ~std::size_t{0};

  void offer(double candidate, std::size_t from, std::int32_t piece) {
    if (begin == kNone || candidate > score) *this = {candidate, from, piece};
  }
};

Unigram::Unigram(std::vector<std::pair<std::string, double>> pieces, UnknownToken unknown, bool byte_fallback)
    : pieces_(std::move(pieces)),
      ids_(index(pieces_)),
      trie_(trie_of(pieces_)),
      unknown_(std::move(unknown)),
      unknown_score_(lowest(pieces_) - kUnknownPenalty) {
  if (byte_fallback) bytes_.emplace([this](std::string_view piece) { return id_of(piece); });
}

std::int32_t Unigram::id_of(std::string_view piece) const {
  const auto found = ids_.find(piece);
  return found == ids_.end() ? -1 : found->second;
}

std::vector<Unigram::Best> Unigram::best_path(std::string_view word) const {
  std::vector<Best> best(word.size() + 1);
  for (std::size_t at = 0; at < word.size();) {
    std::size_t next = at;
    next_code_point(word, next);
    const double before = best[at].score;
    bool character_known = false;
    trie_.for_each_prefix(word.substr(at), [&](std::size_t length, std::int32_t id) {
      best[at + length].offer(before + pieces_[static_cast<std::size_t>(id)].second, at, id);
      character_known = character_known || at + length == next;
    });
    if (!character_known) best[next].offer(before + unknown_score_, at, unknown_.id.value_or(-1));
    at = next;
  }
  return best;
}

std::vector<ByteSpan> Unigram::parts_of(std::string_view word) const {
  const std::vector<Best> best = best_path(word);
  const auto is_unknown = [&](std::size_t end) { return best[end].id == unknown_.id.value_or(-1); };
  std::vector<ByteSpan> parts;
  for (std::size_t end = word.size(); end > 0;) {
    std::size_t begin = best[end].begin;
    while (is_unknown(end) && begin > 0 && is_unknown(begin)) begin = best[begin].begin;
    parts.push_back({begin, end});
    end = begin;
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

void Unigram::encode_part(std::string_view part, std::vector<std::int32_t>& ids) const {
  if (const std::int32_t id = id_of(part); id >= 0) {
    ids.push_back(id);
  } else if (!bytes_ || !bytes_->encode(part, ids)) {
    ids.push_back(unknown_.require_id(part));
  }
}

void Unigram::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  for (const ByteSpan& part : parts_of(word)) encode_part(word.substr(part.begin, part.end - part.begin), ids);
}

void Unigram::encode_pieces(std::string_view word, std::vector<TokenPiece>& pieces) const {
  std::vector<std::int32_t> ids;
  for (const ByteSpan& part : parts_of(word)) {
    ids.clear();
    encode_part(word.substr(part.begin, part.end - part.begin), ids);
    for (const std::int32_t id : ids) pieces.push_back({id, part});  // a byte's token stands for the whole part
  }
}

}  // namespace finetune
