#include "workflows/workflow_checks.h"

#include <algorithm>
#include <bitset>
#include <span>
#include <unordered_map>

#include "platform/base/did_you_mean.h"
#include "platform/engine/expression.h"

namespace workflows {
namespace {

using platform::Reference;
using platform::StepDefinition;
using platform::YamlNode;

// What needs what, by the steps' places in the file. All pairs are known after one closing of at most kMostSteps rows
// of bits, so that no check walks the needs again.
class NeedGraph {
 public:
  using Steps = std::bitset<kMostSteps>;
  static constexpr std::size_t kNone = kMostSteps;

  explicit NeedGraph(const std::vector<StepDefinition>& steps) : needs_(steps.size()), reached_(steps.size()) {
    for (std::size_t at = 0; at < steps.size(); ++at) places_.emplace(steps[at].name, at);
    for (const StepDefinition& step : steps) {
      const std::size_t at = place(step.name);  // a name that stands twice is told; both are one step here
      for (const std::string& name : step.needs) {
        const std::size_t need = place(name);
        if (need == kNone || reached_[at][need]) continue;
        needs_[at].push_back(need);
        reached_[at].set(need);
      }
    }
    for (std::size_t by = 0; by < reached_.size(); ++by) {
      for (Steps& row : reached_) {
        if (row[by]) row |= reached_[by];
      }
    }
  }

  std::size_t place(const std::string& name) const {
    const auto found = places_.find(name);
    return found == places_.end() ? kNone : found->second;
  }
  /// In the order of the file, each once; names that are no step left out.
  const std::vector<std::size_t>& needs(std::size_t step) const { return needs_[step]; }
  /// All that the step needs, directly or not.
  const Steps& reached(std::size_t step) const { return reached_[step]; }

  // The shortest way along needs from one step to another that it reaches, both ends included.
  std::vector<std::size_t> shortest_way(std::size_t from, std::size_t to) const {
    std::vector<std::size_t> reached_from(needs_.size(), kNone);
    reached_from[from] = from;
    std::vector<std::size_t> open{from};
    for (std::size_t at = 0; at < open.size() && reached_from[to] == kNone; ++at) {
      for (const std::size_t need : needs_[open[at]]) {
        if (reached_from[need] != kNone) continue;
        reached_from[need] = open[at];
        open.push_back(need);
      }
    }
    std::vector<std::size_t> way{to};
    while (way.back() != from) way.push_back(reached_from[way.back()]);
    std::reverse(way.begin(), way.end());
    return way;
  }

 private:
  std::unordered_map<std::string, std::size_t> places_;
  std::vector<std::vector<std::size_t>> needs_;
  std::vector<Steps> reached_;
};

std::vector<std::string> step_names(const Workflow& workflow) {
  std::vector<std::string> names;
  for (const StepDefinition& step : workflow.steps) names.push_back(step.name);
  return names;
}

// "a -> b -> a", or the first of many: nobody reads hundreds.
std::string circle_text(const Workflow& workflow, const std::vector<std::size_t>& circle) {
  constexpr std::size_t kMostNamed = 8;
  std::string text;
  for (std::size_t at = 0; at < std::min(circle.size(), kMostNamed); ++at)
    text += workflow.steps[circle[at]].name + " -> ";
  if (circle.size() > kMostNamed) return text + "... (" + std::to_string(circle.size()) + " in all)";
  return text + workflow.steps[circle.front()].name;
}

// Every need that lies on a circle is part of one that is named; each circle is named once, from its first step.
// A way is searched only for a circle that is told, so that the work is bounded by the mistakes.
void check_circles(WorkflowDraft& draft, const NeedGraph& graph, const YamlNode& steps) {
  std::vector<NeedGraph::Steps> named(draft.workflow.steps.size());  // needs on circles that are told
  for (std::size_t step = 0; step < draft.workflow.steps.size(); ++step) {
    for (const std::size_t need : graph.needs(step)) {
      if (draft.told_enough()) return;
      if (named[step][need] || !graph.reached(need)[step]) continue;
      std::vector<std::size_t> circle = graph.shortest_way(need, step);
      std::rotate(circle.begin(), circle.end() - 1, circle.end());  // from `step`; its return is not listed
      for (std::size_t at = 0; at < circle.size(); ++at) named[circle[at]].set(circle[(at + 1) % circle.size()]);
      const YamlNode* node = steps.find(draft.workflow.steps[step].name);
      const YamlNode* needs = node == nullptr ? nullptr : node->find("needs");
      draft.mistake(needs != nullptr ? *needs : steps,
                    "the steps need each other in a circle: " + circle_text(draft.workflow, circle));
    }
  }
}

class ReferenceCheck {
 public:
  /// `step` is nullptr outside of steps.
  ReferenceCheck(WorkflowDraft& draft, const NeedGraph& graph, const StepDefinition* step)
      : draft_(draft), graph_(graph), step_(step) {}

  void walk(const YamlNode& node) {
    for (const YamlNode& item : node.items) walk(item);
    for (const auto& [key, value] : node.entries) walk(value);
    if (node.kind != YamlNode::Kind::kScalar) return;
    for (const Reference& reference : platform::find_references(node.scalar)) {
      if (draft_.told_enough()) return;
      const std::string trouble = judge(reference);
      if (trouble.empty()) continue;
      const std::size_t before = platform::characters_in(std::string_view(node.scalar).substr(0, reference.begin));
      const int offset = static_cast<int>(before) + (node.quoted ? 1 : 0);
      draft_.mistakes.push_back({draft_.file, node.line, node.column + offset, trouble});
    }
  }

 private:
  std::string judge(const Reference& reference) {
    if (reference.kind == Reference::Kind::kBad) return reference.trouble;
    if (reference.kind == Reference::Kind::kInput) return judge_input(reference);
    if (reference.kind == Reference::Kind::kStepOutput) return judge_output(reference);
    return {};
  }

  std::string judge_input(const Reference& reference) {
    const std::vector<WorkflowInput>& inputs = draft_.workflow.inputs;
    if (std::any_of(inputs.begin(), inputs.end(), [&](const auto& input) { return input.name == reference.name; }))
      return {};
    std::vector<std::string> names;
    for (const WorkflowInput& input : inputs) names.push_back(input.name);
    return "there is no input '" + reference.name + "'" + platform::did_you_mean(reference.name, names);
  }

  std::string judge_output(const Reference& reference) {
    if (step_ == nullptr) return "outputs of steps cannot be used here; only inputs can";
    const std::size_t place = graph_.place(reference.name);
    if (place == NeedGraph::kNone)
      return "there is no step '" + reference.name + "'" +
             platform::did_you_mean(reference.name, step_names(draft_.workflow));
    if (!graph_.reached(graph_.place(step_->name))[place]) {
      return "step '" + step_->name + "' does not need step '" + reference.name +
             "', so its output may not be there yet; add it to 'needs'";
    }
    const StepKind* kind = find_kind(draft_.kinds, draft_.workflow.steps[place].kind);
    const std::string output = reference.output.substr(0, reference.output.find('.'));
    if (kind == nullptr || std::find(kind->outputs.begin(), kind->outputs.end(), output) != kind->outputs.end())
      return {};
    return "step '" + reference.name + "' (" + kind->name + ") has no output '" + output + "'" +
           platform::did_you_mean(output, kind->outputs);
  }

  WorkflowDraft& draft_;
  const NeedGraph& graph_;
  const StepDefinition* step_;
};

// True if `step` needs, directly or not, a step of the first kind that needs one of the second, and so on.
bool needs_chain(const std::vector<StepDefinition>& steps, const NeedGraph& graph, std::size_t step,
                 const std::vector<std::string>& chain) {
  NeedGraph::Steps fit;  // steps that the rest of the chain stands before
  fit.set();
  for (auto kind = chain.rbegin(); kind != chain.rend(); ++kind) {
    NeedGraph::Steps before;
    for (std::size_t at = 0; at < steps.size(); ++at) {
      const bool last = kind == chain.rbegin();
      if (steps[at].kind == *kind && (last || (graph.reached(at) & fit).any())) before.set(at);
    }
    fit = before;
  }
  return chain.empty() || (graph.reached(step) & fit).any();
}

void check_after(WorkflowDraft& draft, const NeedGraph& graph, const StepDefinition& step, const YamlNode& at) {
  const StepKind* kind = find_kind(draft.kinds, step.kind);
  if (kind == nullptr || needs_chain(draft.workflow.steps, graph, graph.place(step.name), kind->after)) return;
  std::string wanted;
  for (const std::string& each : kind->after)
    wanted += (wanted.empty() ? " must need a " : " step that needs a ") + each;
  draft.mistake(at, "step '" + step.name + "' (" + step.kind + ")" + wanted + " step, directly or not");
}

void check_need_names(WorkflowDraft& draft, const NeedGraph& graph, const YamlNode& steps) {
  for (const StepDefinition& step : draft.workflow.steps) {
    const YamlNode* node = steps.find(step.name);
    const YamlNode* needs = node == nullptr ? nullptr : node->find("needs");
    if (needs == nullptr) continue;
    const bool several = needs->kind == YamlNode::Kind::kSequence;
    for (const YamlNode& need : several ? std::span(needs->items) : std::span(needs, 1)) {
      if (draft.told_enough()) return;
      if (need.kind != YamlNode::Kind::kScalar || graph.place(need.scalar) != NeedGraph::kNone) continue;
      draft.mistake(need, "step '" + step.name + "' needs '" + need.scalar + "', which is not a step" +
                              platform::did_you_mean(need.scalar, step_names(draft.workflow)));
    }
  }
}

void check_references(WorkflowDraft& draft, const NeedGraph& graph, const YamlNode& steps) {
  for (const StepDefinition& step : draft.workflow.steps) {
    const YamlNode* node = steps.find(step.name);
    if (node == nullptr) continue;
    ReferenceCheck check(draft, graph, &step);
    for (const char* key : {"with", "if"}) {
      if (const YamlNode* part = node->find(key)) check.walk(*part);
    }
    const YamlNode* uses = node->find("uses");
    check_after(draft, graph, step, uses != nullptr ? *uses : *node);
  }
}

}  // namespace

void check_whole(WorkflowDraft& draft) {
  const NeedGraph graph(draft.workflow.steps);
  if (const YamlNode* on = draft.root.find("on")) ReferenceCheck(draft, graph, nullptr).walk(*on);
  const YamlNode* steps = draft.root.find("steps");
  if (steps == nullptr) return;
  check_need_names(draft, graph, *steps);
  check_circles(draft, graph, *steps);
  check_references(draft, graph, *steps);
}

}  // namespace workflows
