// Content-addressed files: immutable bytes named "sha256:..." under blobs/ab/cdef... Bytes are written to a temporary
// file on the same disk, synced, renamed and the folder synced, so that a blob that is there is whole; they are hashed
// again when they are read. Thread-safe, also between processes: the same bytes written twice are one blob.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "platform/base/digest.h"
#include "platform/base/file.h"

namespace platform {

class BlobStore;

/// Takes a blob piece by piece; nothing remains of it unless finish() returned. Move-only; one thread.
class BlobWriter {
 public:
  BlobWriter(BlobWriter&&) noexcept = default;
  ~BlobWriter();
  /// Throws kDiskFull or kUnavailable.
  void write(std::string_view bytes);
  /// Makes the blob durable and returns its digest. Bytes that rotted under this digest are replaced.
  std::string finish();

 private:
  friend class BlobStore;
  explicit BlobWriter(const BlobStore& store);

  const BlobStore* store_;
  std::filesystem::path temporary_;
  FileDescriptor file_;
  Sha256 hash_;
};

class BlobStore {
 public:
  /// Makes the folder. Removes temporary files older than a day that a killed writer left.
  explicit BlobStore(std::filesystem::path folder);

  /// The digest of the stored bytes. Throws kDiskFull or kUnavailable and leaves nothing behind.
  std::string put(std::string_view bytes);
  std::string put_file(const std::filesystem::path& path);
  BlobWriter writer() const { return BlobWriter(*this); }

  /// The verified bytes. Throws kNotFound, kTooLarge, or kCorrupt if they do not hash to `digest`.
  std::string get(const std::string& digest, std::uint64_t limit_bytes = std::uint64_t{1} << 30) const;
  bool has(const std::string& digest) const;
  /// In bytes. Throws kNotFound.
  std::uint64_t size(const std::string& digest) const;
  /// Where the bytes lie, for ranged sending; not verified. Throws kInvalidInput if `digest` is none.
  std::filesystem::path path_of(const std::string& digest) const;
  /// Copies the verified bytes to `path` (synced). Throws as get() does; leaves no file behind then.
  void copy_to(const std::string& digest, const std::filesystem::path& path) const;

  /// Stores every regular file below `folder` and a manifest of them, {"files":[{"digest","name","size"}...]} in
  /// canonical JSON sorted by name; returns the manifest's digest. Throws kInvalidInput on links and special files.
  std::string put_folder(const std::filesystem::path& folder);
  /// Lays the files of a manifest below `folder`, which must not exist; it appears by one rename when all are there and
  /// durable.
  void get_folder(const std::string& digest, const std::filesystem::path& folder) const;

 private:
  friend class BlobWriter;
  std::filesystem::path folder_;
};

}  // namespace platform
