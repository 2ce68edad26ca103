// Which project an artifact belongs to. Blobs are named by their bytes and know no project, so it is the rows that name
// them: dataset versions, model versions, what steps put out, and signed deployments. The only SQL that looks into the
// tables of several stores. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "platform/store/database.h"

namespace platform {

class ArtifactReferences {
 public:
  explicit ArtifactReferences(Database& database) : database_(database) {}

  /// True if a row of the project names `digest`, which must be one ("sha256:" and 64 digits).
  bool names(const std::string& project, const std::string& digest);
  /// The manifests of folders (BlobStore::put_folder) that rows of the project name, newest first: the files in them
  /// belong to it as well.
  std::vector<std::string> folders(const std::string& project);

 private:
  Database& database_;
};

}  // namespace platform
