#include "deploy/model_release.h"

#include <charconv>

namespace deploy {

using platform::Error;
using platform::ErrorCode;

void fill_from_registry(DeploymentRequest& request, const std::string& version, platform::ModelRegistry& registry,
                        const platform::DataFolder& data) {
  const auto found = registry.resolve(request.project, request.model, version);
  if (!found) {
    throw Error(ErrorCode::kNotFound,
                "model '" + request.model + "' has no version or alias '" + version + "'; GET /api/v1/models/" +
                    request.model + " lists them",
                "version");
  }
  platform::require_passing_gate(*found);
  request.model_version = std::to_string(found->number);
  request.adapter = found->adapter_blob;
  request.base_folder = platform::base_folder(data, found->base);
}

OnFinished move_production(platform::ModelRegistry& registry, platform::Log log) {
  return [&registry, log = std::move(log)](const platform::Deployment& deployment) -> std::string {
    const std::string& version = deployment.model_version;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), number);
    if (error != std::errc() || end != version.data() + version.size())
      return {};  // installed by name, not from the registry
    const std::string reason =
        (deployment.undoes ? "rolled back by deployment " : "rolled out by deployment ") + deployment.id.str();
    try {
      registry.set_alias(deployment.project, deployment.model, "production", number, deployment.created_by, reason);
      return {};
    } catch (const Error& refused) {
      if (refused.code() != ErrorCode::kConflict && refused.code() != ErrorCode::kNotFound) throw;  // tried again
      log.error("production does not follow the rollout", {{"deployment", deployment.id.str()},
                                                           {"model", deployment.model},
                                                           {"version", version},
                                                           {"error", refused.what()}});
      return "production does not follow the rollout: " + std::string(refused.what());
    }
  };
}

}  // namespace deploy
