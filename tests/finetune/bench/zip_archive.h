// ZIP archives as a test wants them, right or wrong. For tests only.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace support {

/// What the list of files says of the one file; the local header says nothing of it, as streaming writers leave it.
struct ZipEntry {
  unsigned flags = 0, method = 8, entries = 1;
  std::uint32_t crc = 0, packed = 0, size = 0, local = 0;
};

inline void put(std::string& bytes, std::uint32_t value, int count) {
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i));
}

inline std::string deflated(std::string_view text) {
  std::string packed(::compressBound(static_cast<uLong>(text.size())) + 64, '\0');
  z_stream stream{};
  ::deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ::deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  ::deflateEnd(&stream);
  return packed;
}

inline ZipEntry entry_of(std::string_view text, std::string_view packed) {
  ZipEntry entry;
  entry.crc = static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
  entry.packed = static_cast<std::uint32_t>(packed.size());
  entry.size = static_cast<std::uint32_t>(text.size());
  return entry;
}

/// An archive around `packed`, with a name and, in the local header, an extra field.
inline std::string zip_archive(const ZipEntry& entry, std::string_view packed, std::string_view comment = {}) {
  constexpr std::string_view kName = "rows.csv", kExtra = "extra";
  std::string bytes;
  put(bytes, 0x04034b50, 4);
  bytes += std::string(22, '\0');
  put(bytes, kName.size(), 2);
  put(bytes, kExtra.size(), 2);
  bytes += std::string(kName) + std::string(kExtra) + std::string(packed);
  const auto central = static_cast<std::uint32_t>(bytes.size());
  put(bytes, 0x02014b50, 4);
  put(bytes, 20, 2);
  put(bytes, 20, 2);
  put(bytes, entry.flags, 2);
  put(bytes, entry.method, 2);
  put(bytes, 0, 4);
  put(bytes, entry.crc, 4);
  put(bytes, entry.packed, 4);
  put(bytes, entry.size, 4);
  put(bytes, kName.size(), 2);
  bytes += std::string(12, '\0');
  put(bytes, entry.local, 4);
  bytes += std::string(kName);
  const auto end = static_cast<std::uint32_t>(bytes.size());
  put(bytes, 0x06054b50, 4);
  put(bytes, 0, 4);
  put(bytes, entry.entries, 2);
  put(bytes, entry.entries, 2);
  put(bytes, end - central, 4);
  put(bytes, central, 4);
  put(bytes, static_cast<std::uint32_t>(comment.size()), 2);
  return bytes + std::string(comment);
}

inline std::string zip_archive(std::string_view text) {
  const std::string packed = deflated(text);
  return zip_archive(entry_of(text, packed), packed);
}

}  // namespace support
