// Whose artifacts are whose: a token downloads what its project made, and an agent only what is offered to it. The blob
// store itself tells nobody apart. Thread-safe as the stores are.
#pragma once

#include <string>

#include "platform/http/request.h"
#include "platform/store/artifact_references.h"
#include "platform/store/blob_store.h"
#include "platform/store/deployment_store.h"

namespace web {

class ArtifactAccess {
 public:
  /// All outlive this object.
  ArtifactAccess(platform::ArtifactReferences& references, platform::DeploymentStore& deployments,
                 platform::BlobStore& blobs)
      : references_(references), deployments_(deployments), blobs_(blobs) {}

  /// True if who asks may have the artifact, which is there.
  bool allows(const platform::Identity& identity, const std::string& digest) const;

 private:
  bool in_a_folder_of(const std::string& project, const std::string& digest) const;

  platform::ArtifactReferences& references_;
  platform::DeploymentStore& deployments_;
  platform::BlobStore& blobs_;
};

}  // namespace web
