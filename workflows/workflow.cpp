#include "workflows/workflow.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <unordered_map>

#include "platform/base/did_you_mean.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"
#include "platform/base/shortened.h"
#include "platform/engine/expression.h"
#include "workflows/duration.h"
#include "workflows/input_rules.h"
#include "workflows/option_checks.h"
#include "workflows/schedule.h"
#include "workflows/workflow_checks.h"

namespace workflows {
namespace {

namespace json = platform::json;
using platform::Mistake;
using platform::StepDefinition;
using platform::YamlFields;
using platform::YamlNode;

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 64 || std::isalnum(static_cast<unsigned char>(text.front())) == 0) return false;
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
}

// Names stand in expressions (steps.NAME.OUTPUT), which are of ASCII.
std::string name_trouble(const std::string& text) {
  if (is_name(text)) return {};
  return "'" + platform::shortened(text, 100) +
         "' is no name; use a to z, A to Z, 0 to 9, '-' and '_', at most 64, a letter or digit first";
}

bool has_expression(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kScalar) return node.scalar.find("${{") != std::string::npos;
  if (std::any_of(node.items.begin(), node.items.end(), has_expression)) return true;
  return std::any_of(node.entries.begin(), node.entries.end(),
                     [](const auto& entry) { return has_expression(entry.value); });
}

class WorkflowReader {
 public:
  WorkflowReader(Workflow& workflow, const YamlNode& root, const std::string& file, const std::vector<StepKind>& kinds,
                 std::vector<Mistake>& mistakes, std::size_t before)
      : workflow_(workflow), root_(root), file_(file), kinds_(kinds), mistakes_(mistakes), before_(before) {}

  /// False where steps or inputs were left out, which is a mistake: what is not read cannot be told from what is
  /// missing.
  bool read() {
    YamlFields fields(root_, "the workflow", file_, mistakes_);
    const YamlNode* name = fields.require("name");
    workflow_.name = fields.string("name");
    if (name != nullptr && name->kind == YamlNode::Kind::kScalar) check_name(*name);
    workflow_.description = fields.string("description");
    if (const YamlNode* inputs = fields.node("inputs")) read_inputs(*inputs);
    if (const YamlNode* on = fields.node("on")) read_triggers(*on);
    const YamlNode* steps = fields.require("steps");
    if (steps != nullptr) read_steps(*steps);
    if (root_.kind == YamlNode::Kind::kMapping) fields.refuse_others();
    return whole_;
  }

 private:
  void mistake(const YamlNode& at, std::string message) {
    mistakes_.push_back({file_, at.line, at.column, std::move(message)});
  }

  void warn(const YamlNode& at, std::string message) {
    workflow_.warnings.push_back({file_, at.line, at.column, std::move(message)});
  }

  bool told_enough() const { return mistakes_.size() - before_ > kMostMistakes; }

  void check_name(const YamlNode& node) {
    const std::string trouble = name_trouble(node.scalar);
    if (!trouble.empty()) mistake(node, trouble);
  }

  // True where no more are read: enough is told, or the one at `at` is the first that is too many.
  bool ends_at(const YamlNode& at, std::size_t before, std::size_t most, const std::string& what) {
    if (!told_enough() && before < most) return false;
    whole_ = false;
    if (before >= most)
      mistake(at, "a workflow has at most " + std::to_string(most) + " " + what + "; '" +
                      platform::shortened(at.scalar, 100) + "' is number " + std::to_string(before + 1) +
                      ", and none is read from here on; make several workflows of it");
    return true;
  }

  void read_inputs(const YamlNode& node) {
    if (node.kind != YamlNode::Kind::kMapping)
      return mistake(node, "'inputs' must be a mapping of names to {type, default, ...}");
    for (const auto& [key, value] : node.entries) {
      if (ends_at(key, workflow_.inputs.size(), kMostInputs, "inputs")) break;
      WorkflowInput input;
      input.name = key.scalar;
      check_name(key);
      read_input(value, input);
      workflow_.inputs.push_back(std::move(input));
    }
    defaults_ = default_inputs(workflow_);
  }

  void read_input(const YamlNode& node, WorkflowInput& input) {
    YamlFields fields(node, "input '" + input.name + "'", file_, mistakes_);
    if (node.kind != YamlNode::Kind::kMapping) return;
    const YamlNode* type = fields.require("type");
    input.type = fields.string("type");
    const std::vector<std::string>& types = input_types();
    const bool known = std::find(types.begin(), types.end(), input.type) != types.end();
    if (type != nullptr && !known)
      mistake(*type, "unknown input type '" + input.type + "'" + platform::did_you_mean(input.type, types));
    input.description = fields.string("description");
    if (fields.node("minimum") != nullptr) input.minimum = fields.number("minimum", 0);
    if (fields.node("maximum") != nullptr) input.maximum = fields.number("maximum", 0);
    input.choices = fields.strings("choices");
    if (const YamlNode* fallback = fields.node("default")) {
      input.fallback = platform::to_json(*fallback);
      const std::string trouble = known ? input_trouble(input, *input.fallback) : std::string();
      if (!trouble.empty()) mistake(*fallback, "the default of " + trouble);
    }
    fields.refuse_others();
  }

  void read_triggers(const YamlNode& node) {
    YamlFields fields(node, "'on'", file_, mistakes_);
    if (node.kind != YamlNode::Kind::kMapping) return;
    if (const YamlNode* schedule = fields.node("schedule")) {
      workflow_.schedule = fields.string("schedule");
      const std::string trouble =
          schedule->kind == YamlNode::Kind::kScalar ? schedule_trouble(*workflow_.schedule) : std::string();
      if (!trouble.empty()) mistake(*schedule, trouble);
    }
    if (const YamlNode* records = fields.node("records")) read_records(*records);
    for (const char* key : {"schedule", "records"}) {
      if (const YamlNode* at = node.key_node(key))
        warn(*at, "'" + std::string(key) +
                      "' is checked, but nothing starts runs by it yet; start them by hand, by REST or by cron");
    }
    // Runs can always be started by hand; the key only says so.
    if (fields.node("manual") != nullptr && !fields.boolean("manual", true))
      mistake(*node.find("manual"), "'manual' can only be true: a run can always be started by hand");
    fields.refuse_others();
  }

  void read_records(const YamlNode& node) {
    YamlFields fields(node, "'records'", file_, mistakes_);
    if (node.kind != YamlNode::Kind::kMapping) return;
    RecordsTrigger trigger;
    fields.require("source");
    trigger.source = fields.string("source");
    trigger.at_least = fields.integer("at_least", 1);
    if (trigger.at_least < 1) mistake(*node.find("at_least"), "'at_least' must be 1 or more");
    fields.refuse_others();
    workflow_.records = std::move(trigger);
  }

  void read_steps(const YamlNode& node) {
    if (node.kind != YamlNode::Kind::kMapping || node.entries.empty())
      return mistake(node, "'steps' must be a mapping with at least one step");
    for (const auto& [key, value] : node.entries) {
      if (ends_at(key, workflow_.steps.size(), kMostSteps, "steps")) return;
      StepDefinition step;
      step.name = key.scalar;
      check_name(key);
      read_step(value, step);
      workflow_.steps.push_back(std::move(step));
    }
  }

  void read_step(const YamlNode& node, StepDefinition& step) {
    const std::string where = "step '" + step.name + "'";
    YamlFields fields(node, where, file_, mistakes_);
    if (node.kind != YamlNode::Kind::kMapping) return;
    const YamlNode* uses = fields.require("uses");
    step.kind = fields.string("uses");
    const StepKind* kind = find_kind(kinds_, step.kind);
    if (uses != nullptr && uses->kind == YamlNode::Kind::kScalar && kind == nullptr) {
      std::vector<std::string> names;
      for (const StepKind& each : kinds_) names.push_back(each.name);
      mistake(*uses, "unknown step kind '" + step.kind + "'" + platform::did_you_mean(step.kind, names));
    }
    read_with(node, fields.node("with"), kind, step);
    step.needs = fields.strings("needs");
    if (const YamlNode* condition = fields.node("if")) read_condition(*condition, step);
    if (const YamlNode* resources = fields.node("resources")) read_resources(*resources, step.name);
    if (const YamlNode* retry = fields.node("retry")) read_retry(*retry, step);
    if (const YamlNode* timeout = fields.node("timeout")) step.timeout = read_duration(*timeout, "timeout");
    fields.refuse_others();
  }

  void read_condition(const YamlNode& node, StepDefinition& step) {
    if (node.kind != YamlNode::Kind::kScalar)
      return mistake(node, "'if' must be one expression such as ${{ inputs.NAME }}, or true or false");
    step.condition = node.scalar;
    const auto references = platform::find_references(node.scalar);
    const bool told = std::any_of(references.begin(), references.end(), [](const platform::Reference& reference) {
      return reference.kind == platform::Reference::Kind::kBad;  // check_references points at it
    });
    const std::string trouble = told ? std::string() : platform::condition_trouble(node.scalar);
    if (!trouble.empty()) mistake(node, trouble);
  }

  std::chrono::seconds read_duration(const YamlNode& node, const std::string& key) {
    const auto found = node.kind == YamlNode::Kind::kScalar ? duration_from(node.scalar) : std::nullopt;
    if (!found) mistake(node, "'" + key + "' must be a duration such as 45s, 10m or 2h");
    return found.value_or(std::chrono::seconds(0));
  }

  void read_resources(const YamlNode& node, const std::string& step) {
    YamlFields fields(node, "'resources' of step '" + step + "'", file_, mistakes_);
    if (node.kind != YamlNode::Kind::kMapping) return;
    Resources& resources = workflow_.resources[step];
    for (auto [key, target] : {std::pair{"cpus", &resources.cpus}, std::pair{"gpus", &resources.gpus}}) {
      *target = fields.integer(key, 0);
      if (*target < 0) mistake(*node.find(key), "'" + std::string(key) + "' must be 0 or more");
    }
    fields.refuse_others();
    warn(node,
         "'resources' is checked, but has no effect yet: a worker takes one step at a time, with all of its machine");
  }

  void read_retry(const YamlNode& node, StepDefinition& step) {
    YamlFields fields(node, "'retry' of step '" + step.name + "'", file_, mistakes_);
    if (node.kind != YamlNode::Kind::kMapping) return;
    fields.require("attempts");
    step.attempts = fields.integer("attempts", 1);
    if (step.attempts < 1 || step.attempts > 100)
      mistake(*node.find("attempts"), "'attempts' must be between 1 and 100");
    if (const YamlNode* backoff = fields.node("backoff")) step.backoff = read_duration(*backoff, "backoff");
    fields.refuse_others();
  }

  void read_with(const YamlNode& step_node, const YamlNode* with, const StepKind* kind, StepDefinition& step) {
    const std::string where = "step '" + step.name + "' (" + step.kind + ")";
    if (with != nullptr && with->kind != YamlNode::Kind::kMapping && with->kind != YamlNode::Kind::kNull) {
      return mistake(*with, "'with' of step '" + step.name + "' must be a mapping (option: value)");
    }
    if (with != nullptr && with->kind == YamlNode::Kind::kMapping) step.with = platform::to_json(*with).as_object();
    if (kind == nullptr) return;
    std::vector<std::string> known;
    std::set<std::string> told;  // options whose mistake is named already
    for (const StepOption& option : kind->options) {
      known.push_back(option.name);
      const YamlNode* node = with == nullptr ? nullptr : with->find(option.name);
      if (node == nullptr && option.required)
        mistake(with != nullptr ? *with : step_node, where + " needs the option '" + option.name + "': " + option.help);
      const std::size_t before = mistakes_.size();
      if (node != nullptr) check_option(*node, option);
      if (mistakes_.size() != before) told.insert(option.name);
    }
    check_together(with != nullptr ? *with : step_node, *kind, step.with, told);
    if (with == nullptr) return;
    for (const auto& [key, value] : with->entries) {
      if (told_enough()) return;
      if (std::find(known.begin(), known.end(), key.scalar) == known.end()) {
        mistake(key, "unknown option '" + key.scalar + "' of " + step.kind + platform::did_you_mean(key.scalar, known));
      }
    }
  }

  // A value with an expression is judged when the run knows it; an expression over an input is judged by the input's
  // type, and by its default in check_together.
  void check_option(const YamlNode& node, const StepOption& option) {
    if (!has_expression(node)) {
      const json::value value = platform::to_json(node);
      const std::string trouble = option_trouble(option, value);
      if (!trouble.empty()) mistake(node, trouble);
      const std::string doubt = trouble.empty() && option.doubt ? option.doubt(value) : std::string();
      if (!doubt.empty()) warn(node, doubt);
      return;
    }
    for (const auto& [key, value] : node.entries) {
      if (told_enough()) return;
      if (!option.keys.empty() && std::find(option.keys.begin(), option.keys.end(), key.scalar) == option.keys.end())
        mistake(key, "unknown key '" + key.scalar + "' in '" + option.name + "'" +
                         platform::did_you_mean(key.scalar, option.keys));
    }
    const auto references = platform::find_references(node.scalar);
    if (references.size() != 1 || references[0].kind != platform::Reference::Kind::kInput ||
        references[0].end - references[0].begin != node.scalar.size())
      return;
    for (const WorkflowInput& input : workflow_.inputs) {
      if (input.name != references[0].name || type_may_fit(input.type, option.type)) continue;
      mistake(node, "'" + option.name + "' must be " + std::string(describe(option.type)) + ", but input '" +
                        input.name + "' is of type " + input.type);
    }
  }

  void check_together(const YamlNode& node, const StepKind& kind, const json::object& with,
                      const std::set<std::string>& told) {
    for (const OptionTrouble& trouble : option_troubles(kind, with, defaults_)) {
      if (told.count(trouble.option) != 0) continue;
      const YamlNode* at = node.find(trouble.option);
      mistake(at != nullptr ? *at : node, trouble.message);
    }
  }

  Workflow& workflow_;
  const YamlNode& root_;
  const std::string& file_;
  const std::vector<StepKind>& kinds_;
  std::vector<Mistake>& mistakes_;
  const std::size_t before_;  // mistakes of other files
  json::object defaults_;     // of the inputs
  bool whole_ = true;
};

// In file order, and no more than a person reads.
void settle_mistakes(std::vector<Mistake>& mistakes, std::size_t before) {
  const auto begin = mistakes.begin() + static_cast<std::ptrdiff_t>(before);
  std::stable_sort(begin, mistakes.end(), [](const Mistake& a, const Mistake& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  if (mistakes.size() - before <= kMostMistakes) return;
  mistakes.resize(before + kMostMistakes);
  Mistake more = mistakes.back();
  more.message = "there are more mistakes; only " + std::to_string(kMostMistakes) + " of a file are named";
  mistakes.push_back(std::move(more));
}

}  // namespace

std::optional<Workflow> parse_workflow(std::string_view text, const std::string& file,
                                       const std::vector<StepKind>& kinds, std::vector<Mistake>& mistakes) {
  const std::size_t before = mistakes.size();
  const std::optional<YamlNode> root = platform::parse_yaml(text, file, mistakes);
  if (!root) return std::nullopt;
  Workflow workflow;
  workflow.text = text;
  workflow.content_hash = platform::digest_of(text);
  const bool whole = WorkflowReader(workflow, *root, file, kinds, mistakes, before).read();
  WorkflowDraft draft{workflow, *root, file, kinds, mistakes, before};
  if (whole) check_whole(draft);
  if (mistakes.size() == before) return workflow;
  settle_mistakes(mistakes, before);
  return std::nullopt;
}

Workflow workflow_from_text(std::string_view text, const std::string& file, const std::vector<StepKind>& kinds) {
  std::vector<Mistake> mistakes;
  std::optional<Workflow> workflow = parse_workflow(text, file, kinds, mistakes);
  if (!workflow) platform::throw_mistakes(mistakes);
  return std::move(*workflow);
}

Workflow read_workflow_file(const std::filesystem::path& path, const std::vector<StepKind>& kinds) {
  return workflow_from_text(platform::read_file(path, 1 << 20), path.string(), kinds);
}

std::vector<std::string> execution_order(const Workflow& workflow) {
  const std::vector<StepDefinition>& steps = workflow.steps;
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t at = 0; at < steps.size(); ++at) places.emplace(steps[at].name, at);
  std::vector<std::vector<std::size_t>> needed_by(steps.size());
  std::vector<std::size_t> missing(steps.size()), open;
  for (std::size_t at = 0; at < steps.size(); ++at) {
    missing[at] = steps[at].needs.size();
    if (missing[at] == 0) open.push_back(at);
    for (const std::string& need : steps[at].needs) {
      if (const auto found = places.find(need); found != places.end()) needed_by[found->second].push_back(at);
    }
  }
  // The round in which a reader who goes through the file again and again meets the step with all of its needs met.
  std::vector<std::size_t> rounds(steps.size(), 0);
  for (std::size_t next = 0; next < open.size(); ++next) {
    const std::size_t at = open[next];
    for (const std::size_t after : needed_by[at]) {
      rounds[after] = std::max(rounds[after], rounds[at] + (after < at ? 1U : 0U));
      if (--missing[after] == 0) open.push_back(after);
    }
  }
  std::sort(open.begin(), open.end(),
            [&](std::size_t a, std::size_t b) { return std::pair(rounds[a], a) < std::pair(rounds[b], b); });
  std::vector<std::string> order;  // a circle is left out; parse_workflow never lets one through
  for (const std::size_t at : open) order.push_back(steps[at].name);
  return order;
}

}  // namespace workflows
