#include "workflows/workflow_checks.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "platform/base/did_you_mean.h"
#include "platform/engine/expression.h"

namespace workflows {
namespace {

using platform::Reference;
using platform::StepDefinition;
using platform::YamlNode;

std::vector<std::string> step_names(const Workflow& workflow) {
  std::vector<std::string> names;
  for (const StepDefinition& step : workflow.steps) names.push_back(step.name);
  return names;
}

const StepDefinition* find_step(const Workflow& workflow, std::string_view name) {
  for (const StepDefinition& step : workflow.steps) {
    if (step.name == name) return &step;
  }
  return nullptr;
}

using Need = std::pair<std::string, std::string>;  // a step, and one that it needs

// The shortest way along needs from one step to another, both ends included; empty = there is none.
std::vector<std::string> shortest_way(const Workflow& workflow, const std::string& from, const std::string& to) {
  std::map<std::string, std::string> reached_from{{from, from}};
  std::vector<std::string> open{from};
  for (std::size_t at = 0; at < open.size() && reached_from.count(to) == 0; ++at) {
    const StepDefinition* step = find_step(workflow, open[at]);
    if (step == nullptr) continue;
    for (const std::string& need : step->needs) {
      if (reached_from.emplace(need, step->name).second) open.push_back(need);
    }
  }
  if (reached_from.count(to) == 0) return {};
  std::vector<std::string> way{to};
  while (way.back() != from) way.push_back(reached_from.at(way.back()));
  std::reverse(way.begin(), way.end());
  return way;
}

// Every need that lies on a circle is part of one that is named; each circle is named once, from its first step.
void check_circles(WorkflowDraft& draft, const YamlNode& steps) {
  std::set<Need> named;
  for (const StepDefinition& step : draft.workflow.steps) {
    for (const std::string& need : step.needs) {
      if (named.count({step.name, need}) != 0) continue;
      const std::vector<std::string> way = shortest_way(draft.workflow, need, step.name);
      if (way.empty()) continue;
      std::string circle = step.name;
      std::string before = step.name;
      for (const std::string& each : way) {
        circle += " -> " + each;
        named.insert({before, each});
        before = each;
      }
      const YamlNode* node = steps.find(step.name);
      const YamlNode* needs = node == nullptr ? nullptr : node->find("needs");
      draft.mistake(needs != nullptr ? *needs : steps, "the steps need each other in a circle: " + circle);
    }
  }
}

class ReferenceCheck {
 public:
  ReferenceCheck(WorkflowDraft& draft, const StepDefinition* step) : draft_(draft), step_(step) {
    if (step != nullptr) needed_ = needed_by(draft.workflow, step->name);
  }

  void walk(const YamlNode& node) {
    for (const YamlNode& item : node.items) walk(item);
    for (const auto& [key, value] : node.entries) walk(value);
    if (node.kind != YamlNode::Kind::kScalar) return;
    for (const Reference& reference : platform::find_references(node.scalar)) {
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
    std::vector<std::string> names;
    for (const WorkflowInput& input : draft_.workflow.inputs) names.push_back(input.name);
    if (std::find(names.begin(), names.end(), reference.name) != names.end()) return {};
    return "there is no input '" + reference.name + "'" + platform::did_you_mean(reference.name, names);
  }

  std::string judge_output(const Reference& reference) {
    if (step_ == nullptr) return "outputs of steps cannot be used here; only inputs can";
    const StepDefinition* step = find_step(draft_.workflow, reference.name);
    if (step == nullptr)
      return "there is no step '" + reference.name + "'" +
             platform::did_you_mean(reference.name, step_names(draft_.workflow));
    if (std::find(needed_.begin(), needed_.end(), reference.name) == needed_.end()) {
      return "step '" + step_->name + "' does not need step '" + reference.name +
             "', so its output may not be there yet; add it to 'needs'";
    }
    const StepKind* kind = find_kind(draft_.kinds, step->kind);
    const std::string output = reference.output.substr(0, reference.output.find('.'));
    if (kind == nullptr || std::find(kind->outputs.begin(), kind->outputs.end(), output) != kind->outputs.end())
      return {};
    return "step '" + reference.name + "' (" + kind->name + ") has no output '" + output + "'" +
           platform::did_you_mean(output, kind->outputs);
  }

  WorkflowDraft& draft_;
  const StepDefinition* step_;
  std::vector<std::string> needed_;
};

// True if `step` needs, directly or not, a step of the first kind that needs one of the second, and so on.
bool needs_chain(const WorkflowDraft& draft, const std::string& step, std::span<const std::string> chain) {
  if (chain.empty()) return true;
  for (const std::string& name : needed_by(draft.workflow, step)) {
    const StepDefinition* other = find_step(draft.workflow, name);
    if (other != nullptr && other->kind == chain[0] && needs_chain(draft, name, chain.subspan(1))) return true;
  }
  return false;
}

void check_after(WorkflowDraft& draft, const StepDefinition& step, const YamlNode& at) {
  const StepKind* kind = find_kind(draft.kinds, step.kind);
  if (kind == nullptr || needs_chain(draft, step.name, kind->after)) return;
  std::string wanted;
  for (const std::string& each : kind->after)
    wanted += (wanted.empty() ? " must need a " : " step that needs a ") + each;
  draft.mistake(at, "step '" + step.name + "' (" + step.kind + ")" + wanted + " step, directly or not");
}

}  // namespace

std::vector<std::string> needed_by(const Workflow& workflow, const std::string& step) {
  std::vector<std::string> all;
  const StepDefinition* begin = find_step(workflow, step);
  std::vector<std::string> open = begin == nullptr ? std::vector<std::string>{} : begin->needs;
  while (!open.empty()) {
    const std::string name = open.back();
    open.pop_back();
    if (std::find(all.begin(), all.end(), name) != all.end()) continue;
    all.push_back(name);
    if (const StepDefinition* next = find_step(workflow, name))
      open.insert(open.end(), next->needs.begin(), next->needs.end());
  }
  return all;
}

void check_needs(WorkflowDraft& draft) {
  const YamlNode* steps = draft.root.find("steps");
  if (steps == nullptr) return;
  const std::vector<std::string> names = step_names(draft.workflow);
  for (const StepDefinition& step : draft.workflow.steps) {
    const YamlNode* node = steps->find(step.name);
    const YamlNode* needs = node == nullptr ? nullptr : node->find("needs");
    if (needs == nullptr) continue;
    const std::vector<YamlNode> one{*needs};
    for (const YamlNode& need : needs->kind == YamlNode::Kind::kSequence ? needs->items : one) {
      if (need.kind != YamlNode::Kind::kScalar || std::find(names.begin(), names.end(), need.scalar) != names.end())
        continue;
      draft.mistake(need, "step '" + step.name + "' needs '" + need.scalar + "', which is not a step" +
                              platform::did_you_mean(need.scalar, names));
    }
  }
  check_circles(draft, *steps);
}

void check_references(WorkflowDraft& draft) {
  if (const YamlNode* on = draft.root.find("on")) ReferenceCheck(draft, nullptr).walk(*on);
  const YamlNode* steps = draft.root.find("steps");
  if (steps == nullptr) return;
  for (const StepDefinition& step : draft.workflow.steps) {
    const YamlNode* node = steps->find(step.name);
    if (node == nullptr) continue;
    ReferenceCheck check(draft, &step);
    for (const char* key : {"with", "if"}) {
      if (const YamlNode* part = node->find(key)) check.walk(*part);
    }
    const YamlNode* uses = node->find("uses");
    check_after(draft, step, uses != nullptr ? *uses : *node);
  }
}

}  // namespace workflows
