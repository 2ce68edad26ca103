// The text of a file, plain or gzip; offsets count uncompressed bytes. A gzip file that is still being copied gives the
// bytes that are there and says so. Under a rule, the file that is open is the one that the rule was asked about, also
// when somebody exchanges links or folders meanwhile. One thread.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "connectors/connector.h"
#include "platform/base/error.h"

namespace connectors {

class TextFile {
 public:
  /// Throws kUnavailable if the file cannot be opened, kForbidden if `allowed` refuses where its links lead.
  explicit TextFile(const std::filesystem::path& path, const FileRule& allowed = {});
  ~TextFile();
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;

  /// Fewer bytes than `size` where the text ends, or breaks off: see trouble().
  std::string read(std::int64_t offset, std::size_t size);
  /// All of it. Throws kTooLarge over `limit_bytes`, kCorrupt with trouble() where the text breaks off.
  std::string read_whole(std::size_t limit_bytes);
  /// Why a read() ended before the file's own end (it is cut off or damaged); empty if none did.
  const std::string& trouble() const { return trouble_; }

 private:
  std::filesystem::path path_;
  gzFile file_;
  std::string trouble_;
};

/// A file as it looks from outside; where nothing of it changed there is nothing new to read.
struct FileLook {
  std::int64_t size = -1, inode = 0, changed_seconds = 0, changed_nanoseconds = 0;
  bool settled = false;  // unchanged for long enough
  bool operator==(const FileLook&) const = default;
};
/// size -1 if the file is gone.
FileLook look_at(const std::filesystem::path& path, double settle_seconds);

}  // namespace connectors
