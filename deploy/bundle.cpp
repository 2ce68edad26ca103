#include "deploy/bundle.h"

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <map>
#include <vector>

#include "deploy/tar_stream.h"
#include "platform/base/digest.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace deploy {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

// digest -> size of every different blob.
std::map<std::string, std::uint64_t> blobs_of(const Targets& targets) {
  std::map<std::string, std::uint64_t> blobs;
  for (const auto& [path, file] : targets.files) blobs[file.digest] = file.size;
  return blobs;
}

void write_document(TarWriter& tar, std::string_view name, const std::string& text) {
  tar.begin(name, text.size());
  tar.write(text);
}

void write_blob(TarWriter& tar, const std::string& digest, std::uint64_t size, const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ErrorCode::kNotFound, "blob is missing: " + digest + " (" + path.string() + ")");
  tar.begin("blobs/" + digest.substr(7), size);
  platform::Sha256 hash;
  std::vector<char> buffer(kPieceBytes);
  std::uint64_t total = 0;
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0) {
    const std::string_view piece(buffer.data(), static_cast<std::size_t>(in.gcount()));
    total += piece.size();
    if (total > size) break;
    hash.update(piece);
    tar.write(piece);
  }
  if (total != size || "sha256:" + hash.hex() != digest)
    throw Error(ErrorCode::kCorrupt, "blob's bytes are not what its name says: " + digest);
}

void read_blob(TarReader& tar, const TarEntry& entry, const std::string& digest, std::uint64_t size,
               BlobFolder& blobs) {
  if (entry.size != size)
    throw Error(ErrorCode::kCorrupt, "bundle's blob has another size than its targets say: " + digest);
  if (blobs.has(digest)) return;
  const std::filesystem::path partial = blobs.partial(digest);
  const platform::FileDescriptor file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) platform::throw_errno("writing " + partial.string(), errno);
  tar.read([&](std::string_view piece) { platform::write_all(file.get(), piece, partial); });
  blobs.admit(digest, size);
}

std::string read_document(TarReader& tar, std::string_view name) {
  const auto entry = tar.next();
  if (!entry || entry->name != name)
    throw Error(ErrorCode::kCorrupt, "not a bundle: " + std::string(name) + " is missing at its place");
  return tar.read_all(kMetadataLimitBytes);
}

BundleMetadata read_documents(TarReader& tar) {
  BundleMetadata metadata;
  metadata.root = read_document(tar, "root.json");
  metadata.timestamp = read_document(tar, "timestamp.json");
  metadata.targets = read_document(tar, "targets.json");
  return metadata;
}

}  // namespace

void write_bundle(const std::filesystem::path& file, const BundleMetadata& metadata, const BlobPath& blob_path) {
  const std::filesystem::path partial = file.string() + ".partial";
  try {
    TarWriter tar(partial);
    write_document(tar, "root.json", metadata.root);
    write_document(tar, "timestamp.json", metadata.timestamp);
    write_document(tar, "targets.json", metadata.targets);
    for (const auto& [digest, size] : blobs_of(targets_in(metadata.targets)))
      write_blob(tar, digest, size, blob_path(digest));
    tar.finish();
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(partial, ignored);
    throw;
  }
  std::filesystem::rename(partial, file);
  platform::sync_folder(std::filesystem::absolute(file).parent_path());
}

BundleMetadata read_bundle_metadata(const std::filesystem::path& file) {
  TarReader tar(file);
  return read_documents(tar);
}

Targets read_bundle(const std::filesystem::path& file, BlobFolder& blobs,
                    const std::function<Targets(const BundleMetadata&)>& accept) {
  TarReader tar(file);
  Targets targets = accept(read_documents(tar));
  auto missing = blobs_of(targets);
  while (const auto entry = tar.next()) {
    const std::string digest = entry->name.starts_with("blobs/") ? "sha256:" + entry->name.substr(6) : std::string();
    const auto expected = missing.find(digest);
    if (expected == missing.end())
      throw Error(ErrorCode::kCorrupt, "bundle holds an entry that its targets do not name: " + entry->name);
    read_blob(tar, *entry, digest, expected->second, blobs);
    missing.erase(expected);
  }
  if (!missing.empty()) throw Error(ErrorCode::kCorrupt, "bundle lacks the blob " + missing.begin()->first);
  return targets;
}

}  // namespace deploy
