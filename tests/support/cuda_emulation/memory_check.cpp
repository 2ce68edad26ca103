#include "tests/support/cuda_emulation/memory_check.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>

namespace cuda_emulation {
namespace {

constexpr std::uint16_t kAtomic = 1, kOnItsWay = 2;
constexpr std::size_t kMostSharedBytes = std::size_t{256} << 10;

// Zeros that take no memory before they are touched.
void* lazy_zeros(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

struct Allocation {
  std::unique_ptr<ShadowMemory> shadow;
};

std::mutex allocations_mutex;
std::map<const std::byte*, Allocation>& allocations() {
  static std::map<const std::byte*, Allocation> all;
  return all;
}

struct BlockMemory {
  std::byte* start = static_cast<std::byte*>(lazy_zeros(kMostSharedBytes));
  ShadowMemory shadow{start, kMostSharedBytes, MemorySpace::kShared};
  std::size_t bytes = 0;
  ~BlockMemory() { munmap(start, kMostSharedBytes); }
};

BlockMemory& block_memory() {
  thread_local BlockMemory memory;
  return memory;
}

const char* verb(AccessKind kind) {
  return kind == AccessKind::kRead ? "reads" : kind == AccessKind::kWrite ? "writes" : "updates";
}

// "element 5 of 64 (of 4 bytes) in shared memory".
std::string place(const ViewData& view, std::int64_t index, std::size_t element_bytes) {
  const bool shared = view.shadow != nullptr && view.shadow->space() == MemorySpace::kShared;
  std::string text = "element " + std::to_string(index) + " of " + std::to_string(view.count) + " (each " +
                     std::to_string(element_bytes) + " bytes) in " + (shared ? "shared" : "global") + " memory";
  if (view.argument > 0) text += " (argument " + std::to_string(view.argument) + ")";
  return text;
}

uint3 thread_index(unsigned linear) {
  const dim3 block = current_launch().block;
  return {linear % block.x, linear / block.x % block.y, linear / block.x / block.y};
}

// One access while it is checked, granule by granule.
struct Checked {
  const ViewData& view;
  std::int64_t index;
  std::size_t element_bytes;
  std::size_t begin;  // offset in the allocation
  AccessKind kind;
  const Thread& me;
  std::uint32_t run, first_run;
  bool on_its_way = false;  // cp.async announces its write

  std::string place_of(std::size_t offset) const {
    return place(view, index + static_cast<std::int64_t>((offset - begin) / element_bytes), element_bytes);
  }

  bool conflicts(const Access& other) const {
    if (other.run < first_run) return false;
    if (kind == AccessKind::kAtomic && (other.flags & kAtomic) != 0) return false;
    return !is_known(other.run, other.thread, other.clock);
  }

  [[noreturn]] void race(std::size_t offset, const Access& other, const char* did) const {
    violate("race: " + std::string(verb(kind)) + " " + place_of(offset) + ", which thread " +
            to_string(thread_index(other.thread)) + " of block " + to_string(block_index_of(other.run)) + " " + did +
            ", and no barrier orders the two");
  }

  Access mine() const {
    Access access{run, me.clock, static_cast<std::uint16_t>(me.linear), 0};
    if (kind == AccessKind::kAtomic) access.flags |= kAtomic;
    if (on_its_way) access.flags |= kOnItsWay;
    return access;
  }

  void check_set(std::size_t offset, const Cell& cell) const {
    const bool shared = view.shadow->space() == MemorySpace::kShared;
    const bool set = shared ? cell.write.run == run : view.shadow->state(offset) == ShadowMemory::kSet;
    if (set) return;
    if (!shared && view.shadow->state(offset) == ShadowMemory::kTakenBack)
      violate(std::string(verb(kind)) + " " + place_of(offset) + ", which was given back to the allocator");
    if (kind != AccessKind::kWrite) violate("uninitialised: reads " + place_of(offset) + ", which nobody wrote");
  }

  void read(std::size_t offset, Cell& cell) const {
    if (conflicts(cell.write)) race(offset, cell.write, (cell.write.flags & kAtomic) != 0 ? "updated" : "wrote");
    if (cell.read.run != run || cell.read.thread != me.linear) cell.other_read = cell.read;
    cell.read = mine();
  }

  void write(std::size_t offset, Cell& cell) const {
    if (conflicts(cell.write)) race(offset, cell.write, (cell.write.flags & kAtomic) != 0 ? "updated" : "wrote");
    if (conflicts(cell.read)) race(offset, cell.read, "read");
    if (conflicts(cell.other_read)) race(offset, cell.other_read, "read");
    cell.write = mine();
    cell.read = cell.other_read = {};
  }

  void check(std::size_t bytes) const {
    ShadowMemory& shadow = *view.shadow;
    const std::size_t step = shadow.granule();
    for (std::size_t offset = begin; offset < begin + bytes; offset += step) {
      Cell& cell = shadow.cell(offset);
      if (cell.write.run >= first_run && (cell.write.flags & kOnItsWay) != 0) {
        violate(std::string(verb(kind)) + " " + place_of(offset) + " before the cp.async that thread " +
                to_string(thread_index(cell.write.thread)) + " of block " + to_string(block_index_of(cell.write.run)) +
                " announced was waited for");
      }
      check_set(offset, cell);
      if (kind == AccessKind::kRead) {
        read(offset, cell);
      } else {
        write(offset, cell);
      }
    }
    if (kind == AccessKind::kRead || shadow.space() == MemorySpace::kShared) return;
    std::fill_n(&shadow.state(begin), bytes, static_cast<std::uint8_t>(ShadowMemory::kSet));
  }
};

// Bounds and alignment; the offset in the allocation.
std::size_t checked_offset(const ViewData& view, std::int64_t index, std::int64_t elements, std::size_t element_bytes,
                           AccessKind kind) {
  if (index < 0 || index + elements > view.count) {
    violate("out of bounds: " + std::string(verb(kind)) + " " +
            place(view, index < 0 || index >= view.count ? index : view.count, element_bytes) +
            (elements > 1 ? " as one of " + std::to_string(elements) + " from " + std::to_string(index) : ""));
  }
  const std::byte* address = view.data + static_cast<std::size_t>(index) * element_bytes;
  const std::size_t bytes = static_cast<std::size_t>(elements) * element_bytes;
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
    violate("misaligned: " + std::string(verb(kind)) + " " + std::to_string(elements) + " elements at once from " +
            place(view, index, element_bytes) + ", whose address is no multiple of " + std::to_string(bytes));
  }
  return static_cast<std::size_t>(address - view.shadow->start());
}

Checked checked(const ViewData& view, std::int64_t index, std::size_t element_bytes, std::size_t offset,
                AccessKind kind) {
  if (element_bytes == 1 && view.shadow->granule() != 1) view.shadow->split_granules(block_memory().bytes);
  // Shared memory is the block's own: what earlier blocks did to these bytes is nothing to it.
  const bool shared = view.shadow->space() == MemorySpace::kShared;
  const std::uint32_t run = current_run(), first_run = shared ? run : current_launch().first_run;
  return {view, index, element_bytes, offset, kind, current_thread(), run, first_run};
}

}  // namespace

ShadowMemory::ShadowMemory(std::byte* start, std::size_t bytes, MemorySpace space)
    : start_(start), bytes_(bytes), space_(space) {
  cells_ = static_cast<Cell*>(lazy_zeros((bytes + 1) / granule_ * sizeof(Cell) + sizeof(Cell)));
  states_ = static_cast<std::uint8_t*>(lazy_zeros(bytes + 1));
}

ShadowMemory::~ShadowMemory() {
  munmap(cells_, (bytes_ + 1) / granule_ * sizeof(Cell) + sizeof(Cell));
  munmap(states_, bytes_ + 1);
}

void ShadowMemory::split_granules(std::size_t kept_bytes) {
  auto* cells = static_cast<Cell*>(lazy_zeros((bytes_ + 1) * sizeof(Cell) + sizeof(Cell)));
  if (space_ == MemorySpace::kShared) {
    for (std::size_t offset = 0; offset < kept_bytes; ++offset) cells[offset] = cells_[offset / granule_];
  }
  munmap(cells_, (bytes_ + 1) / granule_ * sizeof(Cell) + sizeof(Cell));
  cells_ = cells;
  granule_ = 1;
}

void ShadowMemory::hand_out(std::size_t offset, std::size_t bytes) { std::memset(states_ + offset, kUnset, bytes); }
void ShadowMemory::take_back(std::size_t offset, std::size_t bytes) {
  std::memset(states_ + offset, kTakenBack, bytes);
}
void ShadowMemory::fill(std::size_t offset, std::size_t bytes) { std::memset(states_ + offset, kSet, bytes); }

void check_access(const ViewData& view, std::int64_t index, std::int64_t elements, std::size_t element_bytes,
                  AccessKind kind) {
  current_thread();
  const std::size_t offset = checked_offset(view, index, elements, element_bytes, kind);
  checked(view, index, element_bytes, offset, kind).check(static_cast<std::size_t>(elements) * element_bytes);
  if (kind == AccessKind::kAtomic) exchange_knowledge(view.shadow->start() + offset);
}

void announce_copy(const ViewData& target, std::int64_t target_index, const ViewData& source, std::int64_t source_index,
                   std::size_t element_bytes, std::size_t bytes, std::size_t source_bytes) {
  Thread& me = current_thread();
  if (bytes != 4 && bytes != 8 && bytes != 16) violate("cp.async moves 4, 8 or 16 bytes, not " + std::to_string(bytes));
  const auto elements = static_cast<std::int64_t>(bytes / element_bytes);
  const std::size_t offset = checked_offset(target, target_index, elements, element_bytes, AccessKind::kWrite);
  Checked write = checked(target, target_index, element_bytes, offset, AccessKind::kWrite);
  write.on_its_way = true;
  write.check(bytes);
  const std::byte* from = source.data;
  if (source_bytes > 0) {
    const std::size_t place_in_source =
        checked_offset(source, source_index, static_cast<std::int64_t>(source_bytes / element_bytes), element_bytes,
                       AccessKind::kRead);
    from = source.shadow->start() + place_in_source;
    if (reinterpret_cast<std::uintptr_t>(from) % bytes != 0)
      violate("misaligned: cp.async of " + std::to_string(bytes) + " bytes from " +
              place(source, source_index, element_bytes));
    checked(source, source_index, element_bytes, place_in_source, AccessKind::kRead).check(source_bytes);
  }
  std::byte* to = target.shadow->start() + offset;
  std::memset(to, 0xff, bytes);  // a NaN of every floating type, should it be read in spite of everything
  me.open_copies.push_back({to, from, bytes, source_bytes});
}

void commit_copies() {
  Thread& me = current_thread();
  me.copy_groups.push_back(std::move(me.open_copies));
  me.open_copies.clear();
}

void wait_for_copies(std::size_t pending) {
  Thread& me = current_thread();
  ShadowMemory& shadow = block_memory().shadow;
  for (; me.copy_groups.size() > pending; me.copy_groups.erase(me.copy_groups.begin())) {
    for (const AsyncCopy& copy : me.copy_groups.front()) {
      std::memcpy(copy.target, copy.source, copy.source_bytes);
      std::memset(copy.target + copy.source_bytes, 0, copy.bytes - copy.source_bytes);
      const auto begin = static_cast<std::size_t>(copy.target - shadow.start());
      for (std::size_t offset = begin; offset < begin + copy.bytes; offset += shadow.granule())
        shadow.cell(offset).write = {current_run(), me.clock, static_cast<std::uint16_t>(me.linear), 0};
    }
  }
}

ViewData global_view(const void* data, std::int64_t count, std::size_t element_bytes) {
  if (data == nullptr) {
    if (count > 0) violate("a view of " + std::to_string(count) + " elements has no memory");
    return {};
  }
  auto* start = static_cast<std::byte*>(const_cast<void*>(data));
  if (count <= 0) return {start, 0, nullptr, 0};
  ShadowMemory* shadow = allocation_of(data);
  if (shadow == nullptr) violate("a view is made of host memory; copy it to the device first");
  const auto offset = static_cast<std::size_t>(start - shadow->start());
  if (offset + static_cast<std::size_t>(count) * element_bytes > shadow->bytes()) {
    violate("a view of " + std::to_string(count) + " elements of " + std::to_string(element_bytes) +
            " bytes reaches past its allocation of " + std::to_string(shadow->bytes()) + " bytes");
  }
  return {start, count, shadow, 0};
}

ViewData shared_view(std::size_t offset, std::int64_t count, std::size_t element_bytes) {
  current_thread();
  BlockMemory& memory = block_memory();
  const std::size_t end = offset + static_cast<std::size_t>(count) * element_bytes;
  if (count < 0 || end > memory.bytes) {
    violate("out of bounds: a shared array of " + std::to_string(count) + " elements of " +
            std::to_string(element_bytes) + " bytes ends at byte " + std::to_string(end) + " of the " +
            std::to_string(memory.bytes) + " that the launch asked for");
  }
  return {memory.start + offset, count, &memory.shadow, 0};
}

void begin_block_memory(std::size_t shared_bytes) { block_memory().bytes = shared_bytes; }

std::byte* allocate_global(std::size_t bytes) {
  auto* start = static_cast<std::byte*>(lazy_zeros(bytes));
  const std::lock_guard<std::mutex> lock(allocations_mutex);
  allocations()[start] = {std::make_unique<ShadowMemory>(start, bytes, MemorySpace::kGlobal)};
  return start;
}

bool free_global(void* start) {
  const std::lock_guard<std::mutex> lock(allocations_mutex);
  const auto found = allocations().find(static_cast<std::byte*>(start));
  if (found == allocations().end()) return false;
  munmap(start, found->second.shadow->bytes());
  allocations().erase(found);
  return true;
}

ShadowMemory* allocation_of(const void* address) {
  const std::lock_guard<std::mutex> lock(allocations_mutex);
  const auto* place = static_cast<const std::byte*>(address);
  auto after = allocations().upper_bound(place);
  if (after == allocations().begin()) return nullptr;
  ShadowMemory* shadow = std::prev(after)->second.shadow.get();
  return place < shadow->start() + shadow->bytes() ? shadow : nullptr;
}

namespace {

std::size_t offset_in(const ShadowMemory& shadow, const void* start) {
  return static_cast<std::size_t>(static_cast<const std::byte*>(start) - shadow.start());
}

}  // namespace

void hand_out(const void* start, std::size_t bytes) {
  if (ShadowMemory* shadow = allocation_of(start)) shadow->hand_out(offset_in(*shadow, start), bytes);
}

void take_back(const void* start, std::size_t bytes) {
  if (ShadowMemory* shadow = allocation_of(start)) shadow->take_back(offset_in(*shadow, start), bytes);
}

void host_writes(const void* start, std::size_t bytes) {
  ShadowMemory* shadow = allocation_of(start);
  if (shadow == nullptr || bytes == 0) return;
  const std::size_t offset = offset_in(*shadow, start);
  if (offset + bytes > shadow->bytes())
    violate("a copy or fill of " + std::to_string(bytes) + " bytes reaches past its allocation of " +
            std::to_string(shadow->bytes()));
  shadow->fill(offset, bytes);
}

void host_reads(const void* start, std::size_t bytes, const char* what) {
  ShadowMemory* shadow = allocation_of(start);
  if (shadow == nullptr || bytes == 0) return;
  const std::size_t offset = offset_in(*shadow, start);
  if (offset + bytes > shadow->bytes())
    violate(std::string(what) + " of " + std::to_string(bytes) + " bytes reaches past its allocation of " +
            std::to_string(shadow->bytes()));
  for (std::size_t i = offset; i < offset + bytes; ++i) {
    if (shadow->state(i) == ShadowMemory::kSet) continue;
    violate(std::string(what) + " of " + std::to_string(bytes) + " bytes reads byte " + std::to_string(i - offset) +
            ", which nobody wrote");
  }
}

}  // namespace cuda_emulation
