// TextFeatures: what a text is about, as weights of the n-grams that the training part has: words, pairs of words, and
// pieces of 2 to 5 characters within a word, so that a misspelt word still shares most of its own. Weights are
// (1 + ln tf) * idf with idf = ln((1 + n) / (1 + df)) + 1, words and pieces each of unit length (Salton and Buckley
// 1988, in the smoothed form of scikit-learn's TfidfVectorizer with sublinear_tf). Immutable; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace finetune {

/// Weights of a text's known n-grams, by rising index. The index is a rank: 0 is the n-gram of the most texts.
struct TextWeights {
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
};

/// What learning may take, and whether it goes on.
struct LearnOptions {
  /// N-grams that are counted at once, of some 100 bytes each. Where texts have more, the rarest are let go.
  std::size_t candidates = std::size_t{1} << 20;
  std::function<bool()> should_stop = {};  // asked between texts, after every 256 KiB of them
};

class TextFeatures {
 public:
  TextFeatures() = default;
  /// What a manifest holds. `idf` belongs to the n-gram of the same place. Throws std::invalid_argument where the
  /// n-grams are not sorted and different, or an idf is not positive.
  TextFeatures(std::vector<std::string> ngrams, std::vector<float> idf);
  /// The n-grams of these texts that stand in two of them at least and not in all, the most frequent `limit` of them;
  /// at most half of them words. Empty where the texts do not differ. Throws kCancelled when asked to stop.
  static TextFeatures learn(const std::vector<std::string>& texts, std::size_t limit, const LearnOptions& options = {});

  bool empty() const { return ngrams_.empty(); }
  const std::vector<std::string>& ngrams() const { return ngrams_; }
  const std::vector<float>& idf() const { return idf_; }
  /// Its index in TextWeights; -1 where the n-gram is not known.
  std::int32_t rank(const std::string& ngram) const;
  /// Well-formed UTF-8 or repaired; no order of n-grams outside the vocabulary matters.
  TextWeights weights(std::string_view text) const;

 private:
  void index();

  std::vector<std::string> ngrams_;  // sorted; words begin with kWordMark
  std::vector<float> idf_;
  struct Place {
    std::int32_t rank = 0;
    float idf = 0;
  };
  std::unordered_map<std::string, Place> places_;
};

}  // namespace finetune
