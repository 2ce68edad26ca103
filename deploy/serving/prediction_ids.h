// The ids of answers: UUIDs of version 7 whose last eight digits are a check over the others and the plant, which is
// the root that its agents have pinned. So an agent knows, without keeping any, which ids it or another agent of its
// server gave, also after a restart or with a new disk, and what somebody mistyped or made up. The check is no secret:
// whoever has the root can compute it, and whoever reaches the port can ask for a prediction. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace deploy {

class PredictionIds {
 public:
  explicit PredictionIds(std::string_view root);

  /// A new one; of one object no two are the same within 4096 calls, whatever the clock and chance do.
  std::string make();
  /// True for the ids of this plant; of made-up ones about one in four billion.
  bool made(std::string_view id) const;

 private:
  std::string check(std::string_view id) const;

  std::string plant_;  // digest of the root
  std::atomic<std::uint32_t> count_{0};
};

}  // namespace deploy
