// The table of step kinds with the code that runs them, and what that code is made of. Steps whose services an
// installation lacks are known to the language but not taken by its workers.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "connectors/connector.h"
#include "platform/base/data_folder.h"
#include "platform/engine/step.h"
#include "platform/store/blob_store.h"
#include "workflows/step_kind.h"

namespace platform {
class DatasetStore;
class DeploymentStore;
class ModelRegistry;
class RecordStore;
}  // namespace platform
namespace deploy {
class Deployments;
}

namespace workflows {

/// Handed down from the composition root; outlives every step made of it. What is null is not there: then only files
/// can be read, every alias is empty, and steps that cannot do without say so.
struct StepServices {
  platform::DataFolder data;
  platform::BlobStore& blobs;
  platform::RecordStore* records = nullptr;
  platform::DatasetStore* datasets = nullptr;
  platform::ModelRegistry* registry = nullptr;
  deploy::Deployments* deployments = nullptr;
  platform::DeploymentStore* deployment_store = nullptr;
  connectors::FileRule file_allowed = {};  // asked of each file of a dataset that is open; empty = every one
  int threads = 0;                         // of training and evaluation; 0 = one a core
};

/// All kinds, alphabetical.
const std::vector<StepKind>& step_kinds();
/// Names of the kinds that have code; what a worker takes.
std::vector<std::string> runnable_kinds();
/// A folder below the step's work folder, made and named by the digest of what the step works on. The work folder stays
/// when a person lets a run go on from an earlier step, so that what another input left there is not taken for this
/// one's.
std::filesystem::path folder_for(const std::filesystem::path& work_folder, const platform::json::object& what);
/// For a Worker. `services` must outlive it.
platform::StepFactory step_factory(StepServices& services);

}  // namespace workflows
