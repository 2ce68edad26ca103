#include "finetune/bench/hash_split.h"

#include <string>

#include "platform/base/digest.h"

namespace finetune {

using platform::Split;

int hash_bucket(std::string_view key) {
  return static_cast<int>(std::stoul(platform::sha256_hex(key).substr(0, 8), nullptr, 16) % kHashBuckets);
}

Split hash_split(std::string_view key) {
  const int bucket = hash_bucket(key);
  if (bucket < 7) return Split::kTrain;
  return bucket == 7 ? Split::kValidation : Split::kTest;
}

Split hash_fold(std::string_view key, int fold) {
  const int bucket = hash_bucket(key);
  if (bucket / 2 == fold) return Split::kTest;
  return bucket == (2 * fold + 2) % kHashBuckets ? Split::kValidation : Split::kTrain;
}

}  // namespace finetune
