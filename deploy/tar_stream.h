// A POSIX tar (ustar) inside a zstd frame, written and read as a stream: names of at most 100 bytes, regular files
// only. One thread an object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace deploy {

class TarWriter {
 public:
  /// Truncates `file`. Throws as platform::write_all does.
  explicit TarWriter(const std::filesystem::path& file);
  ~TarWriter();
  /// Announces an entry; exactly `size` bytes must follow through `write`. `type` is tar's: '0' for a regular file, the
  /// only one that a reader takes.
  void begin(std::string_view name, std::uint64_t size, char type = '0');
  void write(std::string_view bytes);
  /// Ends the archive and syncs the file.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct TarEntry {
  std::string name;
  std::uint64_t size = 0;
};

class TarReader {
 public:
  /// Throws kNotFound or kUnavailable.
  explicit TarReader(const std::filesystem::path& file);
  ~TarReader();
  /// The next entry, what is left of the one before being skipped; nullopt at the end of the archive. Throws kCorrupt
  /// for a damaged stream, a header checksum that is wrong, or anything but a regular file.
  std::optional<TarEntry> next();
  /// The present entry's bytes in pieces.
  void read(const std::function<void(std::string_view piece)>& take);
  /// The present entry's bytes at once; throws kTooLarge over `limit`.
  std::string read_all(std::uint64_t limit);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace deploy
