#include "kernels/cuda/device_memory.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace kernels::cuda {
namespace {

constexpr std::size_t kGranule = 512;
constexpr std::size_t kSmallestChunk = std::size_t{64} << 20;
constexpr std::size_t kChunkGranule = std::size_t{2} << 20;  // what the driver maps at once

std::size_t rounded_up(std::size_t bytes, std::size_t granule) { return (bytes + granule - 1) / granule * granule; }

// What only a device that checks its kernels wants to know.
void note_handed_out([[maybe_unused]] const void* start, [[maybe_unused]] std::size_t bytes) {
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::hand_out(start, bytes);
#endif
}
void note_taken_back([[maybe_unused]] const void* start, [[maybe_unused]] std::size_t bytes) {
#if defined(ANNEAL_CUDA_EMULATION)
  cuda_emulation::take_back(start, bytes);
#endif
}

int selected(int device) {
  check(cudaSetDevice(device), "cuda:" + std::to_string(device));
  return device;
}

}  // namespace

std::string readable_bytes(std::size_t bytes) {
  char text[32];
  const auto value = static_cast<double>(bytes);
  if (bytes >= std::size_t{1} << 30) {
    std::snprintf(text, sizeof text, "%.2f GiB", value / 0x1p30);
  } else {
    std::snprintf(text, sizeof text, "%.2f MiB", value / 0x1p20);
  }
  return text;
}

DeviceMemory::DeviceMemory(int device) : device_(selected(device)) {}

DeviceMemory::~DeviceMemory() {
  cudaStreamSynchronize(stream_.handle());
  for (const auto& [id, chunk] : chunks_) cudaFree(chunk.start);
}

int DeviceMemory::begin_pool() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pool_ = ++last_pool_;
}

void DeviceMemory::end_pool() {
  const std::lock_guard<std::mutex> lock(mutex_);
  pool_ = 0;
}

void DeviceMemory::drop_pool(int pool) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto& [id, chunk] : chunks_) {
    if (chunk.pool == pool) chunk.pool = 0;
  }
  free_[0].merge(free_[pool]);
  free_.erase(pool);
}

void DeviceMemory::reserve(std::size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  add_chunk(rounded_up(bytes, kChunkGranule));
}

DeviceMemory::Statistics DeviceMemory::statistics() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return statistics_;
}

bool DeviceMemory::try_add_chunk(std::size_t bytes) {
  void* start = nullptr;
  if (cudaMalloc(&start, bytes) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  const std::size_t id = next_chunk_++;
  chunks_[id] = {static_cast<std::byte*>(start), pool_};
  pieces_[static_cast<std::byte*>(start)] = {bytes, true, id};
  free_[pool_].emplace(bytes, static_cast<std::byte*>(start));
  statistics_.reserved_bytes += bytes;
  return true;
}

// A piece that is a whole chunk and free goes back to the driver, unless it belongs to a pool.
bool DeviceMemory::return_free_chunks() {
  bool any = false;
  cudaStreamSynchronize(stream_.handle());
  for (auto chunk = chunks_.begin(); chunk != chunks_.end();) {
    const auto piece = pieces_.find(chunk->second.start);
    const auto next = std::next(piece);
    const bool whole = next == pieces_.end() || next->second.chunk != piece->second.chunk;
    if (!whole || !piece->second.free || chunk->second.pool != 0) {
      ++chunk;
      continue;
    }
    free_[0].erase({piece->second.bytes, piece->first});
    statistics_.reserved_bytes -= piece->second.bytes;
    cudaFree(piece->first);
    pieces_.erase(piece);
    chunk = chunks_.erase(chunk);
    any = true;
  }
  return any;
}

void DeviceMemory::add_chunk(std::size_t bytes) {
  cudaSetDevice(device_);
  if (try_add_chunk(std::max(bytes, kSmallestChunk)) || try_add_chunk(bytes)) return;
  if (return_free_chunks() && try_add_chunk(bytes)) return;
  throw_out_of_memory(bytes);
}

void DeviceMemory::throw_out_of_memory(std::size_t bytes) const {
  std::size_t free_bytes = 0, total_bytes = 0;
  cudaMemGetInfo(&free_bytes, &total_bytes);
  const std::size_t cached = statistics_.reserved_bytes - statistics_.in_use_bytes;
  const auto free = free_.find(pool_);
  const std::size_t largest = free == free_.end() || free->second.empty() ? 0 : free->second.rbegin()->first;
  throw DeviceError("cuda:" + std::to_string(device_) + " is out of memory: " + readable_bytes(bytes) +
                    " needed in one piece, " + readable_bytes(free_bytes) + " free of " + readable_bytes(total_bytes) +
                    ", and " + readable_bytes(cached) + " held free here, at most " + readable_bytes(largest) +
                    " in one piece (" + readable_bytes(statistics_.in_use_bytes) +
                    " in use); set a smaller micro_batch_tokens, activations: recompute, or a quantised base");
}

std::byte* DeviceMemory::allocate(std::size_t bytes) {
  const std::size_t needed = rounded_up(std::max<std::size_t>(bytes, 1), kGranule);
  const std::lock_guard<std::mutex> lock(mutex_);
  FreePieces& free = free_[pool_];
  auto found = free.lower_bound({needed, nullptr});
  if (found == free.end()) {
    add_chunk(rounded_up(needed, kChunkGranule));
    found = free.lower_bound({needed, nullptr});
  }
  std::byte* start = found->second;
  Piece& piece = pieces_[start];
  free.erase(found);
  if (piece.bytes > needed) {
    pieces_[start + needed] = {piece.bytes - needed, true, piece.chunk};
    free.emplace(piece.bytes - needed, start + needed);
    piece.bytes = needed;
  }
  piece.free = false;
  statistics_.in_use_bytes += needed;
  statistics_.peak_bytes = std::max(statistics_.peak_bytes, statistics_.in_use_bytes);
  note_handed_out(start, needed);
  return start;
}

DeviceMemory::Pieces::iterator DeviceMemory::joined(Pieces::iterator left, Pieces::iterator right) {
  FreePieces& free = free_pieces_of(left->second);
  free.erase({left->second.bytes, left->first});
  free.erase({right->second.bytes, right->first});
  left->second.bytes += right->second.bytes;
  pieces_.erase(right);
  return left;
}

void DeviceMemory::release(std::byte* start) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto piece = pieces_.find(start);
  if (piece == pieces_.end() || piece->second.free) return;
  statistics_.in_use_bytes -= piece->second.bytes;
  piece->second.free = true;
  // Recorded work writes to places that it gave back while it was recorded.
  if (chunks_.at(piece->second.chunk).pool == 0) note_taken_back(start, piece->second.bytes);
  const auto free_neighbour = [&](Pieces::iterator other) {
    return other != pieces_.end() && other->second.free && other->second.chunk == piece->second.chunk;
  };
  if (free_neighbour(std::next(piece))) piece = joined(piece, std::next(piece));
  if (piece != pieces_.begin() && free_neighbour(std::prev(piece))) piece = joined(std::prev(piece), piece);
  free_pieces_of(piece->second).emplace(piece->second.bytes, piece->first);
}

void DeviceMemory::copy(void* target, const void* source, std::size_t bytes, CopyDirection direction) {
  check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDefault, stream_.handle()), "copy");
  if (direction != CopyDirection::kToHost) return;
  check(cudaStreamSynchronize(stream_.handle()), "copy to the host");
}

void DeviceMemory::fill_zero(void* start, std::size_t bytes) {
  check(cudaMemsetAsync(start, 0, bytes, stream_.handle()), "fill with zeros");
}

void DeviceMemory::synchronise() { check(cudaStreamSynchronize(stream_.handle()), "wait for the device"); }

void DeviceMemory::forget(void* start, std::size_t bytes) { note_handed_out(start, bytes); }

}  // namespace kernels::cuda
