// safetensors files: reading with every check a hostile file needs, and writing in the library's own byte layout.
// A file is read with pread from one open descriptor, so a file that shrinks meanwhile gives an error, never a SIGBUS,
// and nothing is allocated from the header's numbers before they agree with the file's real size.
// SafetensorsFile is immutable after construction; several threads may read from one object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "finetune/formats/binary_file.h"
#include "kernels/core/tensor.h"

namespace finetune {

/// What the header says about one tensor; `dtype` in the file's spelling ("BF16"), offsets from the start of the file.
struct TensorInfo {
  std::string dtype;
  kernels::Shape shape;
  std::uint64_t offset_bytes = 0;
  std::uint64_t size_bytes = 0;
};

class SafetensorsFile {
 public:
  /// Opens and checks the whole header: lengths, UTF-8, JSON, duplicate keys, dtypes, overflow, holes, overlaps,
  /// trailing bytes. Throws kNotFound, or kCorrupt with one sentence naming the file and the tensor at fault.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  /// Tensor names, sorted bytewise.
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  /// Throws kNotFound with the nearest name.
  const TensorInfo& info(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  /// The tensor in the file's own type: F32, BF16, F16, I64, I32, U8, I8 or BOOL (as uint8). Throws kNotFound,
  /// kInvalidInput for another type, kCorrupt if the file shrank.
  kernels::Tensor read(std::string_view name) const;
  /// read() converted between floating-point types, rounded to nearest even.
  kernels::Tensor read_as(std::string_view name, kernels::DataType type) const;
  /// read_as() that throws kCorrupt, naming the tensor and the first bad index, where an element is NaN or infinite.
  kernels::Tensor read_finite(std::string_view name, kernels::DataType type) const;

 private:
  void read_header();
  /// Without a hole, an overlap or a byte too many.
  void place_tensors(std::vector<std::pair<std::string, TensorInfo>> entries, std::uint64_t data_begin);

  BinaryFile file_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// A type of the file format: its spelling, its size in bits, and whether SafetensorsFile::read() can give it.
struct SafetensorsType {
  const char* name;
  int bits;
};
/// Null where the spelling is unknown.
const SafetensorsType* find_safetensors_type(std::string_view name);

/// Throws kCorrupt, naming `name` and the first bad index, where a floating-point element is NaN or infinite.
void check_finite(std::string_view name, const kernels::Tensor& tensor);

/// The bytes of a file with these tensors: sorted by type then name, no gaps, header padded to 8 bytes, so that equal
/// contents give equal bytes. `metadata` gets "format": "pt" unless it has that key.
std::string safetensors_bytes(const std::map<std::string, const kernels::Tensor*>& tensors,
                              std::map<std::string, std::string> metadata = {});
/// safetensors_bytes() written beside `path`, synced and renamed.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, const kernels::Tensor*>& tensors,
                       std::map<std::string, std::string> metadata = {});

}  // namespace finetune
