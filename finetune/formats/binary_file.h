// BinaryFile: a regular file of little-endian values that may be hostile. It is opened once and read with pread, so a
// file that shrinks meanwhile gives an error, never a SIGBUS, and every length that it claims is held against what it
// has. Immutable after construction; several threads may read from one.
#pragma once

#include <bit>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "platform/base/file.h"

namespace finetune {

static_assert(std::endian::native == std::endian::little, "these files hold little-endian values");

class BinaryFile {
 public:
  /// `format` is its name in messages ("GGUF"). Throws kNotFound, or kCorrupt for what is no regular file.
  BinaryFile(std::filesystem::path path, std::string format);

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  /// Throws kCorrupt with one sentence naming the file and what is wrong with it.
  [[noreturn]] void corrupt(const std::string& what) const;
  /// Throws kCorrupt if the file has become too short.
  void read(void* to, std::uint64_t size_bytes, std::uint64_t offset_bytes) const;

 private:
  std::filesystem::path path_;
  std::string format_;
  platform::FileDescriptor file_;
  std::uint64_t size_bytes_ = 0;
};

/// Reads the fields of a header from front to back through a buffer. Belongs to one thread; the file must outlive it.
class FieldReader {
 public:
  explicit FieldReader(const BinaryFile& file) : file_(file) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t left() const { return file_.size_bytes() - position_; }

  template <typename T>
  T number() {
    T value{};
    take(&value, sizeof value);
    return value;
  }
  /// A 64-bit count of things that take at least `least_bytes` each.
  std::uint64_t count(std::string_view what, std::uint64_t least_bytes);
  /// So many bytes; at most `limit`.
  std::string text(std::string_view what, std::uint64_t length, std::uint64_t limit);

 private:
  void take(void* to, std::uint64_t size_bytes);
  void fill();

  const BinaryFile& file_;
  std::uint64_t position_ = 0;
  std::string buffer_;
  std::uint64_t buffer_begin_ = 0;
};

/// A name from a file as messages show it: shortened, without control characters.
std::string in_quotes(std::string_view name);

}  // namespace finetune
