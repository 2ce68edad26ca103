#include "connectors/text_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace connectors {

using platform::Error;
using platform::ErrorCode;

TextFile::TextFile(const std::filesystem::path& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
  if (file_ == nullptr)
    throw Error(ErrorCode::kUnavailable, "the file cannot be read: " + path.string() + ": " + std::strerror(errno) +
                                             "; check the path and its rights");
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
