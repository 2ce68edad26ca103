#include "workflows/steps.h"

#include <algorithm>

#include "connectors/profiles.h"
#include "platform/base/did_you_mean.h"
#include "platform/base/digest.h"
#include "workflows/step_schemas.h"
#include "workflows/steps/approval_step.h"
#include "workflows/steps/dataset_snapshot_step.h"
#include "workflows/steps/deploy_rollout_step.h"
#include "workflows/steps/finetune_lora_step.h"
#include "workflows/steps/model_evaluate_step.h"
#include "workflows/steps/model_gate_step.h"
#include "workflows/steps/model_register_step.h"

namespace workflows {
namespace {

template <class Made>
std::unique_ptr<platform::Step> make(StepServices& services) {
  return std::make_unique<Made>(services);
}

struct Row {
  std::string_view kind;
  std::unique_ptr<platform::Step> (*make)(StepServices&);
};
// clang-format off
constexpr Row kRows[] = {
    {"approval",         make<ApprovalStep>       },
    {"dataset.snapshot", make<DatasetSnapshotStep>},
    {"deploy.rollout",   make<DeployRolloutStep>  },
    {"finetune.lora",    make<FinetuneLoraStep>   },
    {"model.evaluate",   make<ModelEvaluateStep>  },
    {"model.gate",       make<ModelGateStep>      },
    {"model.register",   make<ModelRegisterStep>  },
};
// clang-format on

// A name that is neither ready nor in this machine's data folder; the worker's may have it.
std::string profile_doubt(const platform::json::value& value) {
  if (!value.is_string()) return {};
  const std::string name(value.get_string());
  if (name.find('/') != std::string::npos || name.ends_with(".yaml")) return {};
  const std::vector<std::string> known = connectors::profile_names(platform::data_folder());
  if (std::find(known.begin(), known.end(), name) != known.end()) return {};
  return "there is no ready profile '" + name + "'" + platform::did_you_mean(name, known) +
         "; the worker's data folder must have it as profiles/" + name + ".yaml";
}

}  // namespace

const std::vector<StepKind>& step_kinds() {
  static const std::vector<StepKind> kKinds = [] {
    std::vector<StepKind> kinds = step_schemas();
    for (StepKind& kind : kinds) {
      for (const Row& row : kRows) {
        if (row.kind == kind.name) kind.make = row.make;
      }
      for (StepOption& option : kind.options) {
        if (kind.name == "dataset.snapshot" && option.name == "profile") option.doubt = profile_doubt;
      }
    }
    return kinds;
  }();
  return kKinds;
}

std::vector<std::string> runnable_kinds() {
  std::vector<std::string> names;
  for (const Row& row : kRows) names.emplace_back(row.kind);
  return names;
}

std::filesystem::path folder_for(const std::filesystem::path& work_folder, const platform::json::object& what) {
  const std::filesystem::path folder = work_folder / platform::sha256_hex(platform::canonical_json(what)).substr(0, 16);
  std::filesystem::create_directories(folder);
  return folder;
}

platform::StepFactory step_factory(StepServices& services) {
  return [&services](const std::string& name) {
    const StepKind* kind = find_kind(step_kinds(), name);
    if (kind == nullptr || !kind->make)
      throw platform::Error(platform::ErrorCode::kInvalidInput,
                            "this program has no code for the step kind '" + name + "'");
    return kind->make(services);
  };
}

}  // namespace workflows
