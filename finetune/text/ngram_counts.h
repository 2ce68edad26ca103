// NgramCounts: in how many texts an n-gram stands, in a table of bounded size (lossy counting, Manku and Motwani 2002).
// When the table is full, what stands in the fewest texts goes until half of it is free, and what comes new afterwards
// is taken to have stood in as many texts as the most frequent of those. So a count may be too high, never too low, and
// what is frequent is never lost. The same texts give the same table. One thread.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>

namespace finetune {

class NgramCounts {
 public:
  /// At most `largest` n-grams are held, at least 2.
  explicit NgramCounts(std::size_t largest);
  /// An n-gram of the text `text`; numbers rise from text to text, and repeats within one count once.
  void add(const std::string& ngram, std::size_t text);
  /// Goes through the texts once more: counts begin at 0, and what the table does not hold is not taken up, so that
  /// after the same texts every count is exact.
  void recount();

  /// Every n-gram that stands in more texts than this is held; 0: all are, and their counts are exact.
  std::size_t lost() const { return lost_; }
  struct Count {
    std::size_t texts = 0;
    std::size_t last = 0;  // 1 + the text that was counted last
  };
  const std::unordered_map<std::string, Count>& held() const { return held_; }

 private:
  void make_room();

  std::size_t largest_;
  std::size_t lost_ = 0;
  bool closed_ = false;
  std::unordered_map<std::string, Count> held_;
};

}  // namespace finetune
