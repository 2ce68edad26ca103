#include "workflows/steps/model_gate_step.h"

#include <cstdio>

#include "platform/base/file.h"
#include "platform/registry/model_registry.h"
#include "workflows/steps/model_evaluate_step.h"

namespace workflows {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

class Judge {
 public:
  Judge(platform::StepContext& context, StepServices& services, const json::object& evaluated)
      : context_(context),
        services_(services),
        evaluated_(evaluated),
        with_(context.inputs()),
        report_(finetune::evaluation_report_from_json(evaluated.at("evaluation"))) {
    metric_ = platform::require_string(with_, "metric", "with");
    confidence_ = platform::number_or(with_, "confidence", 0.95, "with");
    seed_ = static_cast<std::uint64_t>(platform::int_or(with_, "seed", 1, "with"));
    const auto score = report_.score(metric_);
    if (!score) refuse_metric();
    value_ = score->value;
  }

  void judge() {
    if (platform::find(with_, "at_least") != nullptr)
      limit("at_least", platform::number_or(with_, "at_least", 0, "with"), true);
    if (platform::find(with_, "at_most") != nullptr)
      limit("at_most", platform::number_or(with_, "at_most", 0, "with"), false);
    const json::value* rivals = platform::find(with_, "better_than");
    if (rivals == nullptr) return;
    const std::vector<std::string> names = rivals->is_string()
                                               ? std::vector<std::string>{std::string(rivals->get_string())}
                                               : platform::strings_from(*rivals, "better_than");
    for (const std::string& name : names)
      name.rfind("alias:", 0) == 0 ? against_alias(name.substr(6)) : against_baseline(name);
  }

  json::object report() const {
    return {{"metric", metric_},
            {"value", value_},
            {"confidence", confidence_},
            {"checks", checks_},
            {"passed", failures_.empty()},
            {"adapter_digest", report_.adapter_digest},
            {"dataset_digest", report_.dataset_digest}};
  }
  const std::string& failures() const { return failures_; }
  const std::string& metric() const { return metric_; }
  double value() const { return value_; }

 private:
  [[noreturn]] void refuse_metric() const {
    std::string list;
    for (const finetune::Score& score : report_.scores) list += (list.empty() ? "" : ", ") + score.metric;
    throw Error(ErrorCode::kInvalidInput,
                "the evaluation has no score '" + metric_ + "', it has " + list +
                    "; a score of which the examples say nothing, such as auroc where all have one label, is not "
                    "computed: score more examples, or gate by another",
                "metric");
  }

  void add(json::object check, bool holds, const std::string& sentence) {
    check["holds"] = holds;
    check["says"] = sentence;
    context_.say((holds ? "holds: " : "does not hold: ") + sentence);
    if (!holds) failures_ += (failures_.empty() ? "" : "; ") + sentence;
    checks_.push_back(std::move(check));
  }

  void limit(const std::string& name, double bound, bool least) {
    add({{"check", name}, {"limit", bound}}, least ? value_ >= bound : value_ <= bound,
        metric_ + " is " + shown(value_) + ", asked for " + (least ? "at least " : "at most ") + shown(bound));
  }

  Yardstick yardstick() const { return {metric_, finetune::higher_is_better(metric_), report_.positive, seed_}; }

  std::vector<PredictedExample> predictions() const {
    return read_predictions(services_.blobs.get(platform::require_string(evaluated_, "predictions", "evaluation")));
  }

  void against_baseline(const std::string& name) {
    const auto baseline = report_.baseline(name, metric_);
    if (!baseline)
      throw Error(ErrorCode::kInvalidInput,
                  "the evaluation has no baseline '" + name + "' with the score '" + metric_ + "'", "better_than");
    decide(name, baseline->value, compare_with_score(yardstick(), predictions(), baseline->value));
  }

  void against_alias(const std::string& alias) {
    const std::string model = platform::string_or(with_, "model", context_.run().workflow, "with");
    const auto target = services_.registry != nullptr
                            ? services_.registry->resolve(context_.run().project, model, alias)
                            : std::nullopt;
    if (!target)
      return add({{"check", "better_than"}, {"rival", "alias:" + alias}}, true,
                 "alias " + alias + " of " + model + " is empty, so there is nothing to beat");
    if (target->adapter_digest == report_.adapter_digest)
      return add({{"check", "better_than"}, {"rival", "alias:" + alias}}, true,
                 "alias " + alias + " of " + model + " stands at this very adapter (" + target->str() + ")");
    const ScoredAdapter scored{target->adapter_blob,
                               target->base,
                               platform::require_string(evaluated_, "dataset", "evaluation"),
                               platform::require_string(evaluated_, "split", "evaluation"),
                               false,
                               report_.choices,
                               report_.choices_per_character};
    const auto [other, predicted] = score_in(context_, scored, services_);
    const auto score = other.score(metric_);
    if (!score)
      throw Error(ErrorCode::kInvalidInput, "the model behind alias " + alias + " has no score '" + metric_ + "'",
                  "better_than");
    decide("alias:" + alias + " (" + target->str() + ")", score->value,
           compare_paired(yardstick(), predictions(), read_predictions(platform::read_file(predicted))));
  }

  void decide(const std::string& rival, double rival_value, const Comparison& comparison) {
    add({{"check", "better_than"},
         {"rival", rival},
         {"rival_value", rival_value},
         {"difference", comparison.difference},
         {"share", comparison.share}},
        comparison.share >= confidence_,
        metric_ + " " + shown(value_) + " against " + shown(rival_value) + " of " + rival + ": better in " +
            shown(comparison.share) + " of " + std::to_string(kResamples) + " resamples, asked for " +
            shown(confidence_));
  }

  platform::StepContext& context_;
  StepServices& services_;
  const json::object& evaluated_;
  const json::object& with_;
  finetune::EvaluationReport report_;
  std::string metric_;
  double confidence_ = 0.95, value_ = 0;
  std::uint64_t seed_ = 1;
  json::array checks_;
  std::string failures_;
};

}  // namespace

platform::StepOutcome ModelGateStep::execute(platform::StepContext& context) {
  const json::object* evaluated = context.outputs_of("model.evaluate");
  if (evaluated == nullptr)
    throw Error(ErrorCode::kInvalidInput, "model.gate finds no evaluation among the steps that it needs");
  Judge judge(context, services_, *evaluated);
  judge.judge();
  const json::object report = judge.report();
  platform::StepOutcome outcome;
  outcome.outputs = {{"gate", report},
                     {"report", services_.blobs.put(platform::canonical_json(report))},
                     {"metric", judge.metric()},
                     {"value", judge.value()},
                     {"passed", judge.failures().empty()}};
  if (judge.failures().empty()) return outcome;
  outcome.kind = platform::StepOutcome::Kind::kFailed;
  outcome.error = "the gate did not pass: " + judge.failures();
  return outcome;
}

}  // namespace workflows
