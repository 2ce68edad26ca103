// What kernels/cuda/view.h stands on under emulation: the same small classes as natively, but every access is checked.
#pragma once

#include <cstring>
#include <type_traits>

#include "tests/support/cuda_emulation/memory_check.h"

namespace cuda_emulation {

/// Memory of `count` elements; knows its bounds and its shadow.
template <typename T>
class CheckedMemory {
 public:
  CheckedMemory() = default;
  explicit CheckedMemory(const ViewData& data) : data_(data) {}

  static CheckedMemory global(T* data, std::int64_t count) {
    return CheckedMemory(global_view(data, count, sizeof(T)));
  }
  static CheckedMemory shared(std::size_t offset, std::int64_t count) {
    return CheckedMemory(shared_view(offset, count, sizeof(T)));
  }

  bool has_value() const { return data_.data != nullptr; }
  const ViewData& data() const { return data_; }
  void set_argument(int argument) { data_.argument = argument; }
  T* pointer() const { return reinterpret_cast<T*>(data_.data); }

  void reads(std::int64_t index, std::int64_t elements) const {
    check_access(data_, index, elements, sizeof(T), AccessKind::kRead);
  }
  void writes(std::int64_t index, std::int64_t elements) const {
    check_access(data_, index, elements, sizeof(T), AccessKind::kWrite);
  }
  void updates(std::int64_t index) const { check_access(data_, index, 1, sizeof(T), AccessKind::kAtomic); }

  CheckedMemory part(std::int64_t begin, std::int64_t count) const {
    if (begin < 0 || count < 0 || begin + count > data_.count) {
      violate("out of bounds: a part of " + std::to_string(count) + " elements from " + std::to_string(begin) +
              " of a view of " + std::to_string(data_.count));
    }
    ViewData part = data_;
    part.data += static_cast<std::size_t>(begin) * sizeof(T);
    part.count = count;
    return CheckedMemory(part);
  }

  template <typename U>
  CheckedMemory<U> as() const {
    ViewData other = data_;
    other.count = data_.count * static_cast<std::int64_t>(sizeof(T)) / static_cast<std::int64_t>(sizeof(U));
    return CheckedMemory<U>(other);
  }

 private:
  ViewData data_;
};

/// What view[i] is: read by conversion, written by assignment.
template <typename T>
class Element {
 public:
  using Value = std::remove_const_t<T>;
  Element(const CheckedMemory<T>& memory, std::int64_t index) : memory_(memory), index_(index) {}
  Element(const Element&) = default;

  operator Value() const {  // NOLINT: implicit, as with a reference
    memory_.reads(index_, 1);
    return memory_.pointer()[index_];
  }
  const Element& operator=(const Value& value) const {
    memory_.writes(index_, 1);
    memory_.pointer()[index_] = value;
    return *this;
  }
  const Element& operator=(const Element& other) const { return *this = static_cast<Value>(other); }
  template <typename U>
  const Element& operator+=(U change) const {
    return *this = static_cast<Value>(Value(*this) + change);
  }
  template <typename U>
  const Element& operator-=(U change) const {
    return *this = static_cast<Value>(Value(*this) - change);
  }
  template <typename U>
  const Element& operator*=(U factor) const {
    return *this = static_cast<Value>(Value(*this) * factor);
  }

 private:
  CheckedMemory<T> memory_;
  std::int64_t index_;
};

}  // namespace cuda_emulation
