#include "finetune/train/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <deque>

namespace finetune {
namespace {

using Vector = std::vector<float>;

constexpr double kPromised = 1e-4;  // share of the slope's promise that a step has to bring
constexpr int kHalvings = 20;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// y += factor * x
void add(const Vector& x, double factor, Vector& y) {
  const auto times = static_cast<float>(factor);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += times * x[i];
}

Vector difference(const Vector& a, const Vector& b) {
  Vector out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = a[i] - b[i];
  return out;
}

double largest(const Vector& values) {
  double most = 0;
  for (const float value : values) most = std::max(most, std::fabs(static_cast<double>(value)));
  return most;
}

struct Pair {
  Vector step, change;  // of the point, of the gradient
  double product = 0;   // of the two, positive
};

// The two loops: the gradient by the curvature that the pairs have seen.
Vector direction_of(const Vector& gradient, const std::deque<Pair>& pairs) {
  Vector direction = gradient;
  std::vector<double> shares(pairs.size());
  for (std::size_t i = pairs.size(); i-- > 0;) {
    shares[i] = dot(pairs[i].step, direction) / pairs[i].product;
    add(pairs[i].change, -shares[i], direction);
  }
  const double scale = pairs.empty()
                           ? 1.0 / std::max(1.0, std::sqrt(dot(gradient, gradient)))
                           : pairs.back().product / std::max(1e-30, dot(pairs.back().change, pairs.back().change));
  for (float& value : direction) value *= static_cast<float>(scale);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const double share = dot(pairs[i].change, direction) / pairs[i].product;
    add(pairs[i].step, shares[i] - share, direction);
  }
  for (float& value : direction) value = -value;
  return direction;
}

}  // namespace

double minimise(const LbfgsFunction& function, std::vector<float>& point, const LbfgsOptions& options) {
  Vector gradient(point.size()), next_gradient(point.size());
  double value = function(point, gradient);
  std::deque<Pair> pairs;
  for (std::int64_t iteration = 0; iteration < options.iterations; ++iteration) {
    if (largest(gradient) <= options.tolerance) break;
    const Vector direction = direction_of(gradient, pairs);
    const double slope = dot(gradient, direction);
    if (!(slope < 0)) break;
    Vector next;
    double next_value = value, length = 1;
    bool lower = false;
    for (int halving = 0; halving < kHalvings && !lower; ++halving, length /= 2) {
      next = point;
      add(direction, length, next);
      next_value = function(next, next_gradient);
      lower = next_value <= value + kPromised * length * slope;
    }
    if (!lower) break;  // as low as this precision can tell
    Pair pair{difference(next, point), difference(next_gradient, gradient)};
    pair.product = dot(pair.step, pair.change);
    if (pair.product > 1e-10 * dot(pair.change, pair.change)) pairs.push_back(std::move(pair));
    if (pairs.size() > options.history) pairs.pop_front();
    point = std::move(next);
    gradient.swap(next_gradient);
    value = next_value;
  }
  return value;
}

}  // namespace finetune
