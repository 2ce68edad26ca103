// Context: where operations run and what they run with: the device, the number of threads, and a workspace that is
// reused from call to call. Every operation takes one first. Not thread-safe: a thread that computes has its own
// Context. Promise: equal inputs, equal thread count and equal machine give equal bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/core/device.h"
#include "kernels/core/memory.h"

namespace kernels {

class Tensor;
namespace cuda {
class Session;
}

class Context {
 public:
  /// Computes on the CPU with this many threads; 0 means one per core available to the process.
  static Context cpu(int threads = 0);

  /// Computes on a CUDA device, on a stream and in memory of its own. Throws DeviceError when the library was built
  /// without CUDA or the device is absent; this is the only place where that is decided.
  static Context cuda(int index);

  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;
  ~Context();

  Device device() const;
  bool is_cuda() const { return device().type == DeviceType::kCuda; }
  /// Of the CPU; 1 on another device.
  int threads() const;

  /// Where tensors of this context live; null on the CPU.
  const std::shared_ptr<Memory>& memory() const;
  /// What CUDA operations run with. Throws DeviceError on another device.
  cuda::Session& cuda_session() const;

  /// Waits for all operations so far; nothing to wait for on the CPU. Throws what a kernel found wrong meanwhile:
  /// std::invalid_argument for values that an operation's contract refuses, DeviceError for a device that failed.
  void synchronise();

  /// Bytes of workspace held for reuse.
  std::size_t workspace_bytes() const;

  /// Uses other workspace from now on and returns what was held; no ScratchFrame may be open. For recorded work, whose
  /// workspace must stay its own.
  std::vector<Tensor> exchange_workspace(std::vector<Tensor> blocks);

 private:
  friend class ScratchFrame;
  struct State;
  explicit Context(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Borrows uninitialised workspace on the Context's device, aligned to 64 bytes (256 on CUDA), until the frame is
/// destroyed. Frames nest like function calls and are destroyed in reverse order; memory goes back to the Context, not
/// to the system.
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
