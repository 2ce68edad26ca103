#include <algorithm>
#include <bit>
#include <set>

#include "finetune/formats/gguf.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

class Writer {
 public:
  template <typename T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    number<std::uint64_t>(value.size());
    bytes_ += value;
  }
  void pad(std::uint64_t alignment) { bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment, '\0'); }

  template <typename T>
  void value(const T& plain) {
    number(plain);
  }
  void value(const std::string& plain) { text(plain); }
  void value(bool plain) { number<std::uint8_t>(plain ? 1 : 0); }
  void value(const GgufArray& array) {
    number(static_cast<std::uint32_t>(array.index()));
    std::visit([&](const auto& list) { items(list); }, array);
  }

  std::string& bytes() { return bytes_; }

 private:
  void items(std::monostate) { throw Error(ErrorCode::kInvalidInput, "GGUF takes no arrays of arrays"); }
  template <typename T>
  void items(const std::vector<T>& list) {
    number<std::uint64_t>(list.size());
    for (const T& item : list) value(item);
  }

  std::string bytes_;
};

std::uint64_t size_of(const GgufTensor& tensor) {
  const GgufLayout& layout = gguf_layout(tensor.type);
  return static_cast<std::uint64_t>(tensor.values->count() / layout.block_elements * layout.block_bytes);
}

void check(const GgufTensor& tensor, std::set<std::string>& seen) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidInput, "GGUF cannot hold tensor '" + tensor.name + "': " + what);
  };
  if (tensor.name.empty() || tensor.name.size() > 63) fail("its name must have 1 to 63 bytes");
  if (!seen.insert(tensor.name).second) fail("it is there twice");
  if (tensor.values->rank() > 4) fail("it has more than 4 dimensions");
  const GgufLayout& layout = gguf_layout(tensor.type);
  const std::int64_t row = tensor.values->rank() > 0 ? tensor.values->size(-1) : 1;
  if (row % layout.block_elements == 0) return;
  fail("rows of " + std::to_string(row) + " do not fill blocks of " + std::to_string(layout.block_elements) +
       "; write it as F16 or Q8_0 instead of " + layout.name);
}

std::uint64_t alignment_of(const GgufMetadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if (key != "general.alignment") continue;
    const auto* number = std::get_if<std::uint32_t>(&value);
    if (number != nullptr && std::has_single_bit(*number)) return *number;
    throw Error(ErrorCode::kInvalidInput, "general.alignment must be a 32-bit power of two", key);
  }
  return 32;
}

void write_metadata(const GgufMetadata& metadata, Writer& writer) {
  std::set<std::string> seen;
  for (const auto& [key, value] : metadata) {
    if (key.empty() || key.size() > 65535 || !seen.insert(key).second)
      throw Error(ErrorCode::kInvalidInput, "GGUF key '" + key.substr(0, 80) + "' is empty, too long or there twice");
    writer.text(key);
    writer.number(static_cast<std::uint32_t>(value.index()));
    std::visit([&](const auto& plain) { writer.value(plain); }, value);
  }
}

}  // namespace

std::string gguf_bytes(const GgufMetadata& metadata, const std::vector<GgufTensor>& tensors) {
  const std::uint64_t alignment = alignment_of(metadata);
  std::set<std::string> seen;
  for (const GgufTensor& tensor : tensors) check(tensor, seen);
  Writer writer;
  writer.bytes() = "GGUF";
  writer.number<std::uint32_t>(3);
  writer.number<std::uint64_t>(tensors.size());
  writer.number<std::uint64_t>(metadata.size());
  write_metadata(metadata, writer);
  std::uint64_t offset = 0;
  for (const GgufTensor& tensor : tensors) {
    writer.text(tensor.name);
    writer.number(static_cast<std::uint32_t>(tensor.values->rank()));
    for (std::int64_t d = tensor.values->rank() - 1; d >= 0; --d) writer.number<std::uint64_t>(tensor.values->size(d));
    writer.number(static_cast<std::uint32_t>(tensor.type));
    writer.number(offset);
    offset += (size_of(tensor) + alignment - 1) / alignment * alignment;
  }
  for (const GgufTensor& tensor : tensors) {
    writer.pad(alignment);
    const std::size_t begin = writer.bytes().size(), size = size_of(tensor);
    writer.bytes().resize(begin + size);
    quantise_blocks(tensor.type, tensor.values->values<float>(),
                    {reinterpret_cast<std::uint8_t*>(writer.bytes().data()) + begin, size});
  }
  if (!tensors.empty()) writer.pad(alignment);
  return std::move(writer.bytes());
}

void write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                const std::vector<GgufTensor>& tensors) {
  platform::write_file_atomically(path, gguf_bytes(metadata, tensors));
}

}  // namespace finetune
