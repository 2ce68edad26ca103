// How an emulated kernel runs. Blocks run one after another, in an order shuffled by a seed; the threads of a block are
// fibers, and whenever one of them waits, another one that can go on is drawn at random. Between two waits a thread is
// not interrupted; what an interruption could have done is found by memory_check.h, which asks here what a thread knows
// of another. One system thread runs a kernel at a time; launches from several are made to follow each other.
//
// The order of memory between threads is kept as vector clocks: a barrier or __syncwarp makes everything that its
// threads did before known to all of them. Shuffles and votes order nothing, as CUDA's manual says.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <source_location>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/cuda_emulation/fiber.h"
#include "tests/support/cuda_emulation/vector_types.h"

namespace cuda_emulation {

/// A kernel did what CUDA does not allow. The message names kernel, block, thread, what was touched, and the seed.
class Violation : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

using Site = std::source_location;
inline constexpr unsigned kWarpSize = 32;

/// What a thread knows: of every thread t of its block, all up to clock clocks[t]; of blocks that ran before in the
/// same launch, what they published by a fence and an atomic operation.
struct Knowledge {
  std::vector<std::uint32_t> clocks;
  std::map<std::uint32_t, std::shared_ptr<const Knowledge>> foreign;  // by run
};
using KnowledgePtr = std::shared_ptr<const Knowledge>;

/// A copy that cp.async announced and that is not made before the wait.
struct AsyncCopy {
  std::byte* target;
  const std::byte* source;
  std::size_t bytes, source_bytes;  // the rest is filled with zeros
};

struct Thread {
  uint3 index;
  unsigned linear = 0, warp = 0, lane = 0;
  std::uint32_t clock = 1;  // of its own actions; grows at every synchronisation
  KnowledgePtr known;       // null: nothing
  bool fenced = false;      // a __threadfence came before
  bool finished = false;
  int votes_seen = 0;  // of Running::votes
  // What it waits for: the call, its mask or barrier, and the caller's values.
  const char* waits_in = nullptr;
  Site site;
  unsigned mask = 0;
  void* payload = nullptr;
  std::vector<AsyncCopy> open_copies;
  std::vector<std::vector<AsyncCopy>> copy_groups;  // oldest first
};

struct Launch {
  std::string kernel;
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  std::uint32_t first_run = 0;       // blocks of this launch have runs from here on
  std::vector<std::uint32_t> order;  // the block that has run first_run + i
};

/// Runs `kernel` once for every thread of the grid. Throws the first Violation.
void run_grid(Launch launch, const std::function<void()>& kernel);

/// The thread that is running, its block and launch; a Violation outside of a kernel.
Thread& current_thread();
uint3 block_index_of(std::uint32_t run);
uint3 current_block_index();
std::uint32_t current_run();
const Launch& current_launch();
bool in_kernel();

/// True if everything thread `thread` of run `run` did up to `clock` is known to the running thread.
bool is_known(std::uint32_t run, unsigned thread, std::uint32_t clock);

/// An atomic operation on `address`: takes over what was published there and, after a fence, publishes.
void exchange_knowledge(const void* address);

/// Waits until `count` threads (0: the whole block) have come to barrier `id`; they must come from the same place.
void barrier_wait(unsigned id, unsigned count, const Site& site);
/// The same of barrier 0 for all threads of the block; how many of them said `vote`.
int barrier_count(bool vote, const Site& site);
/// Counts as having come, without waiting.
void barrier_arrive(unsigned id, unsigned count, const Site& site);

/// Called once, with the payloads of the lanes in `mask` (null for others), when all of them are in the same call.
using Exchange = void (*)(void* const payloads[kWarpSize], unsigned mask);

/// Waits until all lanes of `mask` are in the same call at the same place, then exchanges.
void warp_wait(const char* call, unsigned mask, const Site& site, void* payload, Exchange exchange, bool orders_memory);

/// Lets other threads run; for loops that wait for memory to change.
void let_others_run();

/// Throws a Violation "kernel 'k', block (..), thread (..): what; ANNEAL_EMULATION_SEED=n, launch m".
[[noreturn]] void violate(const std::string& what);

/// The seed that the launches of this program began with: ANNEAL_EMULATION_SEED, else 1. Every launch takes one more,
/// so that the same program with the same seed does the same.
std::uint64_t first_seed();
/// Begins again with this one.
void set_seed(std::uint64_t seed);

std::string to_string(const uint3& index);
std::string to_string(const Site& site);

}  // namespace cuda_emulation
