#include "kernels/core/random.h"

#include <cmath>
#include <numbers>

namespace kernels {

std::uint64_t Random::below(std::uint64_t bound) {
  // Numbers under `reject` would make the low residues more likely by one part in 2^64 / bound.
  const std::uint64_t reject = (0 - bound) % bound;
  std::uint64_t number = bits();
  while (number < reject) number = bits();
  return number % bound;
}

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace kernels
