#include "deploy/serving/known_answers.h"

#include <algorithm>

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

void judge_label(const std::vector<std::string>& labels, const json::value& outcome) {
  const bool text = outcome.is_string() || outcome.is_number() || outcome.is_bool();
  const std::string label = text ? platform::text_of(outcome) : json::serialize(outcome);
  if (text && (labels.empty() || std::find(labels.begin(), labels.end(), label) != labels.end())) return;
  std::string list;
  for (const std::string& one : labels) list += (list.empty() ? "" : ", ") + one;
  throw Error(ErrorCode::kInvalidInput,
              "not a label of this model: " + platform::shortened(label, kLongestShown) +
                  platform::did_you_mean(label, labels) +
                  (labels.empty() ? "; send a text" : "; the labels are " + list),
              "label");
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

void judge_truth(const platform::Profile& profile, const std::string& kind, const json::value& outcome) {
  const platform::TargetTask task = profile.target.task;
  const char* expected = task == platform::TargetTask::kClassify  ? "label"
                         : task == platform::TargetTask::kRegress ? "value"
                                                                  : "text";
  if (kind != expected)
    throw Error(ErrorCode::kInvalidInput,
                "the model of profile " + profile.name + " answers with a " + expected + ", not with a " + kind +
                    "; send what really happened as " + expected,
                kind);
  if (task == platform::TargetTask::kClassify) return judge_label(profile.target.labels, outcome);
  if (task == platform::TargetTask::kRegress && !outcome.is_number())
    throw Error(ErrorCode::kInvalidInput,
                "not a number: " + platform::shortened(json::serialize(outcome), kLongestShown) +
                    "; this model answers with a number",
                "value");
}

}  // namespace deploy
