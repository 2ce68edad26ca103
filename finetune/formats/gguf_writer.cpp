#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
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

std::int64_t count_of(const kernels::Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::uint64_t size_of(const GgufStreamedTensor& tensor) {
  const GgufLayout& layout = gguf_layout(tensor.type);
  return static_cast<std::uint64_t>(count_of(tensor.shape) / layout.block_elements * layout.block_bytes);
}

void check(const GgufStreamedTensor& tensor, std::set<std::string>& seen) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidInput, "GGUF cannot hold tensor '" + tensor.name + "': " + what);
  };
  if (tensor.name.empty() || tensor.name.size() > 63) fail("its name must have 1 to 63 bytes");
  if (!seen.insert(tensor.name).second) fail("it is there twice");
  if (tensor.shape.size() > 4) fail("it has more than 4 dimensions");
  const GgufLayout& layout = gguf_layout(tensor.type);
  const std::int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
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

// Everything before the data of the first tensor.
std::string header_of(const GgufMetadata& metadata, const std::vector<GgufStreamedTensor>& tensors,
                      std::uint64_t alignment) {
  std::set<std::string> seen;
  for (const GgufStreamedTensor& tensor : tensors) check(tensor, seen);
  Writer writer;
  writer.bytes() = "GGUF";
  writer.number<std::uint32_t>(3);
  writer.number<std::uint64_t>(tensors.size());
  writer.number<std::uint64_t>(metadata.size());
  write_metadata(metadata, writer);
  std::uint64_t offset = 0;
  for (const GgufStreamedTensor& tensor : tensors) {
    writer.text(tensor.name);
    writer.number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) writer.number<std::uint64_t>(*size);
    writer.number(static_cast<std::uint32_t>(tensor.type));
    writer.number(offset);
    offset += (size_of(tensor) + alignment - 1) / alignment * alignment;
  }
  if (!tensors.empty()) writer.pad(alignment);
  return std::move(writer.bytes());
}

// A tensor's blocks and the padding behind them.
std::string blocks_of(const GgufStreamedTensor& tensor, std::uint64_t alignment) {
  const kernels::Tensor values = tensor.make();
  if (values.shape() != tensor.shape)
    throw Error(ErrorCode::kInvalidInput, "GGUF tensor '" + tensor.name + "' has another shape than was announced");
  const std::uint64_t size = size_of(tensor);
  std::string bytes((size + alignment - 1) / alignment * alignment, '\0');
  quantise_blocks(tensor.type, values.values<float>(), {reinterpret_cast<std::uint8_t*>(bytes.data()), size});
  return bytes;
}

std::vector<GgufStreamedTensor> streamed(const std::vector<GgufTensor>& tensors) {
  std::vector<GgufStreamedTensor> all;
  for (const GgufTensor& tensor : tensors)
    all.push_back({tensor.name, tensor.type, tensor.values->shape(), [&tensor] { return tensor.values->view(); }});
  return all;
}

// A file that is written beside its place and renamed to it; what is not finished is removed.
class FreshFile {
 public:
  explicit FreshFile(const std::filesystem::path& path)
      : path_(path), fresh_(path.parent_path() / ("." + path.filename().string() + ".new")) {
    file_ = platform::FileDescriptor(::open(fresh_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file_) platform::throw_errno("writing " + fresh_.string(), errno);
  }
  ~FreshFile() {
    if (!done_) ::unlink(fresh_.c_str());
  }
  FreshFile(const FreshFile&) = delete;
  FreshFile& operator=(const FreshFile&) = delete;

  void add(std::string_view bytes) { platform::write_all(file_.get(), bytes, fresh_); }
  void finish() {
    if (::fsync(file_.get()) != 0) platform::throw_errno("writing " + fresh_.string(), errno);
    std::filesystem::rename(fresh_, path_);
    done_ = true;
    platform::sync_folder(path_.has_parent_path() ? path_.parent_path() : ".");
  }

 private:
  std::filesystem::path path_, fresh_;
  platform::FileDescriptor file_;
  bool done_ = false;
};

}  // namespace

std::string gguf_bytes(const GgufMetadata& metadata, const std::vector<GgufTensor>& tensors) {
  const std::uint64_t alignment = alignment_of(metadata);
  const std::vector<GgufStreamedTensor> all = streamed(tensors);
  std::string bytes = header_of(metadata, all, alignment);
  for (const GgufStreamedTensor& tensor : all) bytes += blocks_of(tensor, alignment);
  return bytes;
}

void write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                const std::vector<GgufStreamedTensor>& tensors, const std::function<void()>& on_tensor) {
  const std::uint64_t alignment = alignment_of(metadata);
  const std::string header = header_of(metadata, tensors, alignment);
  FreshFile file(path);
  file.add(header);
  for (const GgufStreamedTensor& tensor : tensors) {
    file.add(blocks_of(tensor, alignment));
    if (on_tensor) on_tensor();
  }
  file.finish();
}

void write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                const std::vector<GgufTensor>& tensors) {
  write_gguf(path, metadata, streamed(tensors), {});
}

}  // namespace finetune
