// A small text grammar: lists of alternatives with slots, expanded by a seeded random source. It writes the corpus.
// A Grammar is immutable after construction; a Random belongs to one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

/// SplitMix64: the same numbers on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  /// 0 <= result < limit; limit > 0.
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }
  /// low <= result <= high.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::size_t>(high - low + 1)));
  }
  bool chance(double probability) { return uniform() < probability; }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// About normal, mean 0, deviation 1 (sum of uniforms: no machine-dependent functions).
  double normal();
  template <typename T>
  const T& pick(const std::vector<T>& values) {
    return values[below(values.size())];
  }

 private:
  std::uint64_t state_;
};

/// Slots:  {list} one alternative of a list, expanded in turn;  {name=list} the same, and {name} gives it again;
/// {#low-high} a whole number;  {#low-high.2} with decimals;  [text] stands or not;  ^ before a slot: capital letter.
class Grammar {
 public:
  using Names = std::map<std::string, std::string, std::less<>>;

  /// Lines of "list: alternative | alternative | ..."; a line that begins with a space goes on with the list before.
  /// Throws std::logic_error on a slot that no list has (a bug of the tables).
  explicit Grammar(std::initializer_list<std::string_view> tables);

  const std::vector<std::string>& list(std::string_view name) const;
  std::string expand(std::string_view text, Random& random, Names& names) const;
  std::string expand(std::string_view text, Random& random) const;
  std::string pick(std::string_view list_name, Random& random) const;

 private:
  std::string slot(std::string_view inside, Random& random, Names& names) const;
  void check(std::string_view text) const;
  std::map<std::string, std::vector<std::string>, std::less<>> lists_;
};

/// Number as people write it: no exponent, `decimals` digits.
std::string fixed(double value, int decimals);
/// "Pump", for ASCII letters.
std::string capitalised(std::string text);
/// A tired engineer's spelling: dropped and swapped letters, abbreviations, lost articles, sometimes capitals.
std::string misspelt(std::string_view text, Random& random);

}  // namespace finetune
