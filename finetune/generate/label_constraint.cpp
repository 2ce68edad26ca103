#include "finetune/generate/label_constraint.h"

#include <algorithm>
#include <set>

#include "platform/base/error.h"

namespace finetune {
namespace {

constexpr std::size_t kMostLabels = 10'000;
constexpr std::size_t kMostTokens = 200'000;  // of all labels together

[[noreturn]] void refuse(const std::string& what) {
  throw platform::Error(platform::ErrorCode::kInvalidInput, what, "choices");
}

}  // namespace

LabelConstraint::LabelConstraint(const Tokenizer& tokenizer, const std::vector<std::string>& labels,
                                 std::vector<std::int32_t> ends)
    : nodes_(1), ends_(std::move(ends)) {
  if (labels.empty() || labels.size() > kMostLabels)
    refuse(std::to_string(labels.size()) + " choices; give 1 to " + std::to_string(kMostLabels));
  std::set<std::string> known;
  std::size_t tokens = 0;
  std::size_t size = static_cast<std::size_t>(tokenizer.vocabulary_size());
  for (const std::int32_t end : ends_) size = std::max(size, static_cast<std::size_t>(end) + 1);
  set_.assign((size + 63) / 64, 0);
  for (const std::string& label : labels) {
    if (label.empty()) refuse("a choice is empty; leave it out");
    if (!known.insert(label).second) refuse("the choice \"" + label + "\" stands twice; leave one out");
    const std::vector<std::int32_t> ids = tokenizer.encode(label);
    const bool ending = std::any_of(ids.begin(), ids.end(), [&](std::int32_t id) {
      return std::find(ends_.begin(), ends_.end(), id) != ends_.end();
    });
    if (ids.empty() || ending || tokenizer.decode(ids) != label)
      refuse("the tokenizer cannot write the choice \"" + label + "\" as it is; it gives \"" + tokenizer.decode(ids) +
             "\"");
    tokens += ids.size();
    if (tokens > kMostTokens)
      refuse("the choices have more than " + std::to_string(kMostTokens) + " tokens together; shorten them");
    add(ids);
  }
}

void LabelConstraint::add(const std::vector<std::int32_t>& ids) {
  std::size_t at = 0;
  auto left = static_cast<std::int64_t>(ids.size());
  for (const std::int32_t id : ids) {
    nodes_[at].to_finish = std::min(nodes_[at].to_finish, left--);
    const auto [found, added] = nodes_[at].next.try_emplace(id, nodes_.size());
    at = found->second;
    if (added) nodes_.emplace_back();
  }
  nodes_[at].whole = true;
  nodes_[at].to_finish = 0;
}

std::span<const std::uint64_t> LabelConstraint::allowed(std::int64_t left) {
  std::fill(set_.begin(), set_.end(), 0);
  for (const auto& [token, next] : node().next) {
    if (nodes_[next].to_finish <= left - 1) insert(set_, static_cast<std::size_t>(token));
  }
  for (const std::int32_t end : ends_) {
    if (complete()) insert(set_, static_cast<std::size_t>(end));
  }
  return set_;
}

void LabelConstraint::take(std::int32_t token) {
  const auto found = node().next.find(token);
  if (found == node().next.end())
    throw platform::Error(platform::ErrorCode::kInternal, "token " + std::to_string(token) + " continues no choice");
  at_ = found->second;
}

}  // namespace finetune
