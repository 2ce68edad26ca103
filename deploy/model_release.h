// What joins rollouts to the model registry: which bytes a registered version stands for, and the alias that a finished
// rollout moves. Used by the server and by workers alike, so that both do the same. Thread-safe as the registry is.
#pragma once

#include <string>

#include "deploy/deployments.h"
#include "platform/base/data_folder.h"
#include "platform/registry/model_registry.h"

namespace deploy {

/// Fills model_version, adapter and base_folder of `request` (project and model are set) from the registry; `version`
/// is a number or an alias. Throws kNotFound for a version or a base that is not there, kConflict for a version without
/// a passing gate report: a rollout ends with moving `production`, so nothing is offered that could not stand there.
void fill_from_registry(DeploymentRequest& request, const std::string& version, platform::ModelRegistry& registry,
                        const platform::DataFolder& data);

/// Moves `production` to the version of a finished deployment. Where the registry refuses, the alias stays, and log and
/// deployment say why: the plant runs what was rolled out, and somebody has to look. Where the registry cannot be
/// asked, that is thrown, and the rollout finishes later.
OnFinished move_production(platform::ModelRegistry& registry, platform::Log log);

}  // namespace deploy
