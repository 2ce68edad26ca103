#include "workflows/steps/model_register_step.h"

#include "platform/registry/model_registry.h"

namespace workflows {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

platform::ModelVersion version_of(const platform::StepContext& context) {
  const json::object* training = context.outputs_of("finetune.lora");
  if (training == nullptr)
    throw Error(ErrorCode::kInvalidInput, "model.register finds no training among the steps that it needs");
  platform::ModelVersion version;
  version.project = context.run().project;
  version.model = platform::require_string(context.inputs(), "name", "with");
  version.base = platform::require_string(*training, "base", "training");
  version.base_digest = platform::string_or(*training, "base_digest", "", "training");
  version.adapter_blob = platform::require_string(*training, "adapter", "training");
  version.adapter_digest = platform::require_string(*training, "digest", "training");
  version.run = context.run().id.str();
  version.step = context.step().definition.name;
  if (const json::object* snapshot = context.outputs_of("dataset.snapshot")) {
    version.dataset_version = platform::string_or(*snapshot, "version_id",
                                                  platform::require_string(*snapshot, "dataset", "dataset"), "dataset");
  }
  if (const json::object* scored = context.outputs_of("model.evaluate"))
    version.evaluation = platform::as_object(scored->at("evaluation"), "evaluation");
  if (const json::object* judged = context.outputs_of("model.gate"))
    version.gate = platform::as_object(judged->at("gate"), "gate");
  return version;
}

}  // namespace

platform::StepOutcome ModelRegisterStep::execute(platform::StepContext& context) {
  if (services_.registry == nullptr)
    throw Error(ErrorCode::kInvalidInput, "this worker has no model registry; run the workflow on a server");
  const platform::ModelVersion version = services_.registry->register_version(version_of(context));
  services_.registry->set_alias(version.project, version.model, "candidate", version.number, context.run().started_by,
                                "registered by run " + version.run);
  context.say("registered " + version.str() + ", adapter " + version.adapter_digest);
  platform::StepOutcome outcome;
  outcome.outputs = {{"model", version.model}, {"number", version.number}, {"version", version.str()}};
  return outcome;
}

}  // namespace workflows
