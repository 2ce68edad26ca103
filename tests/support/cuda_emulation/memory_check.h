// What is known about every byte of emulated device memory: whether it was handed out and written, and who read and
// wrote it last in this launch. Every access of a kernel goes through check_access() (by the views), which refuses what
// is out of bounds, misaligned, not yet written, still on its way (cp.async), or in a race: two different threads, at
// least one of them writing, and nothing that orders them; two atomic operations are never a race.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/support/cuda_emulation/execution.h"

namespace cuda_emulation {

enum class MemorySpace { kGlobal, kShared };
enum class AccessKind { kRead, kWrite, kAtomic };

/// Who touched a place, and when; run 0 means nobody.
struct Access {
  std::uint32_t run = 0;
  std::uint32_t clock = 0;
  std::uint16_t thread = 0;
  std::uint16_t flags = 0;
};

/// The last write of a granule, and the last reads since by two different threads.
struct Cell {
  Access write, read, other_read;
};

/// The state of one allocation. Granules are of two bytes until something of one byte is touched.
class ShadowMemory {
 public:
  ShadowMemory(std::byte* start, std::size_t bytes, MemorySpace space);
  ~ShadowMemory();
  ShadowMemory(const ShadowMemory&) = delete;
  ShadowMemory& operator=(const ShadowMemory&) = delete;

  std::byte* start() const { return start_; }
  std::size_t bytes() const { return bytes_; }
  MemorySpace space() const { return space_; }

  /// Notes for the host's side: fresh contents, no contents, contents from the host. Global memory only.
  void hand_out(std::size_t offset, std::size_t bytes);
  void take_back(std::size_t offset, std::size_t bytes);
  void fill(std::size_t offset, std::size_t bytes);

  std::size_t granule() const { return granule_; }
  /// Splits the granules; of shared memory the first `kept_bytes` keep what is known of them.
  void split_granules(std::size_t kept_bytes);
  Cell& cell(std::size_t offset) { return cells_[offset / granule_]; }

  enum : std::uint8_t { kUnset = 0, kSet = 1, kTakenBack = 2 };
  std::uint8_t& state(std::size_t offset) { return states_[offset]; }

 private:
  std::byte* start_;
  std::size_t bytes_;
  MemorySpace space_;
  std::size_t granule_ = 2;
  Cell* cells_ = nullptr;
  std::uint8_t* states_ = nullptr;  // one a byte
};

/// What a view shows: `count` elements from `data` on, in one allocation.
struct ViewData {
  std::byte* data = nullptr;
  std::int64_t count = 0;
  ShadowMemory* shadow = nullptr;
  int argument = 0;  // of the kernel, from 1; 0: not known
};

/// Refuses the access or notes it. `elements` consecutive ones from `index` on, moved in one piece.
void check_access(const ViewData& view, std::int64_t index, std::int64_t elements, std::size_t element_bytes,
                  AccessKind kind);

/// cp.async: announces the copy of `source_bytes` bytes (the rest zeros) to `target`, which may not be touched before
/// wait_for_copies().
void announce_copy(const ViewData& target, std::int64_t target_index, const ViewData& source, std::int64_t source_index,
                   std::size_t element_bytes, std::size_t bytes, std::size_t source_bytes);
void commit_copies();
/// Makes all copies of the running thread but those of its `pending` newest groups.
void wait_for_copies(std::size_t pending);

/// A view of global memory. Throws a Violation if the range is not inside one allocation (host memory, for example).
ViewData global_view(const void* data, std::int64_t count, std::size_t element_bytes);
/// A view of the running block's shared memory. Throws a Violation past the size the launch asked for.
ViewData shared_view(std::size_t offset, std::int64_t count, std::size_t element_bytes);

/// Starts a block: nothing in its shared memory is set.
void begin_block_memory(std::size_t shared_bytes);

// The host's allocations (runtime.cpp).
std::byte* allocate_global(std::size_t bytes);
/// False if it was no allocation.
bool free_global(void* start);
/// The allocation that holds this address, or null.
ShadowMemory* allocation_of(const void* address);
/// For an allocator above cudaMalloc: this part of it now belongs to somebody, or to nobody.
void hand_out(const void* start, std::size_t bytes);
void take_back(const void* start, std::size_t bytes);
/// The host wrote this range (copies, fills, library calls) or is about to read it; nothing happens for host memory.
void host_writes(const void* start, std::size_t bytes);
void host_reads(const void* start, std::size_t bytes, const char* what);

}  // namespace cuda_emulation
