// Which part an example of a public set belongs to where the set has no split of its own: by the hash of a key, the
// same on every machine and for everybody who repeats the measurement. Pure; any thread.
#pragma once

#include <string_view>

#include "platform/dataset/example.h"

namespace finetune {

inline constexpr int kHashBuckets = 10;
inline constexpr int kHashFolds = 5;

/// The first 32 bits of the key's SHA-256, modulo 10.
int hash_bucket(std::string_view key);
/// Buckets 0 to 6 train, 7 validate, 8 and 9 test.
platform::Split hash_split(std::string_view key);
/// `fold` 0 to 4: its two buckets test, the first one behind them validates (in a circle), the others train. Over the
/// five folds every example is tested once.
platform::Split hash_fold(std::string_view key, int fold);

}  // namespace finetune
