#include "finetune/text/text_features.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <stdexcept>

#include "finetune/text/ngram_counts.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

// Stands before words and pairs of words; no word has a control character.
constexpr char kWordMark = '\x01';
constexpr std::size_t kShortestPiece = 2, kLongestPiece = 5;
// A longer "word" is no word (base64, a run of signs); its beginning says enough.
constexpr std::size_t kLongestWord = 64;
// Text that is counted before it is asked again whether to go on.
constexpr std::size_t kBytesBetweenQuestions = std::size_t{1} << 18;

std::vector<std::string> words_of(std::string_view given) {
  const std::string text = is_utf8(given) ? std::string(given) : repair_utf8(given);
  std::vector<std::string> words;
  std::string word;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t letter = next_code_point(text, at);
    if (is_word_character(letter)) {
      if (word.size() < kLongestWord) append_lowercased(word, letter);
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

// Where each character of the word begins, and its end.
std::vector<std::size_t> borders_of(std::string_view word) {
  std::vector<std::size_t> borders;
  for (std::size_t at = 0; at < word.size(); next_code_point(word, at)) borders.push_back(at);
  borders.push_back(word.size());
  return borders;
}

using Visit = std::function<void(const std::string&)>;

void each_piece(const std::string& word, const Visit& visit) {
  const std::string padded = " " + word + " ";
  const std::vector<std::size_t> borders = borders_of(padded);
  for (std::size_t length = kShortestPiece; length <= kLongestPiece; ++length) {
    for (std::size_t i = 0; i + length < borders.size(); ++i)
      visit(padded.substr(borders[i], borders[i + length] - borders[i]));
  }
}

void each_ngram(std::string_view text, const Visit& visit) {
  const std::vector<std::string> words = words_of(text);
  for (std::size_t i = 0; i < words.size(); ++i) {
    visit(kWordMark + words[i]);
    if (i > 0) visit(kWordMark + words[i - 1] + " " + words[i]);
    each_piece(words[i], visit);
  }
}

bool is_word(const std::string& ngram) { return ngram.front() == kWordMark; }

void count_all(const std::vector<std::string>& texts, const LearnOptions& options, NgramCounts& counts) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (bytes >= kBytesBetweenQuestions) {
      bytes = 0;
      if (options.should_stop && options.should_stop())
        throw platform::Error(platform::ErrorCode::kCancelled, "learning the wording was asked to stop");
    }
    bytes += texts[i].size();
    each_ngram(texts[i], [&](const std::string& ngram) { counts.add(ngram, i); });
  }
}

NgramCounts counts_of(const std::vector<std::string>& texts, const LearnOptions& options) {
  NgramCounts counts(options.candidates);
  count_all(texts, options, counts);
  if (counts.lost() == 0) return counts;
  counts.recount();
  count_all(texts, options, counts);
  return counts;
}

}  // namespace

TextFeatures::TextFeatures(std::vector<std::string> ngrams, std::vector<float> idf)
    : ngrams_(std::move(ngrams)), idf_(std::move(idf)) {
  const bool sorted =
      std::adjacent_find(ngrams_.begin(), ngrams_.end(), std::greater_equal<>()) == ngrams_.end() &&
      std::none_of(ngrams_.begin(), ngrams_.end(), [](const std::string& ngram) { return ngram.empty(); });
  if (!sorted) throw std::invalid_argument("the n-grams are not sorted or not different");
  const bool positive = idf_.size() == ngrams_.size() && std::all_of(idf_.begin(), idf_.end(), [](float each) {
                          return std::isfinite(each) && each > 0;
                        });
  if (!positive) throw std::invalid_argument("each n-gram needs one positive idf");
  index();
}

// The rarer an n-gram, the larger its idf.
void TextFeatures::index() {
  std::vector<std::size_t> order(ngrams_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return idf_[a] < idf_[b]; });
  for (std::size_t rank = 0; rank < order.size(); ++rank)
    places_.emplace(ngrams_[order[rank]], Place{static_cast<std::int32_t>(rank), idf_[order[rank]]});
}

TextFeatures TextFeatures::learn(const std::vector<std::string>& texts, std::size_t limit,
                                 const LearnOptions& options) {
  if (limit == 0) return {};
  const NgramCounts counts = counts_of(texts, options);
  std::vector<std::pair<std::string, std::size_t>> words, pieces;
  for (const auto& [ngram, counted] : counts.held()) {
    if (counted.texts < 2 || counted.texts == texts.size()) continue;
    (is_word(ngram) ? words : pieces).emplace_back(ngram, counted.texts);
  }
  const auto keep_most_frequent = [](std::vector<std::pair<std::string, std::size_t>>& all, std::size_t count) {
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    all.resize(std::min(all.size(), count));
  };
  keep_most_frequent(words, limit / 2);
  keep_most_frequent(pieces, limit - words.size());
  std::map<std::string, std::size_t> kept(words.begin(), words.end());
  kept.insert(pieces.begin(), pieces.end());
  TextFeatures features;
  for (const auto& [ngram, count] : kept) {
    features.ngrams_.push_back(ngram);
    features.idf_.push_back(static_cast<float>(
        std::log((1.0 + static_cast<double>(texts.size())) / (1.0 + static_cast<double>(count))) + 1.0));
  }
  features.index();
  return features;
}

std::int32_t TextFeatures::rank(const std::string& ngram) const {
  const auto found = places_.find(ngram);
  return found == places_.end() ? -1 : found->second.rank;
}

TextWeights TextFeatures::weights(std::string_view text) const {
  struct Weighed {
    bool word = false;
    double idf = 0;
    int count = 0;
    double weight() const { return (1 + std::log(count)) * idf; }
  };
  std::map<std::int32_t, Weighed> found;
  each_ngram(text, [&](const std::string& ngram) {
    const auto place = places_.find(ngram);
    if (place == places_.end()) return;
    Weighed& weighed = found[place->second.rank];
    weighed.word = is_word(ngram);
    weighed.idf = static_cast<double>(place->second.idf);
    ++weighed.count;
  });
  double squares_of_words = 0, squares_of_pieces = 0;
  for (const auto& [rank, each] : found)
    (each.word ? squares_of_words : squares_of_pieces) += each.weight() * each.weight();
  TextWeights result;
  for (const auto& [rank, each] : found) {
    result.ids.push_back(rank);
    result.weights.push_back(
        static_cast<float>(each.weight() / std::sqrt(each.word ? squares_of_words : squares_of_pieces)));
  }
  return result;
}

}  // namespace finetune
