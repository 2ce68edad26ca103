#include "deploy/tar_stream.h"

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace deploy {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr std::size_t kBlock = 512;
constexpr int kLevel = 3;
constexpr std::uint64_t kLargestOctal = (std::uint64_t{1} << 33) - 1;

// Field offsets of a ustar header.
constexpr std::size_t kMode = 100, kUser = 108, kGroup = 116, kSize = 124, kTime = 136, kChecksum = 148, kType = 156,
                      kMagic = 257;

using Header = std::array<char, kBlock>;

void put_octal(Header& header, std::size_t at, std::size_t width, std::uint64_t value) {
  for (std::size_t i = width - 1; i-- > 0; value >>= 3) header[at + i] = static_cast<char>('0' + (value & 7));
}

void put_size(Header& header, std::uint64_t size) {
  if (size <= kLargestOctal) return put_octal(header, kSize, 12, size);
  header[kSize] = static_cast<char>(0x80);  // base 256, as GNU tar writes it
  for (std::size_t i = 11; i >= 4; --i, size >>= 8) header[kSize + i] = static_cast<char>(size & 0xff);
}

std::uint64_t checksum(const Header& header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i)
    sum += i >= kChecksum && i < kChecksum + 8 ? ' ' : static_cast<unsigned char>(header[i]);
  return sum;
}

std::uint64_t get_number(const Header& header, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  if ((static_cast<unsigned char>(header[at]) & 0x80) != 0) {
    for (std::size_t i = width - 8; i < width; ++i) value = (value << 8) | static_cast<unsigned char>(header[at + i]);
    return value;
  }
  for (std::size_t i = 0; i < width; ++i) {
    const char digit = header[at + i];
    if (digit == '\0' || digit == ' ') break;
    if (digit < '0' || digit > '7')
      throw Error(ErrorCode::kCorrupt, "bundle is damaged: a tar header holds no number where one belongs");
    value = (value << 3) | static_cast<std::uint64_t>(digit - '0');
  }
  return value;
}

std::size_t padding(std::uint64_t size) { return static_cast<std::size_t>((kBlock - size % kBlock) % kBlock); }

}  // namespace

struct TarWriter::State {
  std::filesystem::path path;
  platform::FileDescriptor file;
  std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context{ZSTD_createCCtx(), ZSTD_freeCCtx};
  std::vector<char> buffer = std::vector<char>(ZSTD_CStreamOutSize());
  std::uint64_t announced = 0, written = 0;

  void compress(std::string_view bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    for (;;) {
      ZSTD_outBuffer output{buffer.data(), buffer.size(), 0};
      const std::size_t left = ZSTD_compressStream2(context.get(), &output, &input, directive);
      if (ZSTD_isError(left) != 0) throw Error(ErrorCode::kInternal, std::string("zstd: ") + ZSTD_getErrorName(left));
      platform::write_all(file.get(), {buffer.data(), output.pos}, path);
      if (directive == ZSTD_e_end ? left == 0 : input.pos == input.size) return;
    }
  }

  void pad() {
    if (written != announced) throw Error(ErrorCode::kInternal, "bundle entry has another size than announced");
    compress(std::string(padding(announced), '\0'), ZSTD_e_continue);
  }
};

TarWriter::TarWriter(const std::filesystem::path& file) : state_(std::make_unique<State>()) {
  state_->path = file;
  state_->file = platform::FileDescriptor(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!state_->file) platform::throw_errno("writing " + file.string(), errno);
  ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_checksumFlag, 1);
}

TarWriter::~TarWriter() = default;

void TarWriter::begin(std::string_view name, std::uint64_t size, char type) {
  state_->pad();
  if (name.size() >= kMode)
    throw Error(ErrorCode::kInvalidInput, "name is too long for a bundle: " + std::string(name));
  Header header{};
  std::memcpy(header.data(), name.data(), name.size());
  put_octal(header, kMode, 8, 0644);
  put_octal(header, kUser, 8, 0);
  put_octal(header, kGroup, 8, 0);
  put_size(header, size);
  put_octal(header, kTime, 12, 0);
  header[kType] = type;
  std::memcpy(header.data() + kMagic, "ustar\00000", 8);
  put_octal(header, kChecksum, 7, checksum(header));
  header[kChecksum + 7] = ' ';
  state_->compress({header.data(), header.size()}, ZSTD_e_continue);
  state_->announced = size;
  state_->written = 0;
}

void TarWriter::write(std::string_view bytes) {
  state_->written += bytes.size();
  state_->compress(bytes, ZSTD_e_continue);
}

void TarWriter::finish() {
  state_->pad();
  state_->compress(std::string(2 * kBlock, '\0'), ZSTD_e_end);
  if (::fsync(state_->file.get()) != 0) platform::throw_errno("writing " + state_->path.string(), errno);
}

struct TarReader::State {
  std::filesystem::path path;
  platform::FileDescriptor file;
  std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context{ZSTD_createDCtx(), ZSTD_freeDCtx};
  std::vector<char> input = std::vector<char>(ZSTD_DStreamInSize());
  std::vector<char> output = std::vector<char>(ZSTD_DStreamOutSize());
  ZSTD_inBuffer in{input.data(), 0, 0};
  std::size_t have = 0, used = 0;  // decompressed bytes in `output`
  std::uint64_t left = 0;          // of the present entry
  std::size_t pad = 0;             // after it
  bool frame_whole = false;        // zstd has seen the frame's end and its checksum

  bool fill() {
    while (used == have) {
      if (in.pos == in.size) {
        const ssize_t got = ::read(file.get(), input.data(), input.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) platform::throw_errno("reading " + path.string(), errno);
        if (got == 0) return false;
        in = {input.data(), static_cast<std::size_t>(got), 0};
      }
      ZSTD_outBuffer out{output.data(), output.size(), 0};
      const std::size_t code = ZSTD_decompressStream(context.get(), &out, &in);
      if (ZSTD_isError(code) != 0)
        throw Error(ErrorCode::kCorrupt, "bundle is damaged: " + path.string() + " (" + ZSTD_getErrorName(code) + ")");
      frame_whole = code == 0;
      have = out.pos;
      used = 0;
    }
    return true;
  }

  // At most `most` decompressed bytes; empty at the end of the file.
  std::string_view piece(std::uint64_t most) {
    if (!fill()) return {};
    const std::size_t take = static_cast<std::size_t>(std::min<std::uint64_t>(most, have - used));
    const std::string_view bytes(output.data() + used, take);
    used += take;
    return bytes;
  }

  void finish() {
    while (fill()) used = have;
    if (!frame_whole) throw Error(ErrorCode::kCorrupt, "bundle ends too early: " + path.string() + "; copy it again");
  }

  void take(std::uint64_t count, const std::function<void(std::string_view)>& use) {
    while (count > 0) {
      const std::string_view bytes = piece(count);
      if (bytes.empty())
        throw Error(ErrorCode::kCorrupt, "bundle ends too early: " + path.string() + "; copy it again");
      count -= bytes.size();
      use(bytes);
    }
  }
};

TarReader::TarReader(const std::filesystem::path& file) : state_(std::make_unique<State>()) {
  state_->path = file;
  state_->file = platform::FileDescriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!state_->file) platform::throw_errno("reading " + file.string(), errno);
}

TarReader::~TarReader() = default;

std::optional<TarEntry> TarReader::next() {
  const auto skip = [](std::string_view) {};
  state_->take(state_->left, skip);
  state_->take(state_->pad, skip);
  Header header{};
  std::size_t at = 0;
  state_->take(kBlock, [&](std::string_view bytes) {
    std::memcpy(header.data() + at, bytes.data(), bytes.size());
    at += bytes.size();
  });
  state_->left = state_->pad = 0;
  if (std::all_of(header.begin(), header.end(), [](char byte) { return byte == '\0'; })) {
    state_->finish();
    return std::nullopt;
  }
  if (get_number(header, kChecksum, 8) != checksum(header))
    throw Error(ErrorCode::kCorrupt, "bundle is damaged: a tar header's checksum is wrong");
  if (header[kType] != '0' && header[kType] != '\0')
    throw Error(ErrorCode::kCorrupt, "bundle holds something that is no regular file");
  TarEntry entry{std::string(header.data(), ::strnlen(header.data(), kMode)), get_number(header, kSize, 12)};
  state_->left = entry.size;
  state_->pad = padding(entry.size);
  return entry;
}

void TarReader::read(const std::function<void(std::string_view)>& take) {
  state_->take(state_->left, take);
  state_->left = 0;
}

std::string TarReader::read_all(std::uint64_t limit) {
  if (state_->left > limit)
    throw Error(ErrorCode::kTooLarge, "bundle entry is larger than " + std::to_string(limit) + " bytes");
  std::string bytes;
  read([&](std::string_view piece) { bytes += piece; });
  return bytes;
}

}  // namespace deploy
