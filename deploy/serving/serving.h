// Serving: the model that answers on a plant machine. It is loaded and verified beside the running one, then swapped in
// by one pointer; requests that began keep the model they began with. Answers are logged into the outbox with an id, so
// that what really happened can be joined with them later. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "deploy/agent/outbox.h"
#include "deploy/agent/updater.h"
#include "deploy/serving/known_answers.h"
#include "deploy/serving/prediction_ids.h"
#include "finetune/generate/predictor.h"
#include "platform/base/clock.h"
#include "platform/base/error.h"
#include "platform/base/json.h"
#include "platform/base/log.h"
#include "platform/base/metrics.h"
#include "platform/dataset/profile.h"

namespace deploy {

/// One loaded version. The predictor has its own lock.
struct ServedModel {
  Release release;
  finetune::Predictor predictor;
  std::optional<platform::Profile> profile;  // absent for adapters on plain text
  std::atomic<std::int64_t> faults{0};       // answers that failed for our own reasons

  const Targets& targets() const { return release.targets; }
};

struct ServingOptions {
  std::string agent;
  int threads = 0;           // of the predictor; 0 = all
  bool keep_answers = true;  // for a server; without one they would only fill the disk
  std::string root = {};     // the plant's, for PredictionIds
  platform::Log log = platform::Log::silent();
};

/// True if the model is to blame, not what the caller sent.
bool is_models_fault(platform::ErrorCode code);

/// What `answer` gives; where it throws and the model is to blame, that counts in `served.faults`.
template <class Answer>
auto judged(ServedModel& served, Answer&& answer) {
  try {
    return answer();
  } catch (const platform::Error& error) {
    if (is_models_fault(error.code())) ++served.faults;
    throw;
  } catch (...) {
    ++served.faults;
    throw;
  }
}

class Serving final : public ModelSlot {
 public:
  Serving(Outbox& outbox, platform::Metrics& metrics, const platform::Clock& clock, ServingOptions options);

  void prepare(const Release& release) override;
  void activate() override;
  /// Throws kInternal if the active model has failed to answer since it was activated, kConflict if its probe does not
  /// reproduce now.
  void check() override;
  void restore(const std::optional<Release>& release) override;

  /// Throws kUnavailable while there is none.
  std::shared_ptr<ServedModel> model() const;
  /// Why nothing answers, in words; `say_why_none` adds what was tried last.
  std::string why_none() const;
  void say_why_none(const std::string& reason);
  /// nullptr while there is none.
  std::shared_ptr<ServedModel> model_or_null() const;

  /// Keeps an answer for the server, if there is one; a full queue never costs an answer. `asked` is what was sent.
  void keep_answer(const ServedModel& served, const std::string& id, const platform::json::value& asked,
                   platform::json::object answer);

  PredictionIds& ids() { return ids_; }
  KnownAnswers& known() { return known_; }
  Outbox& outbox() { return outbox_; }
  platform::Metrics& metrics() { return metrics_; }
  const platform::Clock& clock() const { return clock_; }
  const ServingOptions& options() const { return options_; }

 private:
  std::shared_ptr<ServedModel> load(const Release& release) const;
  void swap_in(std::shared_ptr<ServedModel> model);

  Outbox& outbox_;
  platform::Metrics& metrics_;
  const platform::Clock& clock_;
  ServingOptions options_;
  PredictionIds ids_;
  KnownAnswers known_;
  mutable std::mutex mutex_;
  std::string reason_none_;
  std::shared_ptr<ServedModel> active_, prepared_;  // shared with the requests that are under way
};

}  // namespace deploy
