// Context: where operations run and what they run with: the device, the number of threads, and a workspace that is
// reused from call to call. Every operation takes one first. Not thread-safe: a thread that computes has its own
// Context. Promise: equal inputs, equal thread count and equal machine give equal bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/core/device.h"

namespace kernels {

class Context {
 public:
  /// Computes on the CPU with this many threads; 0 means one per core available to the process.
  static Context cpu(int threads = 0);

  /// Computes on a CUDA device. Throws DeviceError when the library was built without CUDA or the device is absent;
  /// this is the only place where that is decided.
  static Context cuda(int index);

  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;
  ~Context();

  Device device() const;
  int threads() const;

  /// Bytes of workspace held for reuse.
  std::size_t workspace_bytes() const;

 private:
  friend class ScratchFrame;
  struct State;
  explicit Context(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Borrows uninitialised 64-byte aligned workspace from a Context until the frame is destroyed. Frames nest like
/// function calls and are destroyed in reverse order; memory goes back to the Context, not to the system.
class ScratchFrame {
 public:
  explicit ScratchFrame(Context& context);
  ~ScratchFrame();
  ScratchFrame(const ScratchFrame&) = delete;
  ScratchFrame& operator=(const ScratchFrame&) = delete;

  std::byte* bytes(std::size_t count);

  template <typename T>
  T* take(std::size_t count) {
    return reinterpret_cast<T*>(bytes(count * sizeof(T)));
  }
  float* floats(std::int64_t count) { return take<float>(static_cast<std::size_t>(count)); }

 private:
  Context& context_;
  std::size_t block_;
  std::size_t offset_;
};

}  // namespace kernels
