#include "workflows/workflow.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "finetune/train/train_config.h"
#include "platform/base/file.h"
#include "workflows/definitions.h"
#include "workflows/duration.h"
#include "workflows/input_rules.h"
#include "workflows/schedule.h"
#include "workflows/step_schemas.h"

namespace workflows {
namespace {

namespace json = platform::json;

std::filesystem::path source_folder() {
  const char* folder = std::getenv("ANNEAL_SOURCE");
  return folder != nullptr ? folder : ".";
}

std::vector<std::string> mistakes_in(const std::string& text, const std::string& file = "f") {
  std::vector<platform::Mistake> mistakes;
  parse_workflow(text, file, step_schemas(), mistakes);
  std::vector<std::string> lines;
  for (const platform::Mistake& mistake : mistakes) lines.push_back(mistake.str());
  return lines;
}

const char* kGood = R"(name: tool-failure
inputs:
  source: {type: source, default: cnc-line-3}
  rank:   {type: integer, default: 16, minimum: 1, maximum: 256}
on:
  schedule: "0 2 * * *"
  records: {source: "${{ inputs.source }}", at_least: 5000}
steps:
  data:
    uses: dataset.snapshot
    with: {source: "${{ inputs.source }}", profile: machine-failure, split: {by: group, field: machine, validation: 0.1, test: 0.2}}
  tune:
    uses: finetune.lora
    needs: [data]
    with: {base: anneal-nano, dataset: "${{ steps.data.dataset }}", task: classify, r: "${{ inputs.rank }}", max_epochs: 8}
    resources: {cpus: 2, gpus: 0}
    retry: {attempts: 3}
  score:  {uses: model.evaluate, needs: [tune], with: {adapter: "${{ steps.tune.adapter }}", dataset: "${{ steps.data.dataset }}"}}
  gate:   {uses: model.gate, needs: [score], with: {metric: macro_f1, at_least: 0.60, better_than: [majority, alias:production], confidence: 0.95}}
  model:  {uses: model.register, needs: [gate], with: {name: tool-failure}}
  ok:     {uses: approval, needs: [model], with: {role: engineer, not_by: starter}}
  ship:   {uses: deploy.rollout, needs: [ok], with: {model: "${{ steps.model.version }}", to: "line=3", waves: [10%, 100%], soak: 10m, rollback: automatic}}
)";

TEST(Workflow, ReadsTheWholeLoop) {
  const Workflow workflow = workflow_from_text(kGood, "good.yaml", step_schemas());
  EXPECT_EQ(workflow.name, "tool-failure");
  ASSERT_EQ(workflow.steps.size(), 7u);
  EXPECT_EQ(workflow.steps[1].attempts, 3);
  EXPECT_EQ(workflow.steps[1].with.at("r"), json::value("${{ inputs.rank }}"));
  EXPECT_EQ(workflow.resources.at("tune").cpus, 2);
  EXPECT_EQ(workflow.records->at_least, 5000);
  EXPECT_EQ(execution_order(workflow),
            (std::vector<std::string>{"data", "tune", "score", "gate", "model", "ok", "ship"}));
}

TEST(WorkflowGolden, EveryMistakeOfAFileIsNamedAtItsPlace) {
  const std::string text = platform::read_file(source_folder() / "tests/workflows/ten_mistakes.yaml");
  const std::vector<std::string> expected = {
      "f:3:16: unknown input type 'integr' (did you mean 'integer'?)",
      "f:4:36: the default of input 'epochs' must be at most 50, not '99'",
      "f:6:13: hour 25 is not between 0 and 23",
      "f:9:11: unknown step kind 'dataset.snapsho' (did you mean 'dataset.snapshot'?)",
      "f:12:11: step 'tune' (finetune.lora) must need a dataset.snapshot step, directly or not",
      "f:13:5: unknown key 'need' in step 'tune' (did you mean 'needs'?)",
      "f:14:41: step 'tune' does not need step 'data', so its output may not be there yet; add it to 'needs'",
      "f:14:69: unknown option 'learning_rte' of finetune.lora (did you mean 'learning_rate'?)",
      "f:17:19: step 'score' needs 'dta', which is not a step (did you mean 'data'?)",
      "f:18:11: step 'score' (model.evaluate) needs the option 'adapter': ${{ steps.X.adapter }}",
      "f:18:22: step 'score' does not need step 'data', so its output may not be there yet; add it to 'needs'",
      "f:21:12: the steps need each other in a circle: gate -> gate",
      "f:22:40: 'at_least' must be a number, not 'high'",
      "f:23:10: there is no input 'shp'",
  };
  EXPECT_EQ(mistakes_in(text), expected);
}

TEST(Workflow, EveryReadyWorkflowIsWithoutMistakeAndCalledLikeItsFile) {
  ASSERT_GE(shipped_definition_names().size(), 8u);
  for (const std::string& name : shipped_definition_names()) {
    EXPECT_EQ(workflow_from_text(*shipped_definition(name), name, step_schemas()).name, name);
  }
}

TEST(Workflow, ARunHoldsTheSettledInputsAndEveryStepInFileOrder) {
  const Workflow workflow = workflow_from_text(*shipped_definition("robot-navigation"), "f", step_schemas());
  const platform::Run run = new_run(workflow, {{"source", "sweeps"}, {"seed", "7"}}, "default", "kim");
  EXPECT_EQ(run.inputs.at("seed"), json::value(7));
  EXPECT_EQ(run.inputs.at("base"), json::value("anneal-nano"));
  ASSERT_EQ(run.steps.size(), workflow.steps.size());
  EXPECT_EQ(run.steps.front().definition.name, "data");
  EXPECT_THROW(new_run(workflow, {}, "default", "kim"), platform::Error);
}

TEST(Workflow, AMissingNameAndMissingStepsAreMistakes) {
  EXPECT_EQ(mistakes_in("description: x\n").size(), 2u);
  EXPECT_EQ(mistakes_in("").size(), 1u);
  EXPECT_EQ(mistakes_in("name: x\nsteps: {}\n").size(), 1u);
  EXPECT_EQ(mistakes_in("- a\n").size(), 1u);
}

TEST(Workflow, ACircleIsNamedOnceInItsOrder) {
  const auto mistakes = mistakes_in(
      "name: x\nsteps:\n  a: {uses: approval, needs: [c]}\n  b: {uses: approval, needs: [a]}\n  c: {uses: approval, "
      "needs: [b]}\n");
  ASSERT_EQ(mistakes.size(), 1u);
  EXPECT_NE(mistakes[0].find("a -> c -> b -> a"), std::string::npos) << mistakes[0];
}

std::string step_line(std::size_t at, const std::string& needs) {
  return "  s" + std::to_string(at) + ": {uses: approval, needs: [" + needs + "]}\n";
}

// Steps s0, s1, ..., each of which needs the one before it; `first` is what s0 needs.
std::string chain(std::size_t steps, const std::string& first = "") {
  std::string text = "name: x\nsteps:\n" + step_line(0, first);
  for (std::size_t at = 1; at < steps; ++at) text += step_line(at, "s" + std::to_string(at - 1));
  return text;
}

// Far above what the checks take, also under a sanitizer; far below what they took when each step walked all needs.
class Promptly {
 public:
  ~Promptly() { EXPECT_LT(std::chrono::steady_clock::now() - begin_, std::chrono::seconds(20)); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

TEST(Workflow, AChainOfHundredsOfStepsIsRightAndACircleOfThemIsNamedByItsBeginning) {
  const Promptly promptly;
  EXPECT_EQ(execution_order(workflow_from_text(chain(400), "f", step_schemas())).back(), "s399");
  EXPECT_EQ(mistakes_in(chain(400, "s399")),
            std::vector<std::string>{"f:3:31: the steps need each other in a circle: s0 -> s399 -> s398 -> s397 -> "
                                     "s396 -> s395 -> s394 -> s393 -> ... (400 in all)"});
  EXPECT_EQ(mistakes_in(chain(8, "s7")),
            std::vector<std::string>{"f:3:31: the steps need each other in a circle: s0 -> s7 -> s6 -> s5 -> s4 -> s3 "
                                     "-> s2 -> s1 -> s0"});
}

TEST(Workflow, TheFirstStepThatIsTooManyIsNamed) {
  EXPECT_TRUE(mistakes_in(chain(500)).empty());
  const std::string trouble =
      "f:503:3: a workflow has at most 500 steps; 's500' is number 501, and none is read from here on; make several "
      "workflows of it";
  EXPECT_EQ(mistakes_in(chain(501)), std::vector<std::string>{trouble});
  std::string inputs = "name: x\ninputs:\n";
  for (int at = 0; at < 502; ++at) inputs += "  i" + std::to_string(at) + ": {type: integer, default: 1}\n";
  const auto mistakes = mistakes_in(inputs + "steps:\n  a: {uses: approval, if: \"${{ inputs.i501 }}\"}\n");
  ASSERT_EQ(mistakes.size(), 1u);
  EXPECT_EQ(mistakes[0].rfind("f:503:3: a workflow has at most 500 inputs; 'i500' is number 501", 0), 0u)
      << mistakes[0];
}

TEST(Workflow, AsManyStepsAsAFileHoldsAreJudgedPromptly) {
  const Promptly promptly;
  std::string circle = "name: x\nsteps:\n" + step_line(0, "s9999");
  for (std::size_t at = 1; at < 10'000; ++at) circle += step_line(at, "s" + std::to_string(at - 1));
  const auto mistakes = mistakes_in(circle);
  ASSERT_EQ(mistakes.size(), 1u);
  EXPECT_NE(mistakes[0].find("at most 500 steps"), std::string::npos) << mistakes[0];
  std::string full = "name: x\nsteps:\n";
  for (std::size_t at = 0; full.size() < (1 << 20) - 100; ++at) full += step_line(at, "s0, s1, s2");
  EXPECT_FALSE(mistakes_in(full).empty());
}

TEST(Workflow, StepsThatNeedAllOthersAreJudgedPromptly) {
  const Promptly promptly;
  const auto dense = [](std::size_t steps, bool forward) {  // s0 needs none, or all others
    std::string text = "name: x\nsteps:\n";
    for (std::size_t at = 0; at < steps; ++at) {
      std::string needs;
      for (std::size_t to = forward ? at + 1 : 0; to < (forward ? steps : at); ++to)
        needs += (needs.empty() ? "s" : ",s") + std::to_string(to);
      text += step_line(at, needs);
    }
    return text;
  };
  EXPECT_EQ(execution_order(workflow_from_text(dense(500, false), "f", step_schemas())).back(), "s499");
  EXPECT_EQ(execution_order(workflow_from_text(dense(500, true), "f", step_schemas())).front(), "s499");
}

TEST(Workflow, OfVeryManyMistakesAHundredAreNamedPromptlyAndThatThereAreMore) {
  const Promptly promptly;
  const std::string stem(50, 'q');
  std::string text = "name: x\nsteps:\n";
  for (int at = 0; at < 400; ++at) text += "  " + stem + std::to_string(1000 + at) + ": {uses: approval}\n";
  text += "  last:\n    uses: approval\n    needs:\n";
  while (text.size() < 700'000) text += "    - " + stem + "zz" + std::to_string(text.size()) + "\n";
  text += "    with: {role: \"";
  while (text.size() < (1 << 20) - 100) text += "${{ steps." + stem + "yy.x }}";
  const auto mistakes = mistakes_in(text + "\"}\n");
  ASSERT_EQ(mistakes.size(), kMostMistakes + 1);
  EXPECT_NE(mistakes.front().find("which is not a step (did you mean"), std::string::npos) << mistakes.front();
  EXPECT_NE(mistakes.back().find("there are more mistakes; only 100 of a file are named"), std::string::npos);
}

TEST(Workflow, StepsThatAreFreeStandInTheOrderOfTheFile) {
  const Workflow workflow = workflow_from_text("name: x\nsteps:\n" + step_line(0, "s3") + step_line(1, "") +
                                                   step_line(2, "s0") + step_line(3, "") + step_line(4, "s1, s1"),
                                               "f", step_schemas());
  EXPECT_EQ(execution_order(workflow), (std::vector<std::string>{"s1", "s3", "s4", "s0", "s2"}));
}

TEST(Workflow, ANameOfAnotherScriptIsToldWhichLettersThereAre) {
  const auto mistakes = mistakes_in("name: 공구\ninputs:\n  속도: {type: integer}\nsteps:\n  자료: {uses: approval}\n");
  ASSERT_EQ(mistakes.size(), 3u);
  const std::string rule = " is no name; use a to z, A to Z, 0 to 9, '-' and '_', at most 64, a letter or digit first";
  EXPECT_EQ(mistakes[0], "f:1:7: '공구'" + rule);
  EXPECT_EQ(mistakes[1], "f:3:3: '속도'" + rule);
  EXPECT_EQ(mistakes[2], "f:5:3: '자료'" + rule);
}

TEST(Workflow, AModelThatNoGateHasJudgedBeforeItsRegistrationIsNotRolledOut) {
  std::string text = kGood;
  text.replace(text.find("model.register, needs: [gate]"), 29, "model.register, needs: [tune]");
  text.replace(text.find("approval, needs: [model]"), 24, "approval, needs: [model, gate]");
  const auto mistakes = mistakes_in(text);
  ASSERT_EQ(mistakes.size(), 1u);
  EXPECT_NE(
      mistakes[0].find("step 'ship' (deploy.rollout) must need a model.register step that needs a model.gate step"),
      std::string::npos)
      << mistakes[0];
}

TEST(Workflow, EveryCircleIsNamedAlsoWhereTwoShareAStep) {
  const auto mistakes = mistakes_in(
      "name: x\nsteps:\n  a: {uses: approval, needs: [b, c]}\n  b: {uses: approval, needs: [a]}\n  c: {uses: approval, "
      "needs: [a]}\n");
  ASSERT_EQ(mistakes.size(), 2u);
  EXPECT_NE(mistakes[0].find("a -> b -> a"), std::string::npos) << mistakes[0];
  EXPECT_NE(mistakes[1].find("a -> c -> a"), std::string::npos) << mistakes[1];
}

TEST(Workflow, ADuplicateKeyHidesNoOtherMistake) {
  const auto mistakes = mistakes_in("name: x\nname: y\nsteps:\n  a: {uses: aproval}\n");
  ASSERT_EQ(mistakes.size(), 2u);
  EXPECT_NE(mistakes[1].find("unknown step kind 'aproval'"), std::string::npos) << mistakes[1];
}

TEST(Workflow, OutputsThatAKindDoesNotGiveAreRefused) {
  std::string text = kGood;
  text.replace(text.find("steps.data.dataset"), 18, "steps.data.datset");
  const auto mistakes = mistakes_in(text);
  ASSERT_EQ(mistakes.size(), 1u);
  EXPECT_NE(mistakes[0].find("has no output 'datset' (did you mean 'dataset'?)"), std::string::npos) << mistakes[0];
}

TEST(Workflow, ABadSplitRuleIsFoundBeforeARun) {
  std::string text = kGood;
  text.replace(text.find("by: group"), 9, "by: grup");
  EXPECT_EQ(mistakes_in(text).size(), 1u);
}

TEST(Workflow, AConditionThatIsMoreThanOneExpressionIsRefused) {
  const std::string head =
      "name: x\ninputs:\n  n: {type: integer, default: 1}\nsteps:\n  a:\n    uses: approval\n    if: ";
  for (const char* good : {"true", "false", "\"${{ inputs.n }}\""})
    EXPECT_TRUE(mistakes_in(head + good + "\n").empty()) << good;
  for (const char* bad : {"\"${{ inputs.n }} > 5\"", "no way", "[1]", "\"${{ inputs.n > 5 }}\""}) {
    const auto mistakes = mistakes_in(head + bad + "\n");
    ASSERT_EQ(mistakes.size(), 1u) << bad;
    EXPECT_EQ(mistakes[0].rfind("f:7:", 0), 0u) << mistakes[0];
  }
}

TEST(Workflow, AnInputOfTheWrongTypeForAnOptionIsRefused) {
  std::string text = kGood;
  text.replace(text.find("r: \"${{ inputs.rank }}\""), 23, "r: \"${{ inputs.source }}\"");
  const auto mistakes = mistakes_in(text);
  ASSERT_EQ(mistakes.size(), 1u);
  EXPECT_NE(mistakes[0].find("'r' must be a whole number, but input 'source' is of type source"), std::string::npos);
}

TEST(Workflow, InputsTakeDefaultsAndTextsBecomeTheirType) {
  const Workflow workflow = workflow_from_text(kGood, "good.yaml", step_schemas());
  EXPECT_EQ(platform::canonical_json(settle_inputs(workflow, {{"rank", "8"}})), R"({"rank":8,"source":"cnc-line-3"})");
  EXPECT_THROW(settle_inputs(workflow, {{"rank", 300}}), platform::Error);
  EXPECT_THROW(settle_inputs(workflow, {{"rank", "many"}}), platform::Error);
  EXPECT_THROW(settle_inputs(workflow, {{"rnk", 8}}), platform::Error);
}

TEST(Workflow, InputsStayAsTheyWereTyped) {
  EXPECT_EQ(inputs_from({"release=1.10", "rank=16", "path=a=b"}, "--set"),
            (json::object{{"release", "1.10"}, {"rank", "16"}, {"path", "a=b"}}));
  for (const char* bad : {"rank", "=16"}) EXPECT_THROW(inputs_from({bad}, "--set"), platform::Error) << bad;
}

TEST(Workflow, TheTrainingStepTakesEverySettingOfTheTrainer) {
  const StepKind* kind = find_kind(step_schemas(), "finetune.lora");
  ASSERT_NE(kind, nullptr);
  for (const std::string_view key : finetune::train_config_keys()) {
    EXPECT_TRUE(std::any_of(kind->options.begin(), kind->options.end(),
                            [&](const StepOption& option) { return option.name == key; }))
        << key << " is missing";
  }
}

TEST(Workflow, AnInputThatMakesAnOptionUnfitIsToldByItsDefaultAndByItsValue) {
  const std::string head = "name: x\ninputs:\n  rank: {type: integer, default: ";
  const std::string rest =
      "}\nsteps:\n  data: {uses: dataset.snapshot, with: {source: a, target: b}}\n  tune: {uses: finetune.lora, needs: "
      "[data], with: {base: nano, dataset: \"${{ steps.data.dataset }}\", r: \"${{ inputs.rank }}\"}}\n";
  const auto mistakes = mistakes_in(head + "99999" + rest);
  ASSERT_EQ(mistakes.size(), 1u);
  EXPECT_EQ(mistakes[0], "f:6:106: 'r' must be at most 256, not '99999' (from input rank)");
  const Workflow workflow = workflow_from_text(head + "16" + rest, "f", step_schemas());
  EXPECT_NO_THROW(settle_inputs(workflow, {{"rank", 8}}));
  try {
    settle_inputs(workflow, {{"rank", 2000}});
    FAIL() << "a rank of 2000 was taken";
  } catch (const platform::Error& error) {
    EXPECT_EQ(std::string(error.what()), "step 'tune': 'r' must be at most 256, not '2000' (from input rank)");
  }
}

TEST(Workflow, WhatWouldFailOnlyAfterTrainingIsRefusedBefore) {
  const std::string data =
      "name: x\ninputs:\n  how: {type: string, default: hash}\nsteps:\n  data: {uses: dataset.snapshot";
  EXPECT_EQ(mistakes_in(data + "}\n"),
            std::vector<std::string>{"f:5:9: there is nothing to read; give source, sources or files"});
  EXPECT_EQ(mistakes_in(data + ", with: {source: a}}\n"),
            std::vector<std::string>{"f:5:40: nothing says what to predict; give a profile, or the target column"});
  EXPECT_EQ(mistakes_in(data + ", with: {source: a, target: b, split: {by: \"${{ inputs.how }}\", nonsense: 3}}}\n")[0],
            "f:5:96: unknown key 'nonsense' in 'split'");
  std::string text = kGood;
  text.replace(text.find("metric: macro_f1"), 16, "metric: qwk");
  const auto mistakes = mistakes_in(text);
  ASSERT_EQ(mistakes.size(), 1u);
  EXPECT_NE(mistakes[0].find("'better_than' cannot compare by qwk"), std::string::npos) << mistakes[0];
  text = kGood;
  for (const char* metric : {"metric: auroc", "metric: calibration_error"}) {
    text.replace(text.find("metric: macro_f1"), 16, metric);
    EXPECT_TRUE(mistakes_in(text).empty()) << metric;
    text = kGood;
  }
  text.replace(text.find("metric: macro_f1"), 16, "metric: label_loss");
  ASSERT_EQ(mistakes_in(text).size(), 1u);
  EXPECT_NE(mistakes_in(text)[0].find("'better_than' cannot compare by label_loss"), std::string::npos);
  text = kGood;
  text.replace(text.find("metric: macro_f1"), 16, "metric: lcs_f1");
  ASSERT_EQ(mistakes_in(text).size(), 1u);
  EXPECT_NE(
      mistakes_in(text)[0].find("'better_than' majority has no lcs_f1; the baseline that writes answers is nearest"),
      std::string::npos)
      << mistakes_in(text)[0];
  text.replace(text.find("[majority, "), 11, "[nearest, ");
  EXPECT_TRUE(mistakes_in(text).empty());
  const Workflow table = workflow_from_text(*shipped_definition("adapt-table"), "f", step_schemas());
  EXPECT_THROW(settle_inputs(table, {{"source", "s"}, {"target", "t"}, {"metric", "rmse"}}), platform::Error);
  EXPECT_NO_THROW(settle_inputs(table, {{"source", "s"}, {"target", "t"}, {"metric", "rmse"}, {"rival", "mean"}}));
}

TEST(Workflow, KeysThatDoNothingYetAreWarnedOfAndStartNothing) {
  const Workflow workflow = workflow_from_text(kGood, "good.yaml", step_schemas());
  std::string lines;
  for (const platform::Mistake& warning : workflow.warnings) lines += warning.str() + "\n";
  EXPECT_EQ(workflow.warnings.size(), 3u) << lines;
  for (const char* wanted : {"good.yaml:6:3: 'schedule' is checked, but", "good.yaml:7:3: 'records' is checked, but",
                             "'resources' is checked, but"})
    EXPECT_NE(lines.find(wanted), std::string::npos) << lines;
  EXPECT_EQ(mistakes_in("name: x\non: {manual: maybe}\nsteps:\n  a: {uses: approval}\n").size(), 1u);
  EXPECT_EQ(mistakes_in("name: x\non: {manual: false}\nsteps:\n  a: {uses: approval}\n").size(), 1u);
  EXPECT_EQ(mistakes_in("name: x\non: {manual: true}\nsteps:\n  a: {uses: approval}\n").size(), 0u);
}

TEST(Workflow, DurationsAndSchedulesAreReadStrictly) {
  EXPECT_EQ(duration_from("10m"), std::chrono::seconds(600));
  EXPECT_EQ(duration_from("7"), std::chrono::seconds(7));
  for (const char* bad : {"", "m", "10x", "-5s", "1.5h", "99999999999d"}) EXPECT_FALSE(duration_from(bad)) << bad;
  for (const char* good : {"0 2 * * *", "*/15 8-18 * * 1-5", "0,30 * 1 1,7 0"})
    EXPECT_EQ(schedule_trouble(good), "") << good;
  for (const char* bad :
       {"", "* * * *", "60 * * * *", "a * * * *", "*/0 * * * *", "* * 0 * *", "0 2 30-1 2 *", "0 1-2-3 * * *"})
    EXPECT_NE(schedule_trouble(bad), "") << bad;
}

}  // namespace
}  // namespace workflows
