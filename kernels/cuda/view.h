// Views: how kernels touch memory. GlobalView<T> shows a tensor, SharedArray<T> a part of the block's shared memory;
// both are bare pointers natively, at no cost. Under emulation every access through them is checked for bounds,
// alignment, initialisation and races, so kernels use no pointers beside them.
//
//   const float value = x[i];                        read one element (write the type: `auto` would not copy it)
//   y[i] = value;                                    write one
//   Vector<T, 4> four = x.load<4>(i);                elements i .. i + 3 in one access; i * sizeof(T) aligned to it
//   y.store(i, four);
//   SharedMemory shared;                             in the kernel: the block's dynamic shared memory
//   auto tile = shared.array<float>(64 * 32);        the next part of it
//   SharedPlan().array<float>(64 * 32).bytes()       on the host: what to ask for in the launch
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/core/error.h"
#include "kernels/core/tensor.h"

namespace kernels::cuda {

/// N elements that move as one.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vector {
  T values[N];
  __host__ __device__ T& operator[](int i) { return values[i]; }
  __host__ __device__ const T& operator[](int i) const { return values[i]; }
};

#if defined(ANNEAL_CUDA_EMULATION)
template <typename T>
using ViewMemory = cuda_emulation::CheckedMemory<T>;
template <typename T>
using Element = cuda_emulation::Element<T>;
#else
template <typename T>
class ViewMemory {
 public:
  ViewMemory() = default;
  __host__ __device__ explicit ViewMemory(T* start) : start_(start) {}
  static __host__ __device__ ViewMemory global(T* start, std::int64_t) { return ViewMemory(start); }
  static __device__ ViewMemory shared(std::size_t offset, std::int64_t) {
    extern __shared__ __align__(1024) unsigned char block_memory[];
    return ViewMemory(reinterpret_cast<T*>(block_memory + offset));
  }
  __host__ __device__ bool has_value() const { return start_ != nullptr; }
  __host__ __device__ T* pointer() const { return start_; }
  __host__ __device__ void reads(std::int64_t, std::int64_t) const {}
  __host__ __device__ void writes(std::int64_t, std::int64_t) const {}
  __host__ __device__ void updates(std::int64_t) const {}
  __host__ __device__ ViewMemory part(std::int64_t begin, std::int64_t) const { return ViewMemory(start_ + begin); }
  template <typename U>
  __host__ __device__ ViewMemory<U> as() const {
    return ViewMemory<U>(reinterpret_cast<U*>(start_));
  }

 private:
  T* start_ = nullptr;
};
#endif

/// The common body of both views. Copied freely; owns nothing.
template <typename T, bool kIsShared>
class View {
 public:
  using Value = std::remove_const_t<T>;

  View() = default;
  __host__ __device__ explicit View(const ViewMemory<T>& memory) : memory_(memory) {}
  /// Of global memory: `count` elements from a device address on.
  __host__ View(T* start, std::int64_t count) : memory_(ViewMemory<T>::global(start, count)) {
    static_assert(!kIsShared, "shared memory is taken from SharedMemory");
  }
  /// A view that only reads.
  template <typename U>
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) __host__ __device__ operator View<U, kIsShared>() const {
    return View<U, kIsShared>(memory_.template as<U>());
  }

  /// False for an optional argument that is absent.
  __host__ __device__ bool has_value() const { return memory_.has_value(); }

#if defined(ANNEAL_CUDA_EMULATION)
  Element<T> operator[](std::int64_t i) const { return {memory_, i}; }
  void set_argument(int argument) { memory_.set_argument(argument); }
#else
  __device__ T& operator[](std::int64_t i) const { return memory_.pointer()[i]; }
#endif

  __device__ Value load(std::int64_t i) const {
    memory_.reads(i, 1);
    return memory_.pointer()[i];
  }
  template <int N>
  __device__ Vector<Value, N> load(std::int64_t i) const {
    static_assert(sizeof(T) * N <= 16, "at most 16 bytes move at once");
    memory_.reads(i, N);
    return *reinterpret_cast<const Vector<Value, N>*>(memory_.pointer() + i);
  }
  __device__ void store(std::int64_t i, Value value) const {
    memory_.writes(i, 1);
    memory_.pointer()[i] = value;
  }
  template <int N>
  __device__ void store(std::int64_t i, const Vector<Value, N>& values) const {
    static_assert(sizeof(T) * N <= 16, "at most 16 bytes move at once");
    memory_.writes(i, N);
    *reinterpret_cast<Vector<Value, N>*>(memory_.pointer() + i) = values;
  }

  /// Atomic operations; each returns what was there before. Float sums in an order that is not fixed have no fixed
  /// bits: only for integers, or where the order cannot matter.
  __device__ Value atomic_add(std::int64_t i, Value change) const {
    memory_.updates(i);
#if defined(ANNEAL_CUDA_EMULATION)
    const Value before = memory_.pointer()[i];
    memory_.pointer()[i] = before + change;
    return before;
#else
    return atomicAdd(memory_.pointer() + i, change);
#endif
  }
  __device__ Value atomic_max(std::int64_t i, Value value) const {
    memory_.updates(i);
#if defined(ANNEAL_CUDA_EMULATION)
    const Value before = memory_.pointer()[i];
    memory_.pointer()[i] = before < value ? value : before;
    return before;
#else
    return atomicMax(memory_.pointer() + i, value);
#endif
  }
  /// Writes `value` if `expected` is there.
  __device__ Value atomic_replace(std::int64_t i, Value expected, Value value) const {
    memory_.updates(i);
#if defined(ANNEAL_CUDA_EMULATION)
    const Value before = memory_.pointer()[i];
    if (before == expected) memory_.pointer()[i] = value;
    return before;
#else
    return atomicCAS(memory_.pointer() + i, expected, value);
#endif
  }

  /// Elements [begin, begin + count) as a view of their own.
  __host__ __device__ View part(std::int64_t begin, std::int64_t count) const {
    return View(memory_.part(begin, count));
  }
  /// The same bytes as elements of another type.
  template <typename U>
  __host__ __device__ View<U, kIsShared> as() const {
    return View<U, kIsShared>(memory_.template as<U>());
  }

  /// For tensor_core.h alone.
  __host__ __device__ const ViewMemory<T>& memory() const { return memory_; }

 private:
  ViewMemory<T> memory_;
};

template <typename T>
using GlobalView = View<T, false>;
template <typename T>
using SharedArray = View<T, true>;

/// A tensor as kernels see it. T must be its type; const for reading.
template <typename T>
GlobalView<T> view_of(Tensor& tensor) {
  check_count("view_of", "tensor", tensor, tensor.count(), data_type_of<std::remove_const_t<T>>());
  return {static_cast<T*>(tensor.raw_data()), tensor.count()};
}
template <typename T>
GlobalView<const T> view_of(const Tensor& tensor) {
  check_count("view_of", "tensor", tensor, tensor.count(), data_type_of<std::remove_const_t<T>>());
  return {static_cast<const T*>(tensor.raw_data()), tensor.count()};
}
/// Absent when null.
template <typename T>
GlobalView<T> view_of(Tensor* tensor) {
  return tensor == nullptr ? GlobalView<T>() : view_of<T>(*tensor);
}
template <typename T>
GlobalView<const T> view_of(const Tensor* tensor) {
  return tensor == nullptr ? GlobalView<const T>() : view_of<T>(*tensor);
}

/// Where the arrays of one block lie, one after another, each aligned. The host's SharedPlan and the kernel's
/// SharedMemory must name the same arrays in the same order.
class SharedPlan {
 public:
  template <typename T>
  constexpr SharedPlan& array(std::int64_t count, std::size_t alignment = 16) {
    bytes_ = (bytes_ + alignment - 1) / alignment * alignment + static_cast<std::size_t>(count) * sizeof(T);
    return *this;
  }
  constexpr std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

class SharedMemory {
 public:
  /// The next `count` elements; `alignment` in bytes, a power of two up to 1024.
  template <typename T>
  __device__ SharedArray<T> array(std::int64_t count, std::size_t alignment = 16) {
    const std::size_t begin = (used_ + alignment - 1) / alignment * alignment;
    used_ = begin + static_cast<std::size_t>(count) * sizeof(T);
    return SharedArray<T>(ViewMemory<T>::shared(begin, count));
  }

 private:
  std::size_t used_ = 0;
};

}  // namespace kernels::cuda
