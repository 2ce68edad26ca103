// Workflow: a YAML file of steps, read strictly. Everything that can be known to be wrong before a run is found in one
// reading, each mistake with file, line and column. Immutable values; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"
#include "platform/base/yaml.h"
#include "platform/model/run.h"
#include "workflows/step_kind.h"

namespace workflows {

// Bounds that keep the checks of any 1 MiB file short: a server reads what anyone who may read workflows sends.
constexpr std::size_t kMostSteps = 500;
constexpr std::size_t kMostInputs = 500;
constexpr std::size_t kMostMistakes = 100;  // named for one file; that there are more is one more mistake

struct WorkflowInput {
  std::string name;
  std::string type;  // string, integer, number, boolean, duration, list, mapping, source, dataset, base, model
  std::string description;
  std::optional<platform::json::value> fallback;  // `default`; absent = the run must give it
  std::optional<double> minimum, maximum;
  std::vector<std::string> choices;
};

struct Resources {
  std::int64_t cpus = 0;  // 0 = all of the machine
  std::int64_t gpus = 0;
};

/// `on: records`: a run for every `at_least` new records of `source`.
struct RecordsTrigger {
  std::string source;  // may be an expression over inputs
  std::int64_t at_least = 1;
};

struct Workflow {
  std::string name;
  std::string description;
  std::vector<WorkflowInput> inputs;
  std::optional<std::string> schedule;
  std::optional<RecordsTrigger> records;
  std::vector<platform::StepDefinition> steps;  // in file order
  std::map<std::string, Resources> resources;   // by step
  std::vector<platform::Mistake> warnings;      // what is no mistake but does not do what it seems to
  std::string text;
  std::string content_hash;  // "sha256:..." of `text`
};

/// Reads and checks a workflow. On mistakes returns nullopt and appends them, in file order; behind kMostMistakes of
/// them one that says so. Steps and inputs behind kMostSteps and kMostInputs are a mistake, and not read.
std::optional<Workflow> parse_workflow(std::string_view text, const std::string& file,
                                       const std::vector<StepKind>& kinds, std::vector<platform::Mistake>& mistakes);
/// Throws kInvalidInput with every mistake, one a line.
Workflow workflow_from_text(std::string_view text, const std::string& file, const std::vector<StepKind>& kinds);
Workflow read_workflow_file(const std::filesystem::path& path, const std::vector<StepKind>& kinds);

/// The inputs of a run: what is given, else the defaults. Texts are read as the input's type ("16" for an integer).
/// Throws kInvalidInput naming every missing, unknown or unfit input, or else every option that an input makes unfit.
platform::json::object settle_inputs(const Workflow& workflow, const platform::json::object& given);

/// Names of steps, each after those that it needs; file order where free.
std::vector<std::string> execution_order(const Workflow& workflow);

}  // namespace workflows
