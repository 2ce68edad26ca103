#include "finetune/formats/gguf.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <set>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

static_assert(std::endian::native == std::endian::little, "GGUF holds little-endian values");

constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 30;
constexpr std::uint64_t kMaxNameBytes = 63;
constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint32_t kMaxRank = 4;
constexpr std::uint64_t kDefaultAlignment = 32;
// The fewest bytes that a key with its value, and a tensor's entry, can take.
constexpr std::uint64_t kLeastKeyBytes = 13, kLeastEntryBytes = 24;

[[noreturn]] void corrupt(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorCode::kCorrupt,
              "not a sound GGUF file: " + path.string() + ": " + what + "; fetch or export it again");
}

std::string in_quotes(std::string_view name) {
  std::string shown = "'";
  for (const char c : name.substr(0, 80)) shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return shown + (name.size() > 80 ? "...'" : "'");
}

void read_exactly(const platform::FileDescriptor& file, void* to, std::uint64_t size_bytes, std::uint64_t offset_bytes,
                  const std::filesystem::path& path) {
  auto* bytes = static_cast<char*>(to);
  while (size_bytes > 0) {
    const ssize_t got =
        ::pread(file.get(), bytes, std::min<std::uint64_t>(size_bytes, 1 << 30), static_cast<off_t>(offset_bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) platform::throw_errno("reading " + path.string(), errno);
    if (got == 0) corrupt(path, "the file ends at byte " + std::to_string(offset_bytes) + ", it was cut while in use");
    bytes += got;
    offset_bytes += static_cast<std::uint64_t>(got);
    size_bytes -= static_cast<std::uint64_t>(got);
  }
}

// Calls use(alternative of that index, default-made); false where the variant has none.
template <typename Variant, typename Use, std::size_t... indices>
bool with_alternative(std::size_t index, const Use& use, std::index_sequence<indices...>) {
  return ((indices == index ? (use(std::variant_alternative_t<indices, Variant>{}), true) : false) || ...);
}

}  // namespace

// Reads the header from front to back through a buffer; every length is held against what the file has left.
class GgufFile::Reader {
 public:
  Reader(const GgufFile& file, std::uint64_t size_bytes) : file_(file), size_bytes_(size_bytes) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t left() const { return size_bytes_ - position_; }
  [[noreturn]] void fail(const std::string& what) const { corrupt(file_.path_, what); }

  template <typename T>
  T number() {
    T value{};
    take(&value, sizeof value);
    return value;
  }

  /// A count of things that take at least `least_bytes` each.
  std::uint64_t count(const char* what, std::uint64_t least_bytes) {
    const auto claimed = number<std::uint64_t>();
    if (claimed > left() / least_bytes)
      fail("it claims " + std::to_string(claimed) + " " + what + ", the file has " + std::to_string(left()) +
           " bytes left");
    return claimed;
  }

  std::string text(const char* what, std::uint64_t limit) {
    const std::uint64_t length = count("bytes of text", 1);
    if (length > limit)
      fail(std::string(what) + " has " + std::to_string(length) + " bytes, at most " + std::to_string(limit) +
           " are read");
    std::string bytes(length, '\0');
    take(bytes.data(), length);
    return bytes;
  }

  GgufValue value(const std::string& key) {
    GgufValue result;
    const auto type = number<std::uint32_t>();
    const bool known = with_alternative<GgufValue>(
        type, [&](auto kind) { result = read(kind, key); }, std::make_index_sequence<std::variant_size_v<GgufValue>>{});
    if (!known) fail("key " + in_quotes(key) + " has a value of the unknown type " + std::to_string(type));
    return result;
  }

 private:
  template <typename T>
  T read(T, const std::string&) {
    return number<T>();
  }
  std::string read(const std::string&, const std::string&) { return text("a text", kMaxTextBytes); }
  bool read(bool, const std::string& key) {
    const auto byte = number<std::uint8_t>();
    if (byte > 1) fail("key " + in_quotes(key) + " has the truth value " + std::to_string(byte));
    return byte == 1;
  }
  GgufArray read(const GgufArray&, const std::string& key) {
    GgufArray result;
    const auto type = number<std::uint32_t>();
    const bool known = with_alternative<GgufArray>(
        type, [&](auto kind) { result = items(std::move(kind), key); },
        std::make_index_sequence<std::variant_size_v<GgufArray>>{});
    if (!known) fail("key " + in_quotes(key) + " has an array of the unknown type " + std::to_string(type));
    return result;
  }

  GgufArray items(std::monostate, const std::string& key) { fail("key " + in_quotes(key) + " is an array of arrays"); }
  template <typename T>
  GgufArray items(std::vector<T> list, const std::string& key) {
    constexpr std::uint64_t kLeast = std::is_same_v<T, std::string> ? 8 : std::is_same_v<T, bool> ? 1 : sizeof(T);
    const std::uint64_t length = count("array items", kLeast);
    list.reserve(length);
    for (std::uint64_t i = 0; i < length; ++i) list.push_back(read(T{}, key));
    return list;
  }

  void take(void* to, std::uint64_t size_bytes) {
    if (size_bytes > left()) fail("the file ends within its header, at byte " + std::to_string(size_bytes_));
    auto* bytes = static_cast<char*>(to);
    while (size_bytes > 0) {
      if (position_ >= buffer_begin_ + buffer_.size() || position_ < buffer_begin_) fill();
      const std::uint64_t at = position_ - buffer_begin_, step = std::min(size_bytes, buffer_.size() - at);
      std::memcpy(bytes, buffer_.data() + at, step);
      bytes += step;
      position_ += step;
      size_bytes -= step;
    }
  }
  void fill() {
    buffer_.resize(std::min<std::uint64_t>(left(), 1 << 16));
    read_exactly(file_.file_, buffer_.data(), buffer_.size(), position_, file_.path_);
    buffer_begin_ = position_;
  }

  const GgufFile& file_;
  std::uint64_t size_bytes_;
  std::uint64_t position_ = 0;
  std::string buffer_;
  std::uint64_t buffer_begin_ = 0;
};

GgufFile::GgufFile(const std::filesystem::path& path) : path_(path) {
  file_ = platform::FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file_) platform::throw_errno("opening " + path.string(), errno);
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) platform::throw_errno("reading " + path.string(), errno);
  if (!S_ISREG(status.st_mode)) corrupt(path_, "it is not a regular file");
  const auto file_size = static_cast<std::uint64_t>(status.st_size);
  Reader reader(*this, file_size);
  if (reader.number<std::uint32_t>() != 0x46554747u) corrupt(path_, "it does not begin with GGUF");
  const auto version = reader.number<std::uint32_t>();
  if (version == __builtin_bswap32(kVersion)) corrupt(path_, "it is big-endian, only little-endian files are read");
  if (version != kVersion) corrupt(path_, "it has version " + std::to_string(version) + ", only 3 is read");
  const std::uint64_t tensors = reader.count("tensors", kLeastEntryBytes);
  const std::uint64_t keys = reader.count("keys", kLeastKeyBytes);
  std::set<std::string, std::less<>> seen;
  for (std::uint64_t i = 0; i < keys; ++i) {
    std::string key = reader.text("a key", kMaxKeyBytes);
    if (key.empty() || !seen.insert(key).second) corrupt(path_, "key " + in_quotes(key) + " is empty or there twice");
    GgufValue value = reader.value(key);
    metadata_.emplace_back(std::move(key), std::move(value));
  }
  read_tensors(reader, tensors);
  place_tensors(reader.position(), file_size);
}

void GgufFile::read_tensors(Reader& reader, std::uint64_t count) {
  std::set<std::string, std::less<>> seen;
  for (std::uint64_t i = 0; i < count; ++i) {
    GgufTensorInfo info;
    info.name = reader.text("a tensor's name", kMaxNameBytes);
    const auto fail = [&](const std::string& what) { corrupt(path_, "tensor " + in_quotes(info.name) + " " + what); };
    if (info.name.empty() || !seen.insert(info.name).second) fail("has no name or is there twice");
    const auto rank = reader.number<std::uint32_t>();
    if (rank > kMaxRank) fail("has " + std::to_string(rank) + " dimensions, at most 4 are read");
    std::uint64_t elements = 1;
    for (std::uint32_t d = 0; d < rank; ++d) {
      const auto size = reader.number<std::uint64_t>();
      if (size > std::uint64_t{1} << 48 || __builtin_mul_overflow(elements, size, &elements) || elements >> 56 != 0)
        fail("has a shape whose element count overflows");
      info.shape.insert(info.shape.begin(), static_cast<std::int64_t>(size));
    }
    const auto type = reader.number<std::uint32_t>();
    const GgufLayout* layout = find_gguf_layout(type);
    if (layout == nullptr) fail("has the type " + std::to_string(type) + ", which is not read here");
    const auto block = static_cast<std::uint64_t>(layout->block_elements);
    const std::uint64_t row = rank > 0 ? static_cast<std::uint64_t>(info.shape.back()) : 1;
    if (row % block != 0)
      fail("has rows of " + std::to_string(row) + " elements, " + layout->name + " needs whole blocks");
    info.type = layout->type;
    info.size_bytes = elements / block * static_cast<std::uint64_t>(layout->block_bytes);
    info.offset_bytes = reader.number<std::uint64_t>();
    tensors_.push_back(std::move(info));
  }
}

std::uint64_t GgufFile::alignment() const {
  const GgufValue* value = find("general.alignment");
  if (value == nullptr) return kDefaultAlignment;
  const auto* number = std::get_if<std::uint32_t>(value);
  if (number == nullptr || !std::has_single_bit(*number)) corrupt(path_, "general.alignment is not a power of two");
  return *number;
}

// In the listed order, each aligned, without a hole; nothing but padding after the last.
void GgufFile::place_tensors(std::uint64_t header_end, std::uint64_t file_size) {
  const std::uint64_t step = alignment();
  const auto aligned = [&](std::uint64_t at) { return (at + step - 1) / step * step; };
  const std::uint64_t begin = tensors_.empty() ? header_end : aligned(header_end);
  std::uint64_t end = begin;
  for (GgufTensorInfo& info : tensors_) {
    const std::uint64_t place = begin + aligned(end - begin);
    if (info.offset_bytes != place - begin) {
      corrupt(path_, "tensor " + in_quotes(info.name) + " lies at " + std::to_string(info.offset_bytes) +
                         ", the one before it ends at " + std::to_string(end - begin));
    }
    info.offset_bytes = place;
    if (place > file_size || info.size_bytes > file_size - place)
      corrupt(path_, "tensor " + in_quotes(info.name) + " reaches beyond the end of the file");
    end = place + info.size_bytes;
  }
  if (file_size - end >= step) corrupt(path_, std::to_string(file_size - end) + " bytes follow that belong to nothing");
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found =
      std::find_if(metadata_.begin(), metadata_.end(), [&](const auto& item) { return item.first == key; });
  return found == metadata_.end() ? nullptr : &found->second;
}

bool GgufFile::contains(std::string_view name) const {
  return std::any_of(tensors_.begin(), tensors_.end(), [&](const GgufTensorInfo& info) { return info.name == name; });
}

const GgufTensorInfo& GgufFile::info(std::string_view name) const {
  for (const GgufTensorInfo& info : tensors_) {
    if (info.name == name) return info;
  }
  std::vector<std::string> names;
  for (const GgufTensorInfo& info : tensors_) names.push_back(info.name);
  throw Error(ErrorCode::kNotFound,
              "no tensor " + in_quotes(name) + " in " + path_.string() + platform::did_you_mean(name, names));
}

std::vector<std::uint8_t> GgufFile::read_bytes(std::string_view name) const {
  const GgufTensorInfo& found = info(name);
  std::vector<std::uint8_t> bytes(found.size_bytes);
  read_exactly(file_, bytes.data(), bytes.size(), found.offset_bytes, path_);
  return bytes;
}

kernels::Tensor GgufFile::read(std::string_view name) const {
  const GgufTensorInfo& found = info(name);
  kernels::Tensor values(found.shape);
  restore_blocks(found.type, read_bytes(name), values.values<float>());
  return values;
}

}  // namespace finetune
