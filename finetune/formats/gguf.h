// GGUF files, version 3, little-endian: named values, then tensors. Reading checks all that a hostile file can get
// wrong, takes no memory that the file's own size does not justify, and reads with pread, so a file that shrinks
// meanwhile gives an error, never a SIGBUS. GgufFile is immutable after construction; several threads may read from
// one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "finetune/formats/binary_file.h"
#include "finetune/formats/gguf_blocks.h"
#include "kernels/core/tensor.h"

namespace finetune {

/// The alternative's index is the file's number for the type; arrays of arrays are not read.
using GgufArray = std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
                               std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
                               std::vector<float>, std::vector<bool>, std::vector<std::string>, std::monostate,
                               std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;
using GgufValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                               float, bool, std::string, GgufArray, std::uint64_t, std::int64_t, double>;
/// In the file's order.
using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

struct GgufTensorInfo {
  std::string name;
  GgufType type = GgufType::kF32;
  kernels::Shape shape;            // outermost first, as everywhere here; the file has it reversed
  std::uint64_t offset_bytes = 0;  // from the start of the file
  std::uint64_t size_bytes = 0;
};

class GgufFile {
 public:
  /// Opens and checks everything before the data. Throws kNotFound, or kCorrupt with one sentence naming the file and
  /// what is wrong with it.
  explicit GgufFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const GgufMetadata& metadata() const { return metadata_; }
  /// nullptr if absent.
  const GgufValue* find(std::string_view key) const;
  /// nullopt or null if absent. Throws kCorrupt for a value of another kind: any whole number, any number, a text, a
  /// list of texts.
  std::optional<std::int64_t> whole(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  const std::string* text(std::string_view key) const;
  const std::vector<std::string>* texts(std::string_view key) const;
  /// In the file's order.
  const std::vector<GgufTensorInfo>& tensors() const { return tensors_; }
  bool contains(std::string_view name) const;
  /// Throws kNotFound with the nearest name.
  const GgufTensorInfo& info(std::string_view name) const;

  /// The tensor's bytes as they lie in the file. Throws kNotFound, kCorrupt if the file shrank.
  std::vector<std::uint8_t> read_bytes(std::string_view name) const;
  /// The restored values in float32.
  kernels::Tensor read(std::string_view name) const;

 private:
  class Reader;
  void read_tensors(Reader& reader, std::uint64_t count);
  void place_tensors(std::uint64_t header_end);
  std::uint64_t alignment() const;

  BinaryFile file_;
  GgufMetadata metadata_;
  std::vector<GgufTensorInfo> tensors_;
};

/// A tensor to be written: its values are quantised to `type` while the file is made. float32.
struct GgufTensor {
  std::string name;
  GgufType type = GgufType::kF32;
  const kernels::Tensor* values = nullptr;
};

/// The bytes of a file; tensors aligned as `general.alignment` says, else to 32. Throws kInvalidInput naming the key or
/// tensor that the format does not take: a name over 63 bytes or twice, more than 4 dimensions, rows that do not fill
/// blocks.
std::string gguf_bytes(const GgufMetadata& metadata, const std::vector<GgufTensor>& tensors);
/// A tensor that is made when its turn comes, so that a large file needs the memory of its largest tensor only.
struct GgufStreamedTensor {
  std::string name;
  GgufType type = GgufType::kF32;
  kernels::Shape shape;
  std::function<kernels::Tensor()> make;  // float32 of this shape
};
/// The bytes of gguf_bytes(), tensor by tensor, written beside `path`, synced and renamed. `on_tensor` is called behind
/// each and may be empty.
void write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                const std::vector<GgufStreamedTensor>& tensors, const std::function<void()>& on_tensor);
/// The same for tensors that are there.
void write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                const std::vector<GgufTensor>& tensors);

}  // namespace finetune
