#include "kernels/cuda/session.h"

#include <cstdlib>
#include <string_view>

#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

cudaDeviceProp properties_of(int device) {
  const std::string name = "cuda:" + std::to_string(device);
  const int count = device_count();
  if (device < 0 || device >= count) {
    throw DeviceError(name + ": this machine has " + std::to_string(count) + " CUDA devices; use Context::cpu()");
  }
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), name);
  if (properties.major < 8) {
    throw DeviceError(name + " (" + properties.name + ") has compute capability " + std::to_string(properties.major) +
                      "." + std::to_string(properties.minor) + "; 8.0 or later is needed");
  }
  return properties;
}

}  // namespace

Session::Session(int device) : device_(device) {
  const cudaDeviceProp properties = properties_of(device);
  name_ = "cuda:" + std::to_string(device) + " (" + properties.name + ")";
  capability_ = 10 * properties.major + properties.minor;
  multiprocessors_ = properties.multiProcessorCount;
  shared_bytes_per_block_ = properties.sharedMemPerBlockOptin;
  memory_ = std::make_shared<DeviceMemory>(device);
  faults_ = Tensor({kFaultWords}, DataType::kInt32, memory_);
  faults_.fill_zero();
  const char* checks = std::getenv("ANNEAL_CUDA_CHECK");
  checks_every_launch_ = checks != nullptr && std::string_view(checks) == "1";
}

FaultView Session::faults() { return view_of<std::int32_t>(faults_); }

void Session::note_launch(const char* kernel) { last_kernel_ = kernel; }

void Session::synchronise() {
  std::int32_t words[kFaultWords] = {};
  try {
    memory_->copy(words, faults_.raw_data(), sizeof words, CopyDirection::kToHost);
  } catch (const DeviceError& error) {
    throw DeviceError(name_ + ": " + error.what() + "; the last kernel that was launched was " + last_kernel_ +
                      "; ANNEAL_CUDA_CHECK=1 names the one that failed");
  }
  if (words[0] == 0) return;
  faults_.fill_zero();
  throw_fault(static_cast<Fault>(words[0]), words[1], words[2]);
}

std::shared_ptr<Session> open_session(int device) { return std::make_shared<Session>(device); }
std::shared_ptr<Memory> memory_of(Session& session) { return session.memory(); }
void synchronise(Session& session) { session.synchronise(); }

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

}  // namespace kernels::cuda
