// Session: what the CUDA operations of one Context run with: a device, its stream and memory, and what it can do. Used
// by one thread at a time; a thread that uses it has the device selected by launch().
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/faults.h"

namespace kernels::cuda {

/// What the library of matrix products keeps for a session (matrix_product.cu).
class MatrixLibrary {
 public:
  virtual ~MatrixLibrary() = default;
};

class Session {
 public:
  explicit Session(int device);

  int device() const { return device_; }
  /// "cuda:0 (NVIDIA H100 80GB HBM3)".
  const std::string& name() const { return name_; }
  /// Compute capability: 80, 89, 90, ...
  int capability() const { return capability_; }
  int multiprocessors() const { return multiprocessors_; }
  /// The most dynamic shared memory that one block may ask for.
  std::size_t shared_bytes_per_block() const { return shared_bytes_per_block_; }

  const Stream& stream() const { return memory_->stream(); }
  const std::shared_ptr<DeviceMemory>& memory() const { return memory_; }
  FaultView faults();

  /// Waits for the stream; throws a noted fault, or DeviceError with the last kernel's name.
  void synchronise();

  /// Null before the first product.
  MatrixLibrary* matrix_library() const { return matrix_library_.get(); }
  void set_matrix_library(std::unique_ptr<MatrixLibrary> library) { matrix_library_ = std::move(library); }

  /// For launch.h.
  void note_launch(const char* kernel);
  bool checks_every_launch() const { return checks_every_launch_; }

 private:
  int device_;
  std::string name_;
  int capability_ = 0;
  int multiprocessors_ = 0;
  std::size_t shared_bytes_per_block_ = 0;
  std::shared_ptr<DeviceMemory> memory_;
  Tensor faults_;
  std::unique_ptr<MatrixLibrary> matrix_library_;
  const char* last_kernel_ = "none";
  bool checks_every_launch_ = false;  // ANNEAL_CUDA_CHECK=1: a failure is reported by the kernel that caused it
};

}  // namespace kernels::cuda
