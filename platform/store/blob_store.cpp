#include "platform/store/blob_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "platform/base/error.h"
#include "platform/base/id.h"
#include "platform/base/json.h"

namespace platform {
namespace {

constexpr std::size_t kBlock = 1 << 18;
constexpr std::uint64_t kLargestManifest = 64 << 20;

// Hands the file's bytes over block by block.
template <class Take>
void read_blocks(const std::filesystem::path& path, Take&& take) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw_errno("reading " + path.string(), errno);
  std::string block(kBlock, '\0');
  for (;;) {
    const ssize_t got = ::read(file.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("reading " + path.string(), errno);
    if (got == 0) return;
    take(std::string_view(block.data(), static_cast<std::size_t>(got)));
  }
}

[[noreturn]] void throw_corrupt(const std::string& digest) {
  throw Error(ErrorCode::kCorrupt,
              "the stored bytes of " + digest + " were changed on disk; restore them from a backup");
}

// What the file system library throws, as an error of ours: a full disk is kDiskFull here too.
template <class Work>
auto as_our_errors(Work&& work) {
  try {
    return work();
  } catch (const std::filesystem::filesystem_error& error) {
    throw_errno(error.path1().string() + ": " + error.what(), error.code().value());
  }
}

std::string digest_on_disk(const std::filesystem::path& path) {
  Sha256 hash;
  read_blocks(path, [&](std::string_view bytes) { hash.update(bytes); });
  return "sha256:" + hash.hex();
}

// Names in a manifest come from outside; they may not leave the folder.
void check_name(const std::string& name) {
  const std::filesystem::path path(name);
  bool good = !name.empty() && path.is_relative() && name.find('\0') == std::string::npos;
  for (const auto& part : path) good = good && part != ".." && part != ".";
  if (!good) throw Error(ErrorCode::kInvalidInput, "a folder manifest names a file outside its folder: " + name);
}

}  // namespace

BlobWriter::BlobWriter(const BlobStore& store) : store_(&store), temporary_(store.folder_ / "incoming" / new_uuid()) {
  file_ = FileDescriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file_) throw_errno("creating " + temporary_.string(), errno);
}

BlobWriter::~BlobWriter() {
  if (file_) ::unlink(temporary_.c_str());
}

void BlobWriter::write(std::string_view bytes) {
  write_all(file_.get(), bytes, temporary_);
  hash_.update(bytes);
}

std::string BlobWriter::finish() {
  const std::string digest = "sha256:" + hash_.hex();
  const std::filesystem::path path = store_->path_of(digest);
  // Bytes that rotted on disk are replaced by these.
  if (as_our_errors([&] { return std::filesystem::exists(path); }) && digest_on_disk(path) == digest) {
    ::unlink(temporary_.c_str());
  } else {
    if (::fsync(file_.get()) != 0) throw_errno("syncing " + temporary_.string(), errno);
    as_our_errors([&] { std::filesystem::create_directories(path.parent_path()); });
    if (::rename(temporary_.c_str(), path.c_str()) != 0) throw_errno("renaming to " + path.string(), errno);
  }
  // Also for a blob that is there: whoever put it may not have come as far as this.
  sync_folder(path.parent_path());
  sync_folder(store_->folder_);
  file_ = FileDescriptor();
  return digest;
}

BlobStore::BlobStore(std::filesystem::path folder) : folder_(std::move(folder)) {
  as_our_errors([&] {
    std::filesystem::create_directories(folder_ / "incoming");
    const auto yesterday = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24);
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "incoming")) {
      std::error_code ignored;
      if (entry.last_write_time(ignored) < yesterday) std::filesystem::remove(entry.path(), ignored);
    }
  });
}

std::string BlobStore::put(std::string_view bytes) {
  BlobWriter blob = writer();
  blob.write(bytes);
  return blob.finish();
}

std::string BlobStore::put_file(const std::filesystem::path& path) {
  BlobWriter blob = writer();
  read_blocks(path, [&](std::string_view bytes) { blob.write(bytes); });
  return blob.finish();
}

std::filesystem::path BlobStore::path_of(const std::string& digest) const {
  check_digest(digest);
  const std::string hex = digest.substr(7);
  return folder_ / hex.substr(0, 2) / hex.substr(2);
}

bool BlobStore::has(const std::string& digest) const { return std::filesystem::exists(path_of(digest)); }

std::uint64_t BlobStore::size(const std::string& digest) const {
  std::error_code error;
  const std::uint64_t bytes = std::filesystem::file_size(path_of(digest), error);
  if (error) throw Error(ErrorCode::kNotFound, "no artifact " + digest);
  return bytes;
}

std::string BlobStore::get(const std::string& digest, std::uint64_t limit_bytes) const {
  if (size(digest) > limit_bytes)
    throw Error(ErrorCode::kTooLarge, "artifact " + digest + " has " + std::to_string(size(digest)) +
                                          " bytes; the limit here is " + std::to_string(limit_bytes));
  std::string bytes = read_file(path_of(digest), limit_bytes);
  if (digest_of(bytes) != digest) throw_corrupt(digest);
  return bytes;
}

void BlobStore::copy_to(const std::string& digest, const std::filesystem::path& path) const {
  size(digest);  // a missing artifact is named by its digest, not by its path
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) throw_errno("creating " + path.string(), errno);
  try {
    Sha256 hash;
    read_blocks(path_of(digest), [&](std::string_view bytes) {
      write_all(file.get(), bytes, path);
      hash.update(bytes);
    });
    if ("sha256:" + hash.hex() != digest) throw_corrupt(digest);
    if (::fsync(file.get()) != 0) throw_errno("syncing " + path.string(), errno);
  } catch (const Error&) {
    ::unlink(path.c_str());
    throw;
  }
}

namespace {

// Every regular file below `folder` by its relative name, in order.
std::vector<std::pair<std::string, std::filesystem::path>> files_below(const std::filesystem::path& folder) {
  std::vector<std::pair<std::string, std::filesystem::path>> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_directory() && !entry.is_symlink()) continue;
    if (entry.is_symlink() || !entry.is_regular_file())
      throw Error(ErrorCode::kInvalidInput, "only plain files can be stored: " + entry.path().string());
    files.emplace_back(std::filesystem::relative(entry.path(), folder).string(), entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// So that names and bytes are there after a power cut, the innermost folder first.
void sync_tree(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_directory()) sync_tree(entry.path());
  }
  sync_folder(folder);
}

}  // namespace

std::string BlobStore::put_folder(const std::filesystem::path& folder) {
  json::array rows;
  for (const auto& [name, path] : as_our_errors([&] { return files_below(folder); })) {
    const std::string digest = put_file(path);
    rows.push_back(json::object{{"digest", digest}, {"name", name}, {"size", static_cast<std::int64_t>(size(digest))}});
  }
  return put(canonical_json(json::object{{"files", std::move(rows)}}));
}

void BlobStore::get_folder(const std::string& digest, const std::filesystem::path& folder) const {
  if (std::filesystem::exists(folder))
    throw Error(ErrorCode::kConflict, "the folder is there already: " + folder.string());
  const json::value manifest = parse_json(get(digest, kLargestManifest), "folder manifest " + digest);
  const std::filesystem::path fresh = folder.string() + ".new";
  as_our_errors([&] {
    std::filesystem::remove_all(fresh);
    std::filesystem::create_directories(fresh);
  });
  for (const json::value& row : as_array(require(as_object(manifest, "manifest"), "files", "manifest"), "files")) {
    const json::object& file = as_object(row, "files[]");
    const std::string name = require_string(file, "name", "files[]");
    check_name(name);
    as_our_errors([&] { std::filesystem::create_directories((fresh / name).parent_path()); });
    copy_to(require_string(file, "digest", "files[]"), fresh / name);
  }
  as_our_errors([&] {
    sync_tree(fresh);
    std::filesystem::rename(fresh, folder);
  });
  sync_folder(folder.has_parent_path() ? folder.parent_path() : std::filesystem::path("."));
}

}  // namespace platform
