#include "deploy/serving/known_answers.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>

#include "platform/base/did_you_mean.h"
#include "platform/base/digest.h"
#include "platform/base/error.h"
#include "platform/base/shortened.h"
#include "platform/dataset/render.h"

namespace deploy {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr std::size_t kMostSaid = 64;      // statements about one answer that are told apart
constexpr std::size_t kLongestShown = 60;  // of a wrong truth

void judge_label(const finetune::Predictor& predictor, const json::value& outcome) {
  const std::vector<std::string>& labels = predictor.labels();
  const bool text = outcome.is_string() || outcome.is_number() || outcome.is_bool();
  const std::string label = text ? platform::text_of(outcome) : json::serialize(outcome);
  if (text && std::find(labels.begin(), labels.end(), label) != labels.end()) return;
  std::string list;
  for (const std::string& one : labels) list += (list.empty() ? "" : ", ") + one;
  throw Error(ErrorCode::kInvalidInput,
              "not a label of this model: " + platform::shortened(label, kLongestShown) +
                  platform::did_you_mean(label, labels) + "; the labels are " + list,
              predictor.task() == "multilabel" ? "labels" : "label");
}

[[noreturn]] void refuse(const json::value& outcome, const std::string& what, const std::string& kind) {
  throw Error(ErrorCode::kInvalidInput, platform::shortened(json::serialize(outcome), kLongestShown) + " " + what,
              kind);
}

void judge_labels(const finetune::Predictor& predictor, const json::value& outcome) {
  if (!outcome.is_array())
    refuse(outcome, "is no list; send all labels that applied, an empty list if none did", "labels");
  std::set<std::string> seen;
  for (const json::value& label : outcome.get_array()) {
    judge_label(predictor, label);
    if (!seen.insert(platform::text_of(label)).second) refuse(outcome, "names a label twice", "labels");
  }
}

void judge_value(const finetune::Predictor&, const json::value& outcome) {
  if (!outcome.is_number()) refuse(outcome, "is not a number; this model answers with a number", "value");
}

void judge_values(const finetune::Predictor& predictor, const json::value& outcome) {
  const std::int64_t steps = predictor.horizon();
  const json::array* values = outcome.if_array();
  if (values == nullptr || values->empty() || static_cast<std::int64_t>(values->size()) > steps)
    refuse(outcome, "is no list of 1 to " + std::to_string(steps) + " values, one for each step of the forecast",
           "values");
  for (const json::value& value : *values)
    if (!value.is_number() && !value.is_null())
      refuse(outcome, "has a step that is neither a number nor null", "values");
}

// What really happened, by the task of the model.
struct Truth {
  std::string_view task, kind, words;
  void (*judge)(const finetune::Predictor&, const json::value&);
};

constexpr Truth kTruths[] = {
    {"classify", "label", "a label", judge_label},
    {"forecast", "values", "values", judge_values},
    {"lm", "text", "a text", nullptr},
    {"multilabel", "labels", "labels", judge_labels},
    {"ordinal", "label", "a label", judge_label},
    {"regress", "value", "a value", judge_value},
};

const Truth& truth_of(const std::string& task) {
  return *std::find_if(std::begin(kTruths), std::end(kTruths), [&](const Truth& one) { return one.task == task; });
}

}  // namespace

void KnownAnswers::remember(const std::string& id, bool completion) {
  const std::lock_guard lock(mutex_);
  known_[id].completion = completion;
  order_.push_back(id);
  if (order_.size() <= most_) return;
  known_.erase(order_.front());
  order_.pop_front();
}

std::optional<bool> KnownAnswers::completion(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(id);
  return found == known_.end() ? std::nullopt : std::optional(found->second.completion);
}

std::string KnownAnswers::statement(const std::string& id, const json::value& outcome) {
  const std::string name = platform::digest_of(platform::canonical_json(outcome)).substr(7, 16);
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(id);
  if (found == known_.end()) return name;
  std::vector<std::string>& said = found->second.said;
  if ((said.empty() || said.back() != name) && said.size() < kMostSaid) said.push_back(name);
  // Said once more after something else: a correction of the correction.
  const auto times = std::count(said.begin(), said.end(), name);
  return times <= 1 ? name : name + "-" + std::to_string(times);
}

void judge_truth(const finetune::Predictor& predictor, const std::string& kind, const json::value& outcome) {
  const Truth& expected = truth_of(predictor.task());
  if (kind != expected.kind)
    throw Error(ErrorCode::kInvalidInput,
                "the model answers with " + std::string(expected.words) + ", not with " + kind +
                    "; send what really happened as " + std::string(expected.kind),
                kind);
  if (expected.judge != nullptr) expected.judge(predictor, outcome);
}

}  // namespace deploy
