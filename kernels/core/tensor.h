// Tensor: a row-major, contiguous block of elements, aligned to 64 bytes (256 on CUDA), with a shape, an element type
// and a device. The host sees the elements of a tensor on the CPU; others are copied over with to() and to_host().
// It is a move-only value that either owns its memory or views memory owned by somebody else (another tensor, a mapped
// file), who must outlive it. A view made from a const tensor is read-only: asking it for writable data throws.
// Different tensors may be used from different threads; one tensor follows the usual rule of one writer or many
// readers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/core/data_type.h"
#include "kernels/core/device.h"
#include "kernels/core/memory.h"

namespace kernels {

class Context;

using Shape = std::vector<std::int64_t>;

class Tensor {
 public:
  /// An empty tensor: shape [0], float32.
  Tensor() = default;

  /// Owns uninitialised memory. Throws std::invalid_argument on a negative size or when the byte count overflows.
  explicit Tensor(Shape shape, DataType type = DataType::kFloat32);

  /// The same on the device of `context`, in whose order it is used. It may outlive the context.
  Tensor(Shape shape, DataType type, const Context& context);
  /// The same in this memory; null means the CPU.
  Tensor(Shape shape, DataType type, std::shared_ptr<Memory> memory);

  /// Owns memory filled with zero bytes.
  static Tensor zeros(Shape shape, DataType type = DataType::kFloat32);
  static Tensor zeros(Shape shape, DataType type, const Context& context);

  /// Owns a copy of `values`; without a shape it is [values.size()].
  template <typename T>
  static Tensor from(const std::vector<T>& values, Shape shape = {}) {
    return copy_of(values.data(), values.size(), std::move(shape), data_type_of<T>());
  }

  /// Views foreign memory that outlives the tensor (a mapped weights file, a caller's buffer).
  static Tensor wrap(void* data, Shape shape, DataType type = DataType::kFloat32);
  /// Views memory on the device of `context`, such as a ScratchFrame's.
  static Tensor wrap(void* data, Shape shape, DataType type, const Context& context);
  /// Read-only form of wrap().
  static Tensor wrap_const(const void* data, Shape shape, DataType type = DataType::kFloat32);

  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(Tensor&& other) noexcept;
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor() = default;

  const Shape& shape() const { return shape_; }
  std::int64_t rank() const { return static_cast<std::int64_t>(shape_.size()); }
  /// Size of one dimension; a negative index counts from the end. Throws std::invalid_argument when out of range.
  std::int64_t size(std::int64_t dimension) const;
  /// Number of elements; 1 for shape [].
  std::int64_t count() const { return count_; }
  std::size_t size_bytes() const { return static_cast<std::size_t>(count_) * size_of(type_); }
  DataType type() const { return type_; }
  Device device() const { return device_; }
  bool owns_memory() const { return owned_ != nullptr; }
  bool read_only() const { return read_only_; }

  /// The elements as T, for the host. Throws std::invalid_argument when T is not the tensor's type, when the tensor is
  /// not on the CPU, and, in the writable form, when it is read-only. Never null unless count() is 0.
  template <typename T>
  T* data() {
    check_type(data_type_of<T>());
    return static_cast<T*>(raw_data());
  }
  template <typename T>
  const T* data() const {
    check_type(data_type_of<T>());
    return static_cast<const T*>(raw_data());
  }
  template <typename T>
  std::span<T> values() {
    return {data<T>(), static_cast<std::size_t>(count_)};
  }
  template <typename T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<std::size_t>(count_)};
  }

  /// The address on the tensor's own device; the writable form throws on a read-only tensor.
  void* raw_data();
  const void* raw_data() const { return data_; }

  /// The same elements under another shape, not owned. Throws std::invalid_argument when the counts differ.
  Tensor view(Shape shape);
  Tensor view(Shape shape) const;
  Tensor view() { return view(shape_); }
  Tensor view() const { return view(shape_); }

  /// Rows [begin, end) of the first dimension, not owned. Throws std::invalid_argument when out of range.
  Tensor slice_rows(std::int64_t begin, std::int64_t end);
  Tensor slice_rows(std::int64_t begin, std::int64_t end) const;

  /// An owning copy on the same device.
  Tensor clone() const;

  /// An owning copy on the device of `context`, or on the CPU (which waits for the device).
  Tensor to(const Context& context) const;
  Tensor to_host() const;

  /// Gives the tensor another shape; memory is kept when it is large enough (capacity never shrinks), else replaced.
  /// Contents are unspecified afterwards. Throws std::invalid_argument on a view.
  void resize(Shape shape);

  /// Sets every byte to zero.
  void fill_zero();

  /// Copies another tensor's elements, from any device; types and counts must be equal.
  void copy_from(const Tensor& other);

  /// An owning copy in another floating-point type (float32, bfloat16, float16), rounded to nearest even. For tensors
  /// on the CPU; ops/elementwise.h has cast() for all.
  Tensor cast_to(DataType type) const;

 private:
  struct Free {
    std::shared_ptr<Memory> memory;  // null: the CPU
    void operator()(std::byte* start) const;
  };

  static Tensor copy_of(const void* values, std::size_t count, Shape shape, DataType type);
  std::unique_ptr<std::byte, Free> allocated(std::size_t bytes) const;
  void check_type(DataType type) const;
  Tensor viewed(std::size_t offset_bytes, Shape shape, bool read_only) const;

  Shape shape_{0};
  std::int64_t count_ = 0;
  DataType type_ = DataType::kFloat32;
  Device device_;
  std::shared_ptr<Memory> memory_;  // where it lives, of views too; null: the CPU
  bool read_only_ = false;
  void* data_ = nullptr;
  std::size_t capacity_bytes_ = 0;
  std::unique_ptr<std::byte, Free> owned_;
};

}  // namespace kernels
