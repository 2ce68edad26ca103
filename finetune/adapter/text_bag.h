// TextBag: the wording of a batch as the kernels read it (kernels/ops/embedding.h), one example's n-grams behind the
// other's. Plain values; belongs to one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/core/tensor.h"

namespace finetune {

struct TextBag {
  kernels::Tensor ids, borders, weights;
};

class TextBagBuilder {
 public:
  void add(std::int32_t id, float weight) {
    ids_.push_back(id);
    weights_.push_back(weight);
  }
  void end_example() { borders_.push_back(static_cast<std::int32_t>(ids_.size())); }
  TextBag bag() const {
    return {kernels::Tensor::from(ids_), kernels::Tensor::from(borders_), kernels::Tensor::from(weights_)};
  }

 private:
  std::vector<std::int32_t> ids_, borders_{0};
  std::vector<float> weights_;
};

}  // namespace finetune
