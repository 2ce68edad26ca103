// DeviceMemory: the memory of one CUDA device as one session uses it. Large chunks are taken from the driver and cut up
// here, best fit first, neighbours joined again; because everything that uses the memory runs on one stream, a piece
// can be handed out again at once. Nothing goes back to the driver before the end, unless the device runs short.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "kernels/core/memory.h"
#include "kernels/cuda/stream.h"

namespace kernels::cuda {

class DeviceMemory final : public Memory {
 public:
  /// Owns the stream on which all of its work runs.
  explicit DeviceMemory(int device);
  ~DeviceMemory() override;
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  const Stream& stream() const { return stream_; }

  /// From begin_pool() to end_pool() memory is handed out of a pool of its own, and what is given back to it serves
  /// only it, so that recorded work can use the same places again and again. drop_pool() makes it ordinary memory.
  int begin_pool();
  void end_pool();
  void drop_pool(int pool);

  /// Takes this much from the driver now, as one chunk, so that a plan holds from the first step on. Throws DeviceError
  /// when it does not fit.
  void reserve(std::size_t bytes);

  struct Statistics {
    std::size_t in_use_bytes = 0;    // handed out
    std::size_t peak_bytes = 0;      // the most that ever was
    std::size_t reserved_bytes = 0;  // taken from the driver
  };
  Statistics statistics() const;

  Device device() const override { return {DeviceType::kCuda, device_}; }
  std::byte* allocate(std::size_t bytes) override;
  void release(std::byte* start) noexcept override;
  void copy(void* target, const void* source, std::size_t bytes, CopyDirection direction) override;
  void fill_zero(void* start, std::size_t bytes) override;
  void synchronise() override;
  void forget(void* start, std::size_t bytes) override;

 private:
  struct Piece {
    std::size_t bytes;
    bool free;
    std::size_t chunk;  // pieces of different chunks are never joined
  };
  struct Chunk {
    std::byte* start;
    int pool;
  };
  using Pieces = std::map<std::byte*, Piece>;
  using FreePieces = std::set<std::pair<std::size_t, std::byte*>>;  // by size

  void add_chunk(std::size_t bytes);
  bool try_add_chunk(std::size_t bytes);
  bool return_free_chunks();
  FreePieces& free_pieces_of(const Piece& piece) { return free_[chunks_.at(piece.chunk).pool]; }
  Pieces::iterator joined(Pieces::iterator left, Pieces::iterator right);
  [[noreturn]] void throw_out_of_memory(std::size_t bytes) const;

  int device_;
  Stream stream_;
  mutable std::mutex mutex_;
  Pieces pieces_;
  std::map<int, FreePieces> free_;  // by pool
  std::map<std::size_t, Chunk> chunks_;
  std::size_t next_chunk_ = 0;
  int pool_ = 0;  // that hands out now; 0 is the ordinary one
  int last_pool_ = 0;
  Statistics statistics_;
};

/// "1.50 GiB", "12.0 MiB".
std::string readable_bytes(std::size_t bytes);

}  // namespace kernels::cuda
