#include "finetune/formats/binary_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "platform/base/error.h"

namespace finetune {

BinaryFile::BinaryFile(std::filesystem::path path, std::string format)
    : path_(std::move(path)), format_(std::move(format)) {
  file_ = platform::FileDescriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file_) platform::throw_errno("opening " + path_.string(), errno);
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) platform::throw_errno("reading " + path_.string(), errno);
  if (!S_ISREG(status.st_mode)) corrupt("it is not a regular file");
  size_bytes_ = static_cast<std::uint64_t>(status.st_size);
}

void BinaryFile::corrupt(const std::string& what) const {
  throw platform::Error(platform::ErrorCode::kCorrupt, "not a sound " + format_ + " file: " + path_.string() + ": " +
                                                           what + "; fetch or export it again");
}

void BinaryFile::read(void* to, std::uint64_t size_bytes, std::uint64_t offset_bytes) const {
  auto* bytes = static_cast<char*>(to);
  while (size_bytes > 0) {
    const ssize_t got =
        ::pread(file_.get(), bytes, std::min<std::uint64_t>(size_bytes, 1 << 30), static_cast<off_t>(offset_bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) platform::throw_errno("reading " + path_.string(), errno);
    if (got == 0) corrupt("the file ends at byte " + std::to_string(offset_bytes) + ", it was cut while in use");
    bytes += got;
    offset_bytes += static_cast<std::uint64_t>(got);
    size_bytes -= static_cast<std::uint64_t>(got);
  }
}

std::uint64_t FieldReader::count(std::string_view what, std::uint64_t least_bytes) {
  const auto claimed = number<std::uint64_t>();
  if (claimed > left() / least_bytes)
    file_.corrupt("it claims " + std::to_string(claimed) + " " + std::string(what) + ", the file has " +
                  std::to_string(left()) + " bytes left");
  return claimed;
}

std::string FieldReader::text(std::string_view what, std::uint64_t length, std::uint64_t limit) {
  if (length > limit)
    file_.corrupt(std::string(what) + " claims " + std::to_string(length) + " bytes, at most " + std::to_string(limit) +
                  " are read");
  if (length > left())
    file_.corrupt(std::string(what) + " claims " + std::to_string(length) + " bytes, the file has " +
                  std::to_string(left()) + " left");
  std::string bytes(length, '\0');
  take(bytes.data(), length);
  return bytes;
}

void FieldReader::take(void* to, std::uint64_t size_bytes) {
  if (size_bytes > left())
    file_.corrupt("the file ends within its header, at byte " + std::to_string(file_.size_bytes()));
  auto* bytes = static_cast<char*>(to);
  while (size_bytes > 0) {
    if (position_ >= buffer_begin_ + buffer_.size()) fill();
    const std::uint64_t at = position_ - buffer_begin_, step = std::min(size_bytes, buffer_.size() - at);
    std::memcpy(bytes, buffer_.data() + at, step);
    bytes += step;
    position_ += step;
    size_bytes -= step;
  }
}

void FieldReader::fill() {
  buffer_.resize(std::min<std::uint64_t>(left(), 1 << 16));
  file_.read(buffer_.data(), buffer_.size(), position_);
  buffer_begin_ = position_;
}

std::string in_quotes(std::string_view name) {
  std::string shown = "'";
  for (const char c : name.substr(0, 80)) shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return shown + (name.size() > 80 ? "...'" : "'");
}

}  // namespace finetune
