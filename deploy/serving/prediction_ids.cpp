#include "deploy/serving/prediction_ids.h"

#include <cstdio>

#include "platform/base/digest.h"
#include "platform/base/id.h"

namespace deploy {
namespace {

// TTTTTTTT-TTTT-7RRR-VCCC-RRRRKKKKKKKK: time, random, variant, count, random, check.
constexpr std::size_t kCount = 20, kCheck = 28, kCheckDigits = 8;

}  // namespace

PredictionIds::PredictionIds(std::string_view root) : plant_(platform::sha256_hex(root)) {}

std::string PredictionIds::check(std::string_view id) const {
  return platform::sha256_hex("anneal prediction\n" + plant_ + "\n" + std::string(id.substr(0, kCheck)))
      .substr(0, kCheckDigits);
}

std::string PredictionIds::make() {
  std::string id = platform::new_uuid();
  char count[4];
  std::snprintf(count, sizeof count, "%03x", static_cast<unsigned>(count_++ & 0xFFF));
  id.replace(kCount, 3, count);
  return id.replace(kCheck, kCheckDigits, check(id));
}

bool PredictionIds::made(std::string_view id) const { return platform::is_uuid(id) && id.substr(kCheck) == check(id); }

}  // namespace deploy
