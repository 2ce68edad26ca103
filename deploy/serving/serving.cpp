#include "deploy/serving/serving.h"

#include <utility>

#include "platform/base/error.h"

namespace deploy {

using platform::Error;
using platform::ErrorCode;

bool is_models_fault(ErrorCode code) {
  return code != ErrorCode::kInvalidInput && code != ErrorCode::kTooLarge && code != ErrorCode::kConflict &&
         code != ErrorCode::kCancelled;
}

Serving::Serving(Outbox& outbox, platform::Metrics& metrics, const platform::Clock& clock, ServingOptions options)
    : outbox_(outbox), metrics_(metrics), clock_(clock), options_(std::move(options)), ids_(options_.root) {}

std::shared_ptr<ServedModel> Serving::load(const Release& release) const {
  finetune::Predictor predictor(release.base(), release.adapter(), options_.threads);
  if (predictor.adapter_digest() != release.targets.adapter_digest ||
      predictor.base_digest() != release.targets.base_digest)
    throw Error(ErrorCode::kCorrupt, "the bundle names adapter " + release.targets.adapter_digest + " on base " +
                                         release.targets.base_digest + " but holds " + predictor.adapter_digest() +
                                         " on " + predictor.base_digest());
  std::optional<platform::Profile> profile;
  if (predictor.profile().is_object()) profile = platform::profile_from_json(predictor.profile());
  return std::shared_ptr<ServedModel>(new ServedModel{release, std::move(predictor), std::move(profile)});
}

void Serving::swap_in(std::shared_ptr<ServedModel> model) {
  const std::string name = model ? model->targets().model + " " + model->targets().model_version : "";
  {
    const std::lock_guard lock(mutex_);
    active_ = std::move(model);
    prepared_.reset();
  }
  if (name.empty())
    options_.log.warning("no model answers; deploy one to this agent, or start it with --bundle FILE");
  else
    options_.log.info("model answers", {{"model", name}});
}

void Serving::prepare(const Release& release) {
  auto model = load(release);
  const std::lock_guard lock(mutex_);
  prepared_ = std::move(model);
}

void Serving::activate() {
  std::shared_ptr<ServedModel> model;
  {
    const std::lock_guard lock(mutex_);
    model = prepared_;
  }
  if (!model) throw Error(ErrorCode::kInternal, "no model was prepared");
  swap_in(std::move(model));
}

void Serving::check() {
  const auto served = model();
  if (const std::int64_t faults = served->faults.load(); faults > 0)
    throw Error(ErrorCode::kInternal,
                "the new version failed " + std::to_string(faults) + " answers during its probation");
  served->predictor.check_probe();
  metrics_.count("anneal_agent_probes_total", "Times that a version on probation reproduced its probe");
}

void Serving::keep_answer(const ServedModel& served, const std::string& id, const platform::json::value& asked,
                          platform::json::object answer) {
  if (!options_.keep_answers) return;
  const Targets& targets = served.targets();
  platform::json::object body{{"id", id},
                              {"at", platform::format_time(clock_.now())},
                              {"model", targets.model},
                              {"model_version", targets.model_version},
                              {"adapter_digest", targets.adapter_digest},
                              {"fields", asked},
                              {"answer", std::move(answer)},
                              {"target", served.profile ? served.profile->target.field : std::string()}};
  try {
    outbox_.append({id, "prediction", std::move(body)}, Durability::kWritten);
  } catch (const Error& error) {
    metrics_.count("anneal_agent_predictions_unlogged_total", "Answers given but not kept for the server");
    options_.log.warning("prediction is not kept", {{"reason", error.what()}});
  }
}

void Serving::restore(const std::optional<Release>& release) {
  const auto running = model_or_null();
  if (release && running && running->targets().version == release->targets.version) return;
  swap_in(release ? load(*release) : nullptr);
}

std::shared_ptr<ServedModel> Serving::model_or_null() const {
  const std::lock_guard lock(mutex_);
  return active_;
}

std::string Serving::why_none() const {
  const std::lock_guard lock(mutex_);
  return "no model is active on this agent yet; deploy one to " + options_.agent +
         (reason_none_.empty() ? "" : " (" + reason_none_ + ")");
}

void Serving::say_why_none(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  reason_none_ = reason;
}

std::shared_ptr<ServedModel> Serving::model() const {
  auto served = model_or_null();
  if (!served) throw Error(ErrorCode::kUnavailable, why_none());
  return served;
}

}  // namespace deploy
