#include "connectors/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "platform/base/file.h"

namespace connectors {

using platform::Error;
using platform::ErrorCode;

namespace {

namespace fs = std::filesystem;

[[noreturn]] void cannot_read(const fs::path& path, const std::string& reason) {
  throw Error(ErrorCode::kUnavailable,
              "the file cannot be read: " + path.string() + ": " + reason + "; check the path and its rights");
}

[[noreturn]] void refuse(const fs::path& path, const fs::path& real) {
  const bool link = real != fs::absolute(path).lexically_normal();
  throw Error(ErrorCode::kForbidden,
              "the server may not read the file " + path.string() +
                  (link ? ": a link leads out of the folders that it may read; remove the link, or put a copy in its "
                          "place"
                        : ": it lies outside the folders that it may read; put it below one of them, or have the "
                          "administrator start it with --files-from DIR"));
}

// Opens where the links of `path` lead. Under a rule, what is open is compared with what the rule was asked about: a
// folder of the path may have been exchanged for a link between the two.
platform::FileDescriptor open_file(const fs::path& path, const FileRule& allowed) {
  std::error_code failed;
  const fs::path real = fs::canonical(path, failed);
  if (failed) cannot_read(path, failed.message());
  if (allowed && !allowed(real)) refuse(path, real);
  platform::FileDescriptor file(::open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) cannot_read(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) cannot_read(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) cannot_read(path, "it is no plain file");
  if (!allowed) return file;
  const fs::path opened = fs::read_symlink("/proc/self/fd/" + std::to_string(file.get()), failed);
  if (failed || opened != real) cannot_read(path, "it changed while it was opened");
  return file;
}

}  // namespace

TextFile::TextFile(const fs::path& path, const FileRule& allowed) : path_(path) {
  platform::FileDescriptor file = open_file(path, allowed);
  file_ = gzdopen(file.get(), "rb");
  if (file_ == nullptr) cannot_read(path, "out of memory");
  file.release();
}

TextFile::~TextFile() { gzclose(file_); }

std::string TextFile::read(std::int64_t offset, std::size_t size) {
  if (gzseek(file_, offset, SEEK_SET) < 0) return {};
  std::string bytes(size, '\0');
  std::size_t have = 0;
  int got = 1;
  while (have < size && got > 0) {
    got = gzread(file_, bytes.data() + have, static_cast<unsigned>(std::min<std::size_t>(size - have, 1 << 20)));
    have += static_cast<std::size_t>(std::max(got, 0));
  }
  bytes.resize(have);
  int code = Z_OK;
  const char* reason = gzerror(file_, &code);
  if (code == Z_BUF_ERROR)
    trouble_ = "the gzip file ends in the middle of its data: " + path_.string() + "; copy it again";
  else if (got < 0)
    trouble_ = "the file is damaged: " + path_.string() + ": " + reason + "; copy it again";
  return bytes;
}

std::string TextFile::read_whole(std::size_t limit_bytes) {
  constexpr std::size_t kPiece = 4 << 20;
  std::string text;
  for (std::string piece; !(piece = read(static_cast<std::int64_t>(text.size()), kPiece)).empty();) {
    text += piece;
    if (text.size() > limit_bytes)
      throw Error(ErrorCode::kTooLarge, "the text of " + path_.string() + " is longer than " +
                                            std::to_string(limit_bytes) + " bytes; cut it into several files");
  }
  if (!trouble_.empty()) throw Error(ErrorCode::kCorrupt, trouble_);
  return text;
}

FileLook look_at(const std::filesystem::path& path, double settle_seconds) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {};
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const double age = static_cast<double>(now.tv_sec - status.st_mtim.tv_sec) +
                     1e-9 * static_cast<double>(now.tv_nsec - status.st_mtim.tv_nsec);
  return {status.st_size, static_cast<std::int64_t>(status.st_ino), status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
          age >= settle_seconds};
}

}  // namespace connectors
