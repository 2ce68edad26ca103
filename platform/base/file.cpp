#include "platform/base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "platform/base/error.h"

namespace platform {

void throw_errno(std::string_view what, int error_number) {
  const std::string message = std::string(what) + ": " + std::strerror(error_number);
  if (error_number == ENOSPC || error_number == EDQUOT)
    throw Error(ErrorCode::kDiskFull, message + "; free space on this disk");
  if (error_number == ENOENT) throw Error(ErrorCode::kNotFound, message);
  throw Error(ErrorCode::kUnavailable, message);
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = other.release();
  }
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int FileDescriptor::release() {
  const int descriptor = descriptor_;
  descriptor_ = -1;
  return descriptor;
}

std::string read_file(const std::filesystem::path& path, std::uint64_t limit_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw_errno("reading " + path.string(), errno);
  std::string bytes;
  char block[65536];
  for (;;) {
    const ssize_t got = ::read(file.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("reading " + path.string(), errno);
    if (got == 0) return bytes;
    bytes.append(block, static_cast<std::size_t>(got));
    if (bytes.size() > limit_bytes) {
      throw Error(ErrorCode::kTooLarge,
                  "file is over the limit of " + std::to_string(limit_bytes) + " bytes: " + path.string());
    }
  }
}

void write_all(int descriptor, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(descriptor, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_errno("writing " + path.string(), errno);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

void sync_folder(const std::filesystem::path& folder) {
  const FileDescriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle) throw_errno("opening folder " + folder.string(), errno);
  if (::fsync(handle.get()) != 0) throw_errno("syncing folder " + folder.string(), errno);
}

namespace {

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

void rename_folder(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_errno("renaming " + from.string() + " to " + to.string(), errno);
}

}  // namespace

void replace_folder(const std::filesystem::path& fresh, const std::filesystem::path& folder) {
  std::filesystem::path old;
  if (!std::filesystem::exists(folder)) {
    rename_folder(fresh, folder);
  } else if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) {
    old = fresh;
  } else if (errno == EINVAL || errno == ENOSYS) {
    old = folder.string() + ".old";
    std::filesystem::remove_all(old);
    rename_folder(folder, old);
    rename_folder(fresh, folder);
  } else {
    throw_errno("exchanging " + fresh.string() + " and " + folder.string(), errno);
  }
  sync_folder(folder_of(folder));
  if (!old.empty()) std::filesystem::remove_all(old);
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
  static std::atomic<unsigned> counter{0};
  const std::filesystem::path folder = folder_of(path);
  const std::filesystem::path temporary = folder / ("." + path.filename().string() + "." + std::to_string(::getpid()) +
                                                    "." + std::to_string(counter++) + ".tmp");
  const FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!file) throw_errno("creating " + temporary.string(), errno);
  try {
    write_all(file.get(), bytes, path);
    if (::fsync(file.get()) != 0) throw_errno("syncing " + path.string(), errno);
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw_errno("renaming to " + path.string(), errno);
  } catch (const Error&) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(folder);
}

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent, std::string_view prefix) {
  std::string name = (parent / (std::string(prefix) + "-XXXXXX")).string();
  if (::mkdtemp(name.data()) == nullptr) throw_errno("making a temporary folder in " + parent.string(), errno);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace platform
