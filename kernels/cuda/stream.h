// Stream and Event: owners of the CUDA objects of the same name. Work given to one stream happens in order; an event
// recorded on one stream lets another wait for it, or measures time. One thread at a time uses a stream.
#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "kernels/cuda/cuda_error.h"

namespace kernels::cuda {

class Event {
 public:
  explicit Event(bool measures_time = false) {
    check(cudaEventCreateWithFlags(&event_, measures_time ? cudaEventDefault : cudaEventDisableTiming), "event");
  }
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~Event() {
    if (event_ != nullptr) cudaEventDestroy(event_);
  }

  cudaEvent_t handle() const { return event_; }
  /// The host waits until the work recorded before is done.
  void synchronise() const { check(cudaEventSynchronize(event_), "event"); }
  /// From `start` to this one; both measure time and are done.
  float milliseconds_since(const Event& start) const {
    float milliseconds = 0.0f;
    check(cudaEventElapsedTime(&milliseconds, start.event_, event_), "event");
    return milliseconds;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
  Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Stream() {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  cudaStream_t handle() const { return stream_; }
  /// Work is recorded (graph.h), not executed.
  bool is_recording() const {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    return cudaStreamIsCapturing(stream_, &status) == cudaSuccess && status != cudaStreamCaptureStatusNone;
  }
  void record(const Event& event) const { check(cudaEventRecord(event.handle(), stream_), "event"); }
  /// Later work of this stream waits for the event; the host does not.
  void wait(const Event& event) const { check(cudaStreamWaitEvent(stream_, event.handle(), 0), "stream"); }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace kernels::cuda
