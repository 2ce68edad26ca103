#include "finetune/formats/safetensors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"
#include "platform/base/json.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kMaxTensors = 1'000'000;
constexpr std::size_t kMaxRank = 8;
constexpr std::size_t kMaxNameBytes = 512;

// In the library's order; the writer sorts by it, highest first.
constexpr std::array<SafetensorsType, 22> kTypes{
    {{"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
     {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
     {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
     {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}};

std::optional<kernels::DataType> tensor_type(std::string_view dtype) {
  using kernels::DataType;
  if (dtype == "F32") return DataType::kFloat32;
  if (dtype == "BF16") return DataType::kBFloat16;
  if (dtype == "F16") return DataType::kFloat16;
  if (dtype == "I64") return DataType::kInt64;
  if (dtype == "I32") return DataType::kInt32;
  if (dtype == "I8") return DataType::kInt8;
  if (dtype == "U8" || dtype == "BOOL") return DataType::kUInt8;
  return std::nullopt;
}

const char* file_type(kernels::DataType type) {
  using kernels::DataType;
  switch (type) {
    case DataType::kFloat32: return "F32";
    case DataType::kBFloat16: return "BF16";
    case DataType::kFloat16: return "F16";
    case DataType::kInt64: return "I64";
    case DataType::kInt32: return "I32";
    case DataType::kInt8: return "I8";
    case DataType::kUInt8: return "U8";
  }
  return "";
}

std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

std::uint64_t natural(const BinaryFile& file, std::string_view name, const json::value& value, const char* what) {
  if (value.is_int64() && value.get_int64() >= 0) return static_cast<std::uint64_t>(value.get_int64());
  if (value.is_uint64()) return value.get_uint64();
  file.corrupt("tensor " + in_quotes(name) + ": " + what + " holds something that is not a natural number");
}

// One entry of the header, checked by itself; offsets are still relative to the data section.
class EntryReader {
 public:
  EntryReader(const BinaryFile& file, std::string_view name, const json::value& value)
      : file_(file), name_(name), value_(value) {}

  TensorInfo read() const {
    check_name();
    if (!value_.is_object()) fail("is not an object");
    const json::object& object = value_.get_object();
    for (const auto& [key, unused] : object) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") fail("has the unknown key " + in_quotes(key));
    }
    TensorInfo info;
    const SafetensorsType& type = read_type(object, info);
    const std::uint64_t expected_bytes = read_shape(object, type, info);
    read_offsets(object, info);
    if (info.size_bytes != expected_bytes) {
      fail("has " + std::to_string(info.size_bytes) + " bytes, its shape and type need " +
           std::to_string(expected_bytes));
    }
    return info;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { file_.corrupt("tensor " + in_quotes(name_) + " " + what); }

  void check_name() const {
    if (name_.empty() || name_.size() > kMaxNameBytes) fail("has a name of " + std::to_string(name_.size()) + " bytes");
    const bool control = std::any_of(name_.begin(), name_.end(),
                                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (control) fail("has control characters in its name");
  }

  const SafetensorsType& read_type(const json::object& object, TensorInfo& info) const {
    const json::value* dtype = object.if_contains("dtype");
    if (!dtype || !dtype->is_string()) fail("has no dtype");
    const SafetensorsType* type = find_safetensors_type(std::string_view(dtype->get_string()));
    if (!type) fail("has the unknown dtype " + in_quotes(dtype->get_string()));
    info.dtype = type->name;
    return *type;
  }

  std::uint64_t read_shape(const json::object& object, const SafetensorsType& type, TensorInfo& info) const {
    const json::value* shape = object.if_contains("shape");
    if (!shape || !shape->is_array()) fail("has no shape");
    if (shape->get_array().size() > kMaxRank)
      fail("has " + std::to_string(shape->get_array().size()) + " dimensions, at most 8 are read");
    std::uint64_t count = 1;
    for (const json::value& dimension : shape->get_array()) {
      const std::uint64_t size = natural(file_, name_, dimension, "shape");
      const auto product = multiply(count, size);
      if (!product || size > std::uint64_t{1} << 62) fail("has a shape whose element count overflows");
      count = *product;
      info.shape.push_back(static_cast<std::int64_t>(size));
    }
    const auto bits = multiply(count, static_cast<std::uint64_t>(type.bits));
    if (!bits) fail("has a shape whose byte count overflows");
    if (*bits % 8 != 0) fail("does not fill whole bytes");
    return *bits / 8;
  }

  void read_offsets(const json::object& object, TensorInfo& info) const {
    const json::value* offsets = object.if_contains("data_offsets");
    if (!offsets || !offsets->is_array() || offsets->get_array().size() != 2) fail("has no pair of data_offsets");
    const std::uint64_t begin = natural(file_, name_, offsets->get_array()[0], "data_offsets");
    const std::uint64_t end = natural(file_, name_, offsets->get_array()[1], "data_offsets");
    if (end < begin) fail("ends before it begins");
    info.offset_bytes = begin;
    info.size_bytes = end - begin;
  }

  const BinaryFile& file_;
  std::string_view name_;
  const json::value& value_;
};

template <typename T>
std::int64_t first_not_finite(const kernels::Tensor& tensor) {
  const auto values = tensor.values<T>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    float value;
    if constexpr (std::is_same_v<T, float>)
      value = values[i];
    else
      value = to_float(values[i]);
    if (!std::isfinite(value)) return static_cast<std::int64_t>(i);
  }
  return -1;
}

bool is_floating(kernels::DataType type) {
  return type == kernels::DataType::kFloat32 || type == kernels::DataType::kBFloat16 ||
         type == kernels::DataType::kFloat16;
}

std::string header_text(const std::vector<std::pair<std::string, const kernels::Tensor*>>& ordered,
                        const std::map<std::string, std::string>& metadata) {
  json::object header;
  json::object notes;
  for (const auto& [key, value] : metadata) notes[key] = value;
  header["__metadata__"] = std::move(notes);
  std::uint64_t at = 0;
  for (const auto& [name, tensor] : ordered) {
    json::array shape(tensor->shape().begin(), tensor->shape().end());
    const std::uint64_t end = at + tensor->size_bytes();
    header[name] = json::object{
        {"dtype", file_type(tensor->type())}, {"shape", std::move(shape)}, {"data_offsets", json::array{at, end}}};
    at = end;
  }
  std::string text = json::serialize(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace

const SafetensorsType* find_safetensors_type(std::string_view name) {
  const auto found =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const SafetensorsType& type) { return name == type.name; });
  return found == kTypes.end() ? nullptr : &*found;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path, "safetensors") { read_header(); }

namespace {

json::object parsed_header(std::string_view text, const BinaryFile& file) {
  try {
    return platform::as_object(platform::parse_json(text, "its header"), "its header");
  } catch (const platform::Error& error) {
    file.corrupt(error.what());
  }
}

}  // namespace

void SafetensorsFile::read_header() {
  if (file_.size_bytes() < 8)
    file_.corrupt("it has " + std::to_string(file_.size_bytes()) + " bytes, at least 8 are needed");
  FieldReader fields(file_);
  const auto header_bytes = fields.number<std::uint64_t>();
  const std::string text = fields.text("its header", header_bytes, kMaxHeaderBytes);
  if (text.empty() || text.front() != '{') file_.corrupt("its header does not begin with '{'");
  const json::object header = parsed_header(text, file_);
  if (header.size() > kMaxTensors)
    file_.corrupt("it names " + std::to_string(header.size()) + " tensors, at most 1000000 are read");

  std::vector<std::pair<std::string, TensorInfo>> entries;
  for (const auto& [key, value] : header) {
    if (key != "__metadata__") {
      entries.emplace_back(key, EntryReader(file_, key, value).read());
      continue;
    }
    if (!value.is_object()) file_.corrupt("__metadata__ is not an object");
    for (const auto& [name, note] : value.get_object()) {
      if (!note.is_string()) file_.corrupt("__metadata__ " + in_quotes(name) + " is not a string");
      metadata_.emplace(name, std::string(note.get_string()));
    }
  }
  place_tensors(std::move(entries), fields.position());
}

void SafetensorsFile::place_tensors(std::vector<std::pair<std::string, TensorInfo>> entries, std::uint64_t data_begin) {
  const std::uint64_t file_size = file_.size_bytes();
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second.offset_bytes, a.second.size_bytes) <
           std::pair(b.second.offset_bytes, b.second.size_bytes);
  });
  std::uint64_t at = 0;
  for (auto& [name, info] : entries) {
    if (info.offset_bytes < at) file_.corrupt("tensor " + in_quotes(name) + " overlaps the one before it");
    if (info.offset_bytes > at)
      file_.corrupt("there is a hole of " + std::to_string(info.offset_bytes - at) + " bytes before tensor " +
                    in_quotes(name));
    at += info.size_bytes;
    if (at > file_size - data_begin) file_.corrupt("tensor " + in_quotes(name) + " ends behind the end of the file");
    info.offset_bytes += data_begin;
    tensors_.emplace(std::move(name), std::move(info));
  }
  if (data_begin + at != file_size)
    file_.corrupt(std::to_string(file_size - data_begin - at) + " bytes follow the last tensor");
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : tensors_) names.push_back(name);
  return names;
}

const TensorInfo& SafetensorsFile::info(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  throw Error(ErrorCode::kNotFound,
              "no tensor " + in_quotes(name) + " in " + path().string() + platform::did_you_mean(name, names()));
}

kernels::Tensor SafetensorsFile::read(std::string_view name) const {
  const TensorInfo& found = info(name);
  const auto type = tensor_type(found.dtype);
  if (!type) {
    throw Error(ErrorCode::kInvalidInput, "tensor " + in_quotes(name) + " in " + path().string() + " has dtype " +
                                              found.dtype + "; convert it to F32, BF16, F16, I64, I32, I8, U8 or BOOL");
  }
  kernels::Tensor tensor(found.shape, *type);
  if (found.size_bytes > 0) file_.read(tensor.raw_data(), found.size_bytes, found.offset_bytes);
  return tensor;
}

kernels::Tensor SafetensorsFile::read_as(std::string_view name, kernels::DataType type) const {
  kernels::Tensor tensor = read(name);
  if (tensor.type() == type) return tensor;
  if (!is_floating(tensor.type()) || !is_floating(type)) {
    throw Error(ErrorCode::kInvalidInput, "tensor " + in_quotes(name) + " in " + path().string() + " has dtype " +
                                              info(name).dtype + ", " + kernels::name_of(type) +
                                              " is needed; take weights of F32, BF16 or F16");
  }
  return tensor.cast_to(type);
}

kernels::Tensor SafetensorsFile::read_finite(std::string_view name, kernels::DataType type) const {
  kernels::Tensor tensor = read_as(name, type);
  check_finite(name, tensor);
  return tensor;
}

void check_finite(std::string_view name, const kernels::Tensor& tensor) {
  std::int64_t bad = -1;
  if (tensor.type() == kernels::DataType::kFloat32) bad = first_not_finite<float>(tensor);
  if (tensor.type() == kernels::DataType::kBFloat16) bad = first_not_finite<kernels::BFloat16>(tensor);
  if (tensor.type() == kernels::DataType::kFloat16) bad = first_not_finite<kernels::Float16>(tensor);
  if (bad >= 0) {
    throw Error(ErrorCode::kCorrupt, "tensor " + in_quotes(name) + " holds NaN or infinity at element " +
                                         std::to_string(bad) +
                                         "; the weights are damaged or were trained with a rate too high");
  }
}

std::string safetensors_bytes(const std::map<std::string, const kernels::Tensor*>& tensors,
                              std::map<std::string, std::string> metadata) {
  std::vector<std::pair<std::string, const kernels::Tensor*>> ordered(tensors.begin(), tensors.end());
  const auto rank = [](const kernels::Tensor& tensor) {
    return find_safetensors_type(file_type(tensor.type())) - kTypes.data();
  };
  std::stable_sort(ordered.begin(), ordered.end(),
                   [&](const auto& a, const auto& b) { return rank(*a.second) > rank(*b.second); });
  metadata.try_emplace("format", "pt");
  const std::string header = header_text(ordered, metadata);
  std::string bytes(8, '\0');
  const std::uint64_t header_bytes = header.size();
  std::memcpy(bytes.data(), &header_bytes, 8);
  bytes += header;
  for (const auto& [name, tensor] : ordered)
    bytes.append(static_cast<const char*>(tensor->raw_data()), tensor->size_bytes());
  return bytes;
}

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, const kernels::Tensor*>& tensors,
                       std::map<std::string, std::string> metadata) {
  platform::write_file_atomically(path, safetensors_bytes(tensors, std::move(metadata)));
}

}  // namespace finetune
