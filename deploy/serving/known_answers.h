// The answers that this agent gave of late, so that what people say about them can be judged where they say it. In
// memory only: after a restart an answer is judged by less, which is no fault of the caller. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "finetune/generate/predictor.h"
#include "platform/base/json.h"

namespace deploy {

class KnownAnswers {
 public:
  explicit KnownAnswers(std::size_t most = 32768) : most_(most) {}

  /// Forgets the oldest answer when there are too many.
  void remember(const std::string& id, bool completion);
  /// Whether it was a completion; nullopt for an id that is not known (any more).
  std::optional<bool> completion(const std::string& id) const;
  /// Feedback that was refused, since the start: about answers that nobody gave.
  std::int64_t unknown() const { return unknown_; }
  void count_unknown() { ++unknown_; }
  /// The name of one statement about an answer: the same as long as the same is said in a row (a caller that tries
  /// again), another for whatever differs from what was said last.
  std::string statement(const std::string& id, const platform::json::value& outcome);

 private:
  struct Known {
    bool completion = false;
    std::vector<std::string> said;  // digests, in order, never twice the same in a row
  };
  std::size_t most_;
  std::atomic<std::int64_t> unknown_{0};
  mutable std::mutex mutex_;
  std::map<std::string, Known> known_;
  std::deque<std::string> order_;  // oldest first
};

/// Throws kInvalidInput, with what is expected, if `outcome`, sent as `kind` ("label", "labels", "value", "values" or
/// "text"), cannot be the truth of an answer of this model. The steps of a forecast may be null, and end early.
void judge_truth(const finetune::Predictor& predictor, const std::string& kind, const platform::json::value& outcome);

}  // namespace deploy
