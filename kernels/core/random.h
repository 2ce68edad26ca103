// Random: numbers from a counter, so that the n-th number of a seed is always the same and the whole state is two
// integers that a checkpoint can hold. Not for cryptography. One object belongs to one thread.
#pragma once

#include <cstdint>

namespace kernels {

/// The 64-bit number that belongs to (seed, index): the SplitMix64 sequence, entered at any place.
constexpr std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t mixed = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
  return mixed ^ (mixed >> 31);
}

class Random {
 public:
  /// Everything needed to go on exactly where another object stopped.
  struct State {
    std::uint64_t seed = 0;
    std::uint64_t counter = 0;
    bool operator==(const State&) const = default;
  };

  explicit Random(std::uint64_t seed = 0) : state_{seed, 0} {}
  explicit Random(State state) : state_(state) {}

  State state() const { return state_; }

  std::uint64_t bits() { return random_bits(state_.seed, state_.counter++); }

  /// In [0, 1), 53 random bits.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

  /// In [0, bound), without bias; bound must be positive.
  std::uint64_t below(std::uint64_t bound);

  /// Mean 0, standard deviation 1; uses two numbers of the sequence.
  double normal();

 private:
  State state_;
};

}  // namespace kernels
