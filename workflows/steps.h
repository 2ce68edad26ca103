// The table of step kinds with the code that runs them, and what that code is made of. Steps whose services an
// installation lacks are known to the language but not taken by its workers.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/data_folder.h"
#include "platform/dataset/observation.h"
#include "platform/engine/step.h"
#include "platform/store/blob_store.h"
#include "workflows/step_kind.h"

namespace workflows {

/// The model version that an alias stands for.
struct AliasTarget {
  std::string version;  // "tool-failure/3"
  std::string adapter;  // folder in the blob store
  std::string base;     // name
};

/// Handed down from the composition root; outlives every step made of it.
struct StepServices {
  platform::DataFolder data;
  platform::BlobStore& blobs;
  /// Gives every record of a source, in any order. Null where there is no record store: then only files can be read.
  std::function<void(const std::string& source, const std::function<void(platform::Observation&&)>& take)> read_records = {};
  /// nullopt if the alias is empty. Null where there is no registry: every alias is empty.
  std::function<std::optional<AliasTarget>(const std::string& model, const std::string& alias)> find_alias = {};
};

/// All kinds, alphabetical.
const std::vector<StepKind>& step_kinds();
/// Names of the kinds that have code; what a worker takes.
std::vector<std::string> runnable_kinds();
/// For a Worker. `services` must outlive it.
platform::StepFactory step_factory(StepServices& services);

}  // namespace workflows
