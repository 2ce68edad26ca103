// The host's side of the emulated runtime. Everything is done at once, so that streams and events only remember time.
#include <cuda_runtime.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

struct EmulatedGraph {
  std::vector<std::function<void()>> work;
};
struct EmulatedStream {
  std::unique_ptr<EmulatedGraph> recorded;  // while it records
  bool is_invalid = false;                  // something was asked for that cannot be recorded
};
struct EmulatedEvent {
  std::chrono::steady_clock::time_point recorded;
};

namespace cuda_emulation {
namespace {

thread_local cudaError_t last_error = cudaSuccess;
std::atomic<std::size_t> allocated_bytes{0};

cudaError_t noted(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaDeviceProp default_properties() {
  cudaDeviceProp properties{};
  std::strcpy(properties.name, "emulated device");
  properties.totalGlobalMem = std::size_t{2} << 30;
  properties.major = 8;
  properties.minor = 9;
  properties.multiProcessorCount = 4;
  properties.warpSize = 32;
  properties.maxThreadsPerBlock = 1024;
  properties.maxThreadsDim[0] = properties.maxThreadsDim[1] = 1024;
  properties.maxThreadsDim[2] = 64;
  properties.maxGridSize[0] = 2147483647;
  properties.maxGridSize[1] = properties.maxGridSize[2] = 65535;
  properties.sharedMemPerBlock = 48 << 10;
  properties.sharedMemPerBlockOptin = 99 << 10;
  properties.sharedMemPerMultiprocessor = 100 << 10;
  properties.regsPerMultiprocessor = 65536;
  properties.l2CacheSize = 4 << 20;
  return properties;
}

cudaDeviceProp& current_properties() {
  static cudaDeviceProp properties = default_properties();
  return properties;
}

std::mutex pinned_mutex;
std::set<std::pair<const std::byte*, std::size_t>> pinned;  // host memory by cudaMallocHost: start and bytes

bool is_pageable(const void* address) {
  if (allocation_of(address) != nullptr) return false;
  const auto* place = static_cast<const std::byte*>(address);
  const std::lock_guard<std::mutex> lock(pinned_mutex);
  for (const auto& [start, bytes] : pinned) {
    if (place >= start && place < start + bytes) return false;
  }
  return true;
}

// What waits cannot be recorded: the recording is spoilt, as in CUDA.
cudaError_t refuse_to_record(cudaStream_t stream) {
  stream->is_invalid = true;
  return noted(cudaErrorStreamCaptureUnsupported);
}

}  // namespace

void submit(cudaStream_t stream, std::function<void()> work) {
  if (stream == nullptr || stream->recorded == nullptr) return work();
  stream->recorded->work.push_back(std::move(work));
}

void set_device_properties(const cudaDeviceProp& properties) { current_properties() = properties; }
cudaDeviceProp device_properties() { return current_properties(); }

cudaError_t check_shape(const dim3& grid, const dim3& block, std::size_t shared_bytes) {
  const cudaDeviceProp& device = current_properties();
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  const auto within = [](unsigned value, int most) { return value >= 1 && value <= static_cast<unsigned>(most); };
  const bool fits = within(grid.x, device.maxGridSize[0]) && within(grid.y, device.maxGridSize[1]) &&
                    within(grid.z, device.maxGridSize[2]) && within(block.x, device.maxThreadsDim[0]) &&
                    within(block.y, device.maxThreadsDim[1]) && within(block.z, device.maxThreadsDim[2]) &&
                    threads <= static_cast<std::size_t>(device.maxThreadsPerBlock);
  if (!fits) return noted(cudaErrorInvalidConfiguration);
  return noted(shared_bytes <= device.sharedMemPerBlockOptin ? cudaSuccess : cudaErrorInvalidValue);
}

}  // namespace cuda_emulation

using cuda_emulation::noted;

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
  }
  return "cudaErrorUnknown";
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
cudaError_t cudaGetLastError() {
  const cudaError_t error = cuda_emulation::last_error;
  cuda_emulation::last_error = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() { return cuda_emulation::last_error; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return noted(device == 0 ? cudaSuccess : cudaErrorInvalidDevice); }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return noted(cudaErrorInvalidDevice);
  *properties = cuda_emulation::device_properties();
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new EmulatedStream;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return stream->recorded == nullptr ? cudaSuccess : cuda_emulation::refuse_to_record(stream);
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->recorded != nullptr) return cuda_emulation::refuse_to_record(stream);
  stream->recorded = std::make_unique<EmulatedGraph>();
  stream->is_invalid = false;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream->recorded == nullptr ? cudaStreamCaptureStatusNone
            : stream->is_invalid        ? cudaStreamCaptureStatusInvalidated
                                        : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::unique_ptr<EmulatedGraph> recorded = std::move(stream->recorded);
  *graph = nullptr;
  if (recorded == nullptr) return noted(cudaErrorInvalidValue);
  if (stream->is_invalid) return noted(cudaErrorStreamCaptureInvalidated);
  *graph = new EmulatedGraph(*recorded);
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new EmulatedGraph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  for (const auto& work : executable->work) cuda_emulation::submit(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EmulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->recorded = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->recorded - start->recorded).count();
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  const std::size_t rounded = (bytes + 511) / 512 * 512;
  if (cuda_emulation::allocated_bytes + rounded > cuda_emulation::device_properties().totalGlobalMem)
    return noted(cudaErrorMemoryAllocation);
  cuda_emulation::allocated_bytes += rounded;
  *memory = cuda_emulation::allocate_global(bytes);
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  const cuda_emulation::ShadowMemory* shadow = cuda_emulation::allocation_of(memory);
  const std::size_t bytes = shadow == nullptr ? 0 : (shadow->bytes() + 511) / 512 * 512;
  if (!cuda_emulation::free_global(memory)) return noted(cudaErrorInvalidValue);
  cuda_emulation::allocated_bytes -= bytes;
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t) { return cudaMalloc(memory, bytes); }
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) { return cudaFree(memory); }
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  *memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (*memory == nullptr) return noted(cudaErrorMemoryAllocation);
  const std::lock_guard<std::mutex> lock(cuda_emulation::pinned_mutex);
  cuda_emulation::pinned.emplace(static_cast<std::byte*>(*memory), bytes);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  const std::lock_guard<std::mutex> lock(cuda_emulation::pinned_mutex);
  std::erase_if(cuda_emulation::pinned, [&](const auto& range) { return range.first == memory; });
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  *total_bytes = cuda_emulation::device_properties().totalGlobalMem;
  *free_bytes = *total_bytes - std::min<std::size_t>(*total_bytes, cuda_emulation::allocated_bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* target, const void* source, std::size_t bytes, cudaMemcpyKind) {
  if (bytes == 0) return cudaSuccess;
  cuda_emulation::host_reads(source, bytes, "a copy");
  cuda_emulation::host_writes(target, bytes);
  std::memmove(target, source, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const bool waits = cuda_emulation::is_pageable(target) || cuda_emulation::is_pageable(source);
  if (stream != nullptr && stream->recorded != nullptr && waits) return cuda_emulation::refuse_to_record(stream);
  cuda_emulation::submit(stream, [=] { cudaMemcpy(target, source, bytes, kind); });
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
  cuda_emulation::host_writes(memory, bytes);
  if (bytes > 0) std::memset(memory, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  cuda_emulation::submit(stream, [=] { cudaMemset(memory, value, bytes); });
  return cudaSuccess;
}
