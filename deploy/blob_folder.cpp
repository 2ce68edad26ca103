#include "deploy/blob_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "platform/base/digest.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace deploy {
namespace {

constexpr std::size_t kPrefix = 7;  // "sha256:"

std::string name_of(const std::string& digest) {
  platform::check_digest(digest);
  return digest.substr(kPrefix);
}

void sync_file(const std::filesystem::path& path) {
  const platform::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file || ::fsync(file.get()) != 0) platform::throw_errno("syncing " + path.string(), errno);
}

bool matches(const std::filesystem::path& path, const std::string& digest, std::uint64_t size) {
  return std::filesystem::file_size(path) == size && platform::digest_of_file(path) == digest;
}

}  // namespace

BlobFolder::BlobFolder(std::filesystem::path folder) : folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_);
}

bool BlobFolder::has(const std::string& digest) const { return std::filesystem::exists(path(digest)); }

std::filesystem::path BlobFolder::path(const std::string& digest) const { return folder_ / name_of(digest); }

std::filesystem::path BlobFolder::partial(const std::string& digest) const {
  return folder_ / (name_of(digest) + ".partial");
}

void BlobFolder::admit(const std::string& digest, std::uint64_t size) {
  const std::filesystem::path from = partial(digest);
  if (!std::filesystem::exists(from))
    throw platform::Error(platform::ErrorCode::kNotFound, "no download of " + digest + " to admit");
  if (!matches(from, digest, size)) {
    const std::uint64_t got = std::filesystem::file_size(from);
    std::filesystem::remove(from);
    throw platform::Error(platform::ErrorCode::kCorrupt, "downloaded bytes are not " + digest + " (" +
                                                             std::to_string(got) + " of " + std::to_string(size) +
                                                             " bytes came); they were thrown away");
  }
  std::filesystem::permissions(from, std::filesystem::perms::owner_read | std::filesystem::perms::group_read |
                                         std::filesystem::perms::others_read);
  sync_file(from);
  std::filesystem::rename(from, path(digest));
  platform::sync_folder(folder_);
}

void BlobFolder::verify(const std::string& digest, std::uint64_t size) {
  if (!has(digest)) throw platform::Error(platform::ErrorCode::kNotFound, "blob is missing: " + digest);
  if (matches(path(digest), digest, size)) return;
  std::filesystem::remove(path(digest));
  throw platform::Error(platform::ErrorCode::kCorrupt, "blob's bytes are not what its name says: " + digest +
                                                           "; it was removed and will be fetched again");
}

void BlobFolder::keep_only(const std::set<std::string>& kept) {
  std::set<std::string> names;
  for (const std::string& digest : kept) names.insert(name_of(digest));
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    if (!names.contains(entry.path().stem().string())) std::filesystem::remove(entry.path());
}

}  // namespace deploy
