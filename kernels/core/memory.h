// Memory: the memory of one device other than the CPU, as tensors use it. All work on it happens in the order in which
// it is asked for, together with the kernels of the context that it belongs to. Allocation may be called from several
// threads; the rest follows the rule of its context.
#pragma once

#include <cstddef>

#include "kernels/core/device.h"

namespace kernels {

enum class CopyDirection { kToDevice, kToHost, kOnDevice };

class Memory {
 public:
  virtual ~Memory() = default;

  virtual Device device() const = 0;

  /// Uninitialised, aligned to 256 bytes. Throws DeviceError when it does not fit: how much was needed, what is free.
  virtual std::byte* allocate(std::size_t bytes) = 0;
  /// Gives back what allocate() gave; work that was asked for before may still use it.
  virtual void release(std::byte* start) noexcept = 0;

  /// Returns when `source` may be changed (to the device) or `target` holds the bytes (to the host).
  virtual void copy(void* target, const void* source, std::size_t bytes, CopyDirection direction) = 0;
  virtual void fill_zero(void* start, std::size_t bytes) = 0;
  /// Waits until everything that was asked for is done.
  virtual void synchronise() = 0;

  /// The contents of this range mean nothing any more; a device that checks its kernels refuses to read them.
  virtual void forget(void* /*start*/, std::size_t /*bytes*/) {}
};

}  // namespace kernels
