#include "finetune/bench/zip_file.h"

#include <zlib.h>

#include <algorithm>

#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr std::uint32_t kEndSignature = 0x06054b50, kCentralSignature = 0x02014b50, kLocalSignature = 0x04034b50;
constexpr std::size_t kEndBytes = 22, kCentralBytes = 46, kLocalBytes = 30;
constexpr std::size_t kLongestComment = 0xFFFF;
constexpr std::uint32_t kElsewhere = 0xFFFFFFFF;  // the number stands in a ZIP64 record
constexpr unsigned kStored = 0, kDeflated = 8;
constexpr unsigned kEncrypted = 1;
// No stream of DEFLATE grows by more (RFC 1951: 258 bytes of output need two bits at least).
constexpr std::uint64_t kLargestGrowth = 1032;

struct Entry {
  unsigned flags = 0, method = 0;
  std::uint32_t crc = 0;
  std::uint64_t packed = 0, size = 0, local = 0;
};

class Archive {
 public:
  Archive(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  std::string single_entry(std::uint64_t limit) const {
    const Entry entry = only_entry();
    check_kind(entry);
    if (entry.size > limit)
      throw Error(ErrorCode::kTooLarge, name_ + " holds a file of " + std::to_string(entry.size) + " bytes; at most " +
                                            std::to_string(limit) + " are read");
    const std::string_view packed = packed_bytes(entry);
    std::string plain = entry.method == kStored ? std::string(packed) : inflated(packed, entry.size);
    if (plain.size() != entry.size) corrupt("its file is of another length than is written");
    const auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(plain.data()), static_cast<uInt>(plain.size()));
    if (crc != entry.crc) corrupt("its file does not match its checksum");
    return plain;
  }

 private:
  [[noreturn]] void corrupt(const std::string& what) const {
    throw Error(ErrorCode::kCorrupt, name_ + " is no whole ZIP archive: " + what + "; fetch it again");
  }

  std::uint32_t number(std::size_t at, std::size_t bytes) const {
    if (at > bytes_.size() || bytes > bytes_.size() - at) corrupt("it is cut off");
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes_[at + i])) << (8 * i);
    return value;
  }

  // The record at the end, behind which a comment may stand.
  std::size_t end_record() const {
    if (bytes_.size() < kEndBytes) corrupt("it is too short");
    const std::size_t last = bytes_.size() - kEndBytes;
    const std::size_t first = last - std::min(last, kLongestComment);
    for (std::size_t at = last + 1; at-- > first;) {
      if (number(at, 4) == kEndSignature && at + kEndBytes + number(at + 20, 2) == bytes_.size()) return at;
    }
    corrupt("its end is missing");
  }

  Entry only_entry() const {
    const std::size_t end = end_record();
    const std::uint32_t entries = number(end + 10, 2), at = number(end + 16, 4);
    if (entries != 1)
      throw Error(ErrorCode::kInvalidInput, name_ + " holds " + std::to_string(entries) + " files; one is expected");
    if (at == kElsewhere || std::uint64_t{at} + kCentralBytes > end || number(at, 4) != kCentralSignature)
      corrupt("its list of files is not where it should be");
    return {.flags = number(at + 8, 2),
            .method = number(at + 10, 2),
            .crc = number(at + 16, 4),
            .packed = number(at + 20, 4),
            .size = number(at + 24, 4),
            .local = number(at + 42, 4)};
  }

  void check_kind(const Entry& entry) const {
    const auto refuse = [&](const std::string& what) {
      throw Error(ErrorCode::kInvalidInput, name_ + " holds a file that " + what + "; write it as a plain ZIP archive");
    };
    if ((entry.flags & kEncrypted) != 0) refuse("is encrypted");
    if (entry.method != kStored && entry.method != kDeflated)
      refuse("is packed by method " + std::to_string(entry.method));
    if (entry.packed == kElsewhere || entry.size == kElsewhere) refuse("is in ZIP64's form");
    if (entry.method == kStored && entry.packed != entry.size) corrupt("a stored file has two lengths");
    if (entry.size > kLargestGrowth * (entry.packed + 1)) corrupt("its file cannot be as long as is written");
  }

  std::string_view packed_bytes(const Entry& entry) const {
    const std::size_t at = entry.local;
    if (number(at, 4) != kLocalSignature) corrupt("its file does not begin where it should");
    const std::size_t begin = at + kLocalBytes + number(at + 26, 2) + number(at + 28, 2);
    if (begin > bytes_.size() || entry.packed > bytes_.size() - begin) corrupt("its file is cut off");
    return bytes_.substr(begin, entry.packed);
  }

  // Never more than `size` bytes; fewer where the stream ends before.
  std::string inflated(std::string_view packed, std::uint64_t size) const {
    std::string plain(size, '\0');
    z_stream stream{};
    if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw Error(ErrorCode::kUnavailable, "zlib does not start");
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(plain.data());
    stream.avail_out = static_cast<uInt>(plain.size());
    const int outcome = ::inflate(&stream, Z_FINISH);
    plain.resize(stream.total_out);
    const bool read = stream.avail_in == 0;
    ::inflateEnd(&stream);
    if (outcome != Z_STREAM_END || !read) corrupt("its file cannot be unpacked to the length that is written");
    return plain;
  }

  std::string_view bytes_;
  const std::string& name_;
};

}  // namespace

std::string unzipped(std::string_view archive, const std::string& name, std::uint64_t limit_bytes) {
  return Archive(archive, name).single_entry(limit_bytes);
}

}  // namespace finetune
