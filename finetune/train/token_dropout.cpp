#include "finetune/train/token_dropout.h"

#include "kernels/core/random.h"

namespace finetune {

EncodedExample thinned(const EncodedExample& example, double share, std::uint64_t seed) {
  kernels::Random random(seed);
  EncodedExample made = example;
  made.ids.clear();
  made.targets.clear();
  for (std::size_t i = 0; i < example.ids.size(); ++i) {
    const bool stays = example.ids[i] < 0 || i == 0 || random.uniform() >= share;
    if (!stays) continue;
    made.ids.push_back(example.ids[i]);
    made.targets.push_back(example.targets[i]);
  }
  return made;
}

}  // namespace finetune
