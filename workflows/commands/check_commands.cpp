// `anneal validate` and `anneal plan`: what is wrong with a workflow file, and what it would do. Nothing is started.
#include <cstdio>

#include "platform/base/command_line.h"
#include "workflows/commands/commands.h"
#include "workflows/definitions.h"
#include "workflows/input_rules.h"
#include "workflows/steps.h"
#include "workflows/workflow.h"

namespace workflows {

namespace json = platform::json;

namespace {

json::object as_json(const platform::Mistake& mistake) {
  return {{"file", mistake.file}, {"line", mistake.line}, {"column", mistake.column}, {"message", mistake.message}};
}

struct Verdict {
  std::optional<Workflow> workflow;
  std::vector<platform::Mistake> mistakes;
  std::string unreadable;  // why there is nothing to check
};

Verdict judge(const std::string& file) {
  Verdict verdict;
  try {
    verdict.workflow = parse_workflow(workflow_text(file), file, step_kinds(), verdict.mistakes);
  } catch (const platform::Error& error) {
    verdict.unreadable = error.what();
  }
  return verdict;
}

void print_as_json(const std::string& file, const Verdict& verdict) {
  json::array mistakes;
  for (const platform::Mistake& mistake : verdict.mistakes) mistakes.push_back(as_json(mistake));
  if (!verdict.unreadable.empty()) mistakes.push_back(json::object{{"file", file}, {"message", verdict.unreadable}});
  json::array warnings;
  if (verdict.workflow) {
    for (const platform::Mistake& warning : verdict.workflow->warnings) warnings.push_back(as_json(warning));
  }
  const json::object line{{"file", file},
                          {"valid", verdict.workflow.has_value()},
                          {"mistakes", std::move(mistakes)},
                          {"warnings", std::move(warnings)}};
  std::printf("%s\n", json::serialize(line).c_str());
}

void print_warnings(const Workflow& workflow) {
  for (const platform::Mistake& warning : workflow.warnings)
    std::fprintf(stderr, "%s:%d:%d: warning: %s\n", warning.file.c_str(), warning.line, warning.column,
                 warning.message.c_str());
}

void print_for_people(const std::string& file, const Verdict& verdict) {
  if (!verdict.unreadable.empty()) return static_cast<void>(std::fprintf(stderr, "%s\n", verdict.unreadable.c_str()));
  for (const platform::Mistake& mistake : verdict.mistakes) std::fprintf(stderr, "%s\n", mistake.str().c_str());
  const std::size_t count = verdict.mistakes.size();
  if (verdict.workflow) print_warnings(*verdict.workflow);
  if (verdict.workflow)
    std::printf("%s: workflow %s, %zu steps, no mistakes\n", file.c_str(), verdict.workflow->name.c_str(),
                verdict.workflow->steps.size());
  else
    std::fprintf(stderr, "%s: %zu mistake%s\n", file.c_str(), count, count == 1 ? "" : "s");
}

void print_inputs(const Workflow& workflow, const json::object& inputs) {
  if (workflow.inputs.empty()) return;
  std::puts("inputs");
  for (const WorkflowInput& input : workflow.inputs)
    std::printf("  %-14s %s\n", input.name.c_str(), json::serialize(inputs.at(input.name)).c_str());
}

void print_step(const Workflow& workflow, const std::string& name) {
  for (const platform::StepDefinition& step : workflow.steps) {
    if (step.name != name) continue;
    std::string needs;
    for (const std::string& each : step.needs) needs += (needs.empty() ? "" : ", ") + each;
    std::printf("  %-14s %-18s %s%s\n", step.name.c_str(), step.kind.c_str(),
                needs.empty() ? "at once" : ("after " + needs).c_str(),
                step.condition.empty() ? "" : (", if " + step.condition).c_str());
  }
}

}  // namespace

int validate_command(const std::vector<std::string>& arguments) {
  platform::CommandLine line(
      "anneal validate",
      "Checks workflow files and names every mistake with line and column; exit code 2 if there is one.",
      {"anneal validate my-flow.yaml", "anneal validate flows/*.yaml --json"});
  line.arguments("FILE", "workflow file, or the name of a ready workflow");
  line.flag("json", "one line of JSON a file");
  if (!line.read(arguments)) return 0;
  bool whole = true;
  for (const std::string& file : line.all("FILE")) {
    const Verdict verdict = judge(file);
    line.has("json") ? print_as_json(file, verdict) : print_for_people(file, verdict);
    whole = whole && verdict.workflow.has_value();
  }
  return whole ? 0 : 2;
}

int plan_command(const std::vector<std::string>& arguments) {
  platform::CommandLine line("anneal plan", "Shows what a workflow would do with these inputs; starts nothing.",
                             {"anneal plan my-flow.yaml --set source=line-3"});
  line.argument("FILE", "workflow file, or the name of a ready workflow");
  line.option("set", "KEY=VALUE", "an input of the workflow; may stand several times", {.repeated = true});
  if (!line.read(arguments)) return 0;
  const std::string file = line.text("FILE");
  const Workflow workflow = workflow_from_text(workflow_text(file), file, step_kinds());
  const json::object inputs = settle_inputs(workflow, inputs_from(line.all("set"), "--set"));
  print_warnings(workflow);
  std::printf("%s: %s\n", workflow.name.c_str(), workflow.description.c_str());
  print_inputs(workflow, inputs);
  std::puts("steps, in this order");
  for (const std::string& name : execution_order(workflow)) print_step(workflow, name);
  return 0;
}

}  // namespace workflows
