// A bundle as one file, for plants that no network reaches: a POSIX tar, compressed with zstd, that holds `root.json`,
// `timestamp.json`, `targets.json` and then every blob as `blobs/<64 hex>`, each once. The metadata comes first, so a
// reader knows what to expect before it writes a byte. The grammar is in bundle_format.md. Functions are pure but for
// the files they name; any thread.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "deploy/blob_folder.h"
#include "deploy/trust.h"

namespace deploy {

struct BundleMetadata {
  std::string root;
  std::string timestamp;
  std::string targets;
};

/// Where the file with this digest lies.
using BlobPath = std::function<std::filesystem::path(const std::string& digest)>;

/// Writes the bundle to `file` (complete or not at all). Throws kCorrupt if a blob is not what its digest says.
void write_bundle(const std::filesystem::path& file, const BundleMetadata& metadata, const BlobPath& blob_path);

/// Reads the three documents only.
BundleMetadata read_bundle_metadata(const std::filesystem::path& file);

/// Reads `file`: calls `accept` with the metadata before anything is written, then moves every blob that is missing
/// into `blobs`, counting and hashing as it goes. Throws kCorrupt for anything that the grammar or the targets do not
/// name, and for a blob that is absent; whatever `accept` throws passes through.
Targets read_bundle(const std::filesystem::path& file, BlobFolder& blobs,
                    const std::function<Targets(const BundleMetadata&)>& accept);

}  // namespace deploy
