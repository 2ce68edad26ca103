// The training examples that are nearest to a question, by what it says and by what was measured. Immutable,
// any thread; deterministic.
//
// Distance = distance of the words + distance of the values.
// Words: 2 - 2 cos of their TF-IDF vectors over the pieces of hashed_text.h: count times ln((1 + n) / (1 + d)) + 1, of
// n examples d having the piece; pieces that no example has do not count. 2 where either has no words, 0 where neither.
// Values: mean of the squared differences over what both have: numbers and samples of signals standardised by the
// examples' own mean and deviation, a category 0 or 2. 2 where they have nothing in common, 0 where no example has any.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "platform/dataset/example.h"

namespace finetune {

class NearestExamples {
 public:
  /// Keeps at most 10,000 of `train`, and no more than can be compared with `questions` questions in about a minute,
  /// drawn with `seed`. Borrows the examples, of which there must be one.
  NearestExamples(const std::vector<const platform::Example*>& train, std::size_t questions, std::uint64_t seed);

  struct Neighbour {
    const platform::Example* example = nullptr;
    double distance = 0;
  };
  /// The `count` nearest, or all where there are fewer; the nearest first, the earlier of equals.
  std::vector<Neighbour> neighbours(const platform::Example& question, std::size_t count) const;
  /// The nearest one first, the earlier of equals: 5 where the examples have values, else 1, or as many as there are.
  std::vector<const platform::Example*> of(const platform::Example& question) const;
  std::size_t kept() const { return examples_.size(); }

 private:
  struct Number {
    double mean = 0, deviation = 1;
    std::size_t column = 0;
  };
  struct Posting {
    std::uint32_t example;
    float weight;
  };
  using Row = std::vector<float>;  // NaN: missing

  void learn_columns();
  void learn_words();
  Row values_of(const platform::Example& example) const;
  std::map<std::uint32_t, float> words_of(const platform::Example& example) const;
  double value_distance(const Row& question, std::size_t example) const;

  std::vector<const platform::Example*> examples_;
  std::map<std::string, Number> numbers_;
  std::map<std::string, std::pair<std::size_t, std::map<std::string, float>>>
      categories_;                 // column, code of each value
  std::vector<bool> is_category_;  // by column
  std::vector<float> rows_;        // [examples, columns]
  std::map<std::uint32_t, float> inverse_frequency_;
  std::map<std::uint32_t, std::vector<Posting>> postings_;
  std::vector<bool> has_words_;
};

}  // namespace finetune
