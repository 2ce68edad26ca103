#include "finetune/formats/gguf.h"

#include <algorithm>
#include <bit>
#include <set>
#include <type_traits>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 30;
constexpr std::uint64_t kMaxNameBytes = 63;
constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint32_t kMaxRank = 4;
constexpr std::uint64_t kDefaultAlignment = 32;
// The fewest bytes that a key with its value, and a tensor's entry, can take.
constexpr std::uint64_t kLeastKeyBytes = 13, kLeastEntryBytes = 24;

// Calls use(alternative of that index, default-made); false where the variant has none.
template <typename Variant, typename Use, std::size_t... indices>
bool with_alternative(std::size_t index, const Use& use, std::index_sequence<indices...>) {
  return ((indices == index ? (use(std::variant_alternative_t<indices, Variant>{}), true) : false) || ...);
}

}  // namespace

// Reads the header's values.
class GgufFile::Reader {
 public:
  explicit Reader(const BinaryFile& file) : file_(file), fields_(file) {}

  [[noreturn]] void fail(const std::string& what) const { file_.corrupt(what); }
  std::uint64_t position() const { return fields_.position(); }
  std::uint64_t count(const char* what, std::uint64_t least_bytes) { return fields_.count(what, least_bytes); }
  std::string text(const char* what, std::uint64_t limit) {
    return fields_.text(what, fields_.number<std::uint64_t>(), limit);
  }
  template <typename T>
  T number() {
    return fields_.number<T>();
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

  const BinaryFile& file_;
  FieldReader fields_;
};

GgufFile::GgufFile(const std::filesystem::path& path) : file_(path, "GGUF") {
  Reader reader(file_);
  if (reader.number<std::uint32_t>() != 0x46554747u) file_.corrupt("it does not begin with GGUF");
  const auto version = reader.number<std::uint32_t>();
  if (version == __builtin_bswap32(kVersion)) file_.corrupt("it is big-endian, only little-endian files are read");
  if (version != kVersion) file_.corrupt("it has version " + std::to_string(version) + ", only 3 is read");
  const std::uint64_t tensors = reader.count("tensors", kLeastEntryBytes);
  const std::uint64_t keys = reader.count("keys", kLeastKeyBytes);
  std::set<std::string, std::less<>> seen;
  for (std::uint64_t i = 0; i < keys; ++i) {
    std::string key = reader.text("a key", kMaxKeyBytes);
    if (key.empty() || !seen.insert(key).second) file_.corrupt("key " + in_quotes(key) + " is empty or there twice");
    GgufValue value = reader.value(key);
    metadata_.emplace_back(std::move(key), std::move(value));
  }
  read_tensors(reader, tensors);
  place_tensors(reader.position());
}

void GgufFile::read_tensors(Reader& reader, std::uint64_t count) {
  std::set<std::string, std::less<>> seen;
  for (std::uint64_t i = 0; i < count; ++i) {
    GgufTensorInfo info;
    info.name = reader.text("a tensor's name", kMaxNameBytes);
    const auto fail = [&](const std::string& what) { file_.corrupt("tensor " + in_quotes(info.name) + " " + what); };
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
  if (number == nullptr || !std::has_single_bit(*number)) file_.corrupt("general.alignment is not a power of two");
  return *number;
}

// In the listed order, each aligned, without a hole; nothing but padding after the last.
void GgufFile::place_tensors(std::uint64_t header_end) {
  const std::uint64_t file_size = file_.size_bytes();
  const std::uint64_t step = alignment();
  const auto aligned = [&](std::uint64_t at) { return (at + step - 1) / step * step; };
  const std::uint64_t begin = tensors_.empty() ? header_end : aligned(header_end);
  std::uint64_t end = begin;
  for (GgufTensorInfo& info : tensors_) {
    const std::uint64_t place = begin + aligned(end - begin);
    if (info.offset_bytes != place - begin) {
      file_.corrupt("tensor " + in_quotes(info.name) + " lies at " + std::to_string(info.offset_bytes) +
                    ", the one before it ends at " + std::to_string(end - begin));
    }
    info.offset_bytes = place;
    if (place > file_size || info.size_bytes > file_size - place)
      file_.corrupt("tensor " + in_quotes(info.name) + " reaches beyond the end of the file");
    end = place + info.size_bytes;
  }
  if (file_size - end >= step) file_.corrupt(std::to_string(file_size - end) + " bytes follow that belong to nothing");
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found =
      std::find_if(metadata_.begin(), metadata_.end(), [&](const auto& item) { return item.first == key; });
  return found == metadata_.end() ? nullptr : &found->second;
}

std::optional<std::int64_t> GgufFile::whole(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [&](const auto& plain) -> std::int64_t {
        using T = std::decay_t<decltype(plain)>;
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
          if (std::in_range<std::int64_t>(plain)) return static_cast<std::int64_t>(plain);
        }
        file_.corrupt("key " + in_quotes(key) + " is no whole number that is meant here");
      },
      *value);
}

std::optional<double> GgufFile::number(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [&](const auto& plain) -> double {
        using T = std::decay_t<decltype(plain)>;
        if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) return static_cast<double>(plain);
        file_.corrupt("key " + in_quotes(key) + " is no number");
      },
      *value);
}

const std::string* GgufFile::text(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return nullptr;
  const auto* text = std::get_if<std::string>(value);
  if (text == nullptr) file_.corrupt("key " + in_quotes(key) + " is no text");
  return text;
}

const std::vector<std::string>* GgufFile::texts(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return nullptr;
  const auto* array = std::get_if<GgufArray>(value);
  const auto* list = array == nullptr ? nullptr : std::get_if<std::vector<std::string>>(array);
  if (list == nullptr) file_.corrupt("key " + in_quotes(key) + " is no list of texts");
  return list;
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
              "no tensor " + in_quotes(name) + " in " + path().string() + platform::did_you_mean(name, names));
}

std::vector<std::uint8_t> GgufFile::read_bytes(std::string_view name) const {
  const GgufTensorInfo& found = info(name);
  std::vector<std::uint8_t> bytes(found.size_bytes);
  file_.read(bytes.data(), bytes.size(), found.offset_bytes);
  return bytes;
}

kernels::Tensor GgufFile::read(std::string_view name) const {
  const GgufTensorInfo& found = info(name);
  kernels::Tensor values(found.shape);
  restore_blocks(found.type, read_bytes(name), values.values<float>());
  return values;
}

}  // namespace finetune
