// Whole files, written so that a power cut leaves the old or the new one. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace platform {

/// The file's bytes. Throws kNotFound, kTooLarge (over `limit_bytes`) or kUnavailable with the path and the reason.
std::string read_file(const std::filesystem::path& path, std::uint64_t limit_bytes = std::uint64_t{1} << 30);

/// Writes `bytes` to a temporary file in the same folder, syncs it, renames it over `path` and syncs the folder.
/// Throws kDiskFull or kUnavailable and leaves no temporary file behind. `mode` is the file's permission bits.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes, unsigned mode = 0644);

/// Makes a rename or creation inside `folder` durable.
void sync_folder(const std::filesystem::path& folder);

/// Puts the folder `fresh` in the place of `folder`, which may be absent, and removes what stood there only after the
/// change is durable. A reader, or a power cut, finds the old or the new one; on file systems that cannot exchange two
/// names the old one is first renamed to `folder`.old. Both must lie on one file system. Throws as throw_errno does.
void replace_folder(const std::filesystem::path& fresh, const std::filesystem::path& folder);

/// The kind of failure that an errno stands for, as a ready Error: ENOSPC/EDQUOT -> kDiskFull, ENOENT -> kNotFound,
/// others kUnavailable. `what` reads like "writing /data/x".
[[noreturn]] void throw_errno(std::string_view what, int error_number);

/// A file descriptor that closes itself. Move-only.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return descriptor_; }
  int release();
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

/// Writes all bytes or throws as write_file_atomically does.
void write_all(int descriptor, std::string_view bytes, const std::filesystem::path& path);

/// A folder that is removed with everything in it when this object goes. Move-only.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::filesystem::path& parent = std::filesystem::temp_directory_path(),
                           std::string_view prefix = "anneal");
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace platform
