#include "kernels/core/tensor.h"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "kernels/core/context.h"
#include "kernels/core/error.h"

namespace kernels {
namespace {

constexpr std::size_t kAlignment = 64;

std::int64_t checked_count(const Shape& shape, DataType type) {
  constexpr std::int64_t kMaximum = std::numeric_limits<std::int64_t>::max() / 16;
  const auto limit = kMaximum / static_cast<std::int64_t>(size_of(type));
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0) throw_invalid("tensor", "shape " + shape_to_string(shape) + " has a negative size");
    if (size != 0 && count > limit / size) throw_invalid("tensor", "shape " + shape_to_string(shape) + " is too large");
    count *= size;
  }
  return count;
}

std::byte* allocate_aligned(std::size_t bytes) {
  const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

float read_float(const Tensor& tensor, std::int64_t index) {
  switch (tensor.type()) {
    case DataType::kFloat32: return tensor.data<float>()[index];
    case DataType::kBFloat16: return to_float(tensor.data<BFloat16>()[index]);
    case DataType::kFloat16: return to_float(tensor.data<Float16>()[index]);
    default: throw_invalid("cast_to", std::string(name_of(tensor.type())) + " is not a floating-point type");
  }
}

void write_float(Tensor& tensor, std::int64_t index, float value) {
  switch (tensor.type()) {
    case DataType::kFloat32: tensor.data<float>()[index] = value; return;
    case DataType::kBFloat16: tensor.data<BFloat16>()[index] = to_bfloat16(value); return;
    case DataType::kFloat16: tensor.data<Float16>()[index] = to_float16(value); return;
    default: throw_invalid("cast_to", std::string(name_of(tensor.type())) + " is not a floating-point type");
  }
}

}  // namespace

void Tensor::Free::operator()(std::byte* start) const {
  if (memory == nullptr) {
    std::free(start);
  } else {
    memory->release(start);
  }
}

std::unique_ptr<std::byte, Tensor::Free> Tensor::allocated(std::size_t bytes) const {
  if (bytes == 0) return {nullptr, Free{memory_}};
  return {memory_ == nullptr ? allocate_aligned(bytes) : memory_->allocate(bytes), Free{memory_}};
}

Tensor::Tensor(Shape shape, DataType type) : Tensor(std::move(shape), type, std::shared_ptr<Memory>()) {}

Tensor::Tensor(Shape shape, DataType type, const Context& context) : Tensor(std::move(shape), type, context.memory()) {}

Tensor::Tensor(Shape shape, DataType type, std::shared_ptr<Memory> memory)
    : shape_(std::move(shape)), count_(checked_count(shape_, type)), type_(type), memory_(std::move(memory)) {
  if (memory_ != nullptr) device_ = memory_->device();
  owned_ = allocated(size_bytes());
  data_ = owned_.get();
  capacity_bytes_ = size_bytes();
}

Tensor Tensor::zeros(Shape shape, DataType type) {
  Tensor tensor(std::move(shape), type);
  tensor.fill_zero();
  return tensor;
}

Tensor Tensor::zeros(Shape shape, DataType type, const Context& context) {
  Tensor tensor(std::move(shape), type, context);
  tensor.fill_zero();
  return tensor;
}

Tensor Tensor::copy_of(const void* values, std::size_t count, Shape shape, DataType type) {
  if (shape.empty()) shape = {static_cast<std::int64_t>(count)};
  Tensor tensor(std::move(shape), type);
  if (static_cast<std::size_t>(tensor.count()) != count) {
    throw_invalid("tensor", std::to_string(count) + " values do not fill shape " + shape_to_string(tensor.shape()));
  }
  if (count > 0) std::memcpy(tensor.data_, values, tensor.size_bytes());
  return tensor;
}

Tensor Tensor::wrap(void* data, Shape shape, DataType type) {
  Tensor tensor;
  tensor.count_ = checked_count(shape, type);
  tensor.shape_ = std::move(shape);
  tensor.type_ = type;
  tensor.data_ = data;
  return tensor;
}

Tensor Tensor::wrap(void* data, Shape shape, DataType type, const Context& context) {
  Tensor tensor = wrap(data, std::move(shape), type);
  tensor.memory_ = context.memory();
  tensor.device_ = context.device();
  return tensor;
}

Tensor Tensor::wrap_const(const void* data, Shape shape, DataType type) {
  Tensor tensor = wrap(const_cast<void*>(data), std::move(shape), type);
  tensor.read_only_ = true;  // what makes the const_cast safe
  return tensor;
}

Tensor::Tensor(Tensor&& other) noexcept { *this = std::move(other); }

Tensor& Tensor::operator=(Tensor&& other) noexcept {
  shape_.swap(other.shape_);
  std::swap(count_, other.count_);
  std::swap(type_, other.type_);
  std::swap(device_, other.device_);
  memory_.swap(other.memory_);
  std::swap(read_only_, other.read_only_);
  std::swap(data_, other.data_);
  std::swap(capacity_bytes_, other.capacity_bytes_);
  owned_.swap(other.owned_);
  return *this;
}

std::int64_t Tensor::size(std::int64_t dimension) const {
  const std::int64_t index = dimension < 0 ? dimension + rank() : dimension;
  if (index < 0 || index >= rank()) {
    throw_invalid("tensor", "no dimension " + std::to_string(dimension) + " in shape " + shape_to_string(shape_));
  }
  return shape_[static_cast<std::size_t>(index)];
}

void* Tensor::raw_data() {
  if (read_only_)
    throw_invalid("tensor", "writable data asked of a read-only view of shape " + shape_to_string(shape_));
  return data_;
}

void Tensor::check_type(DataType type) const {
  if (memory_ != nullptr) {
    throw_invalid("tensor", "the host asked for the elements of a tensor on " + to_string(device_) + " " +
                                shape_to_string(shape_) + "; copy it with to_host()");
  }
  if (type_ == type) return;
  throw_invalid("tensor", std::string("data of type ") + name_of(type) + " asked of a " + name_of(type_) + " tensor " +
                              shape_to_string(shape_));
}

Tensor Tensor::viewed(std::size_t offset_bytes, Shape shape, bool read_only) const {
  Tensor tensor;
  tensor.count_ = checked_count(shape, type_);
  tensor.shape_ = std::move(shape);
  tensor.type_ = type_;
  tensor.device_ = device_;
  tensor.memory_ = memory_;
  tensor.read_only_ = read_only;
  tensor.data_ = data_ == nullptr ? nullptr : static_cast<std::byte*>(data_) + offset_bytes;
  return tensor;
}

Tensor Tensor::view(Shape shape) const {
  if (checked_count(shape, type_) != count_) {
    throw_invalid("tensor", "cannot view " + shape_to_string(shape_) + " as " + shape_to_string(shape));
  }
  return viewed(0, std::move(shape), true);
}

Tensor Tensor::view(Shape shape) {
  Tensor tensor = std::as_const(*this).view(std::move(shape));
  tensor.read_only_ = read_only_;
  return tensor;
}

Tensor Tensor::slice_rows(std::int64_t begin, std::int64_t end) const {
  if (shape_.empty() || begin < 0 || begin > end || end > shape_[0]) {
    throw_invalid("tensor", "rows " + std::to_string(begin) + ".." + std::to_string(end) + " are not in shape " +
                                shape_to_string(shape_));
  }
  Shape shape = shape_;
  shape[0] = end - begin;
  const std::int64_t row = shape_[0] == 0 ? 0 : count_ / shape_[0];
  return viewed(static_cast<std::size_t>(begin * row) * size_of(type_), std::move(shape), true);
}

Tensor Tensor::slice_rows(std::int64_t begin, std::int64_t end) {
  Tensor tensor = std::as_const(*this).slice_rows(begin, end);
  tensor.read_only_ = read_only_;
  return tensor;
}

Tensor Tensor::clone() const {
  Tensor tensor(shape_, type_, memory_);
  tensor.copy_from(*this);
  return tensor;
}

Tensor Tensor::to(const Context& context) const {
  Tensor tensor(shape_, type_, context);
  tensor.copy_from(*this);
  return tensor;
}

Tensor Tensor::to_host() const {
  Tensor tensor(shape_, type_);
  tensor.copy_from(*this);
  return tensor;
}

void Tensor::resize(Shape shape) {
  if (data_ != nullptr && owned_ == nullptr) throw_invalid("tensor", "a view cannot be resized");
  const std::int64_t count = checked_count(shape, type_);
  const std::size_t bytes = static_cast<std::size_t>(count) * size_of(type_);
  if (bytes > capacity_bytes_) {
    owned_.reset();
    data_ = nullptr;
    capacity_bytes_ = 0;
    count_ = 0;
    shape_ = {0};
    owned_ = allocated(bytes);
    data_ = owned_.get();
    capacity_bytes_ = bytes;
  }
  shape_ = std::move(shape);
  count_ = count;
}

void Tensor::fill_zero() {
  if (count_ == 0) return;
  if (memory_ == nullptr) {
    std::memset(raw_data(), 0, size_bytes());
  } else {
    memory_->fill_zero(raw_data(), size_bytes());
  }
}

void Tensor::copy_from(const Tensor& other) {
  check_count("copy_from", "source", other, count_, type_);
  if (count_ == 0) return;
  if (memory_ == nullptr && other.memory_ == nullptr) {
    std::memmove(raw_data(), other.raw_data(), size_bytes());
  } else if (memory_ == nullptr) {
    other.memory_->copy(raw_data(), other.raw_data(), size_bytes(), CopyDirection::kToHost);
  } else if (other.memory_ == nullptr) {
    memory_->copy(raw_data(), other.raw_data(), size_bytes(), CopyDirection::kToDevice);
  } else {
    if (other.memory_ != memory_) other.memory_->synchronise();  // its work is in another order
    memory_->copy(raw_data(), other.raw_data(), size_bytes(), CopyDirection::kOnDevice);
  }
}

Tensor Tensor::cast_to(DataType type) const {
  Tensor result(shape_, type);
  for (std::int64_t i = 0; i < count_; ++i) write_float(result, i, read_float(*this, i));
  return result;
}

}  // namespace kernels
