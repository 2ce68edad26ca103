#include "web/api/artifact_access.h"

namespace web {

namespace {
constexpr std::uint64_t kLargestManifest = std::uint64_t{16} << 20;
}

bool ArtifactAccess::allows(const platform::Identity& identity, const std::string& digest) const {
  if (identity.role == "agent") {
    const auto offered = deployments_.offered_to(identity.project, identity.name);
    return offered && offered->targets.find(digest) != std::string::npos;  // the signed text lists its files' digests
  }
  return references_.names(identity.project, digest) || in_a_folder_of(identity.project, digest);
}

bool ArtifactAccess::in_a_folder_of(const std::string& project, const std::string& digest) const {
  for (const std::string& folder : references_.folders(project)) {
    if (blobs_.has(folder) && blobs_.get(folder, kLargestManifest).find(digest) != std::string::npos) return true;
  }
  return false;
}

}  // namespace web
