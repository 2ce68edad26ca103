#include "tests/support/cuda_emulation/execution.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <numeric>
#include <unordered_map>

#include "kernels/core/random.h"
#include "tests/support/cuda_emulation/memory_check.h"

namespace cuda_emulation {
namespace {

struct Barrier {
  std::vector<Thread*> waiting;
  std::vector<Thread*> arrived;  // without waiting
  unsigned count = 0;
  Site site;
};

struct Publication {
  std::uint32_t run;
  KnowledgePtr knowledge;
};

struct Running {
  Launch launch;
  std::uint32_t run = 0;
  uint3 block;
  std::vector<Thread> threads;
  std::vector<Thread*> ready;
  std::array<Barrier, 16> barriers;
  int votes = 0;  // of the block, at all its voting barriers so far
  std::unordered_map<const void*, std::vector<Publication>> published;
  Thread* thread = nullptr;
  std::exception_ptr failure;
  kernels::Random random;
  std::uint64_t number = 0;  // among the launches of the program
};

thread_local Running* running = nullptr;
thread_local std::vector<std::unique_ptr<Fiber>> fibers;  // by thread of the block

std::mutex one_launch;
std::uint32_t last_run = 0;

std::uint64_t seed_from_environment() {
  const char* text = std::getenv("ANNEAL_EMULATION_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

struct Seeds {
  std::uint64_t first = seed_from_environment();
  std::uint64_t launches = 0;
};

Seeds& seeds() {
  static Seeds value;
  return value;
}

void learn_clocks(const Knowledge& source, Knowledge& target) {
  for (std::size_t t = 0; t < source.clocks.size(); ++t)
    target.clocks[t] = std::max(target.clocks[t], source.clocks[t]);
}

void learn_foreign(std::uint32_t run, const KnowledgePtr& source, Knowledge& target) {
  KnowledgePtr& here = target.foreign[run];
  if (here == nullptr || here == source) {
    here = source;
    return;
  }
  auto both = std::make_shared<Knowledge>(*here);
  learn_clocks(*source, *both);
  here = both;
}

// Members that met before share one object, so that merging is mostly one copy.
KnowledgePtr knowledge_of(std::span<Thread* const> members) {
  auto merged = std::make_shared<Knowledge>();
  merged->clocks.resize(running->threads.size());
  const Knowledge* before = nullptr;
  for (const Thread* member : members) {
    const Knowledge* known = member->known.get();
    if (known == nullptr || known == before) continue;
    before = known;
    learn_clocks(*known, *merged);
    for (const auto& [run, foreign] : known->foreign) learn_foreign(run, foreign, *merged);
  }
  for (const Thread* member : members)
    merged->clocks[member->linear] = std::max(merged->clocks[member->linear], member->clock);
  return merged;
}

void meet(std::span<Thread* const> members) {
  const KnowledgePtr known = knowledge_of(members);
  for (Thread* member : members) {
    member->known = known;
    ++member->clock;
  }
}

void wake(Thread& thread) {
  thread.waits_in = nullptr;
  running->ready.push_back(&thread);
}

// Gives the system thread to the scheduler until somebody wakes this one.
void sleep_in(const char* call, const Site& site) {
  Thread& me = *running->thread;
  me.waits_in = call;
  me.site = site;
  fibers[me.linear]->suspend();
}

Barrier& come_to_barrier(unsigned id, unsigned& count, const Site& site) {
  if (id >= running->barriers.size()) violate("barrier " + std::to_string(id) + " is not one of 16");
  const auto all = static_cast<unsigned>(running->threads.size());
  if (count == 0) count = all;
  if (count % kWarpSize != 0 && count != all)
    violate("a barrier of " + std::to_string(count) + " threads; it must be a multiple of 32");
  Barrier& barrier = running->barriers[id];
  if (barrier.waiting.empty() && barrier.arrived.empty()) {
    barrier.count = count;
    barrier.site = site;
  } else if (barrier.count != count) {
    violate("divergent barrier " + std::to_string(id) + ": " + std::to_string(count) + " threads are expected at " +
            to_string(site) + " but " + std::to_string(barrier.count) + " at " + to_string(barrier.site));
  } else if (id == 0 && (barrier.site.line() != site.line() || barrier.site.file_name() != site.file_name())) {
    violate("divergent barrier: this thread is at " + to_string(site) + " while others of its block wait at " +
            to_string(barrier.site));
  }
  return barrier;
}

void open_barrier(Barrier& barrier) {
  std::vector<Thread*> members = barrier.waiting;
  members.insert(members.end(), barrier.arrived.begin(), barrier.arrived.end());
  meet(members);
  for (Thread* member : barrier.waiting) {
    if (member != running->thread) wake(*member);
  }
  barrier.waiting.clear();
  barrier.arrived.clear();
}

// What is not ready and not finished can never go on.
[[noreturn]] void report_deadlock() {
  std::string text = "divergence or deadlock: no thread of the block can go on;";
  std::map<std::string, std::pair<unsigned, uint3>> waits;
  unsigned finished = 0;
  for (const Thread& thread : running->threads) {
    if (thread.finished) {
      ++finished;
      continue;
    }
    auto& [count, first] = waits[std::string(thread.waits_in) + " at " + to_string(thread.site)];
    if (count++ == 0) first = thread.index;
    running->thread = &running->threads[thread.linear];
  }
  for (const auto& [where, who] : waits) {
    text +=
        " " + std::to_string(who.first) + " wait in " + where + " (the first is thread " + to_string(who.second) + ");";
  }
  violate(text + " " + std::to_string(finished) + " have left the kernel");
}

void run_threads() {
  while (!running->ready.empty()) {
    const std::size_t pick = running->random.below(running->ready.size());
    Thread* next = running->ready[pick];
    running->ready[pick] = running->ready.back();
    running->ready.pop_back();
    running->thread = next;
    fibers[next->linear]->resume();
    if (running->failure) std::rethrow_exception(running->failure);
  }
  const auto left = [](const Thread& thread) { return !thread.finished; };
  if (std::any_of(running->threads.begin(), running->threads.end(), left)) report_deadlock();
}

void run_block(std::uint32_t block, const std::function<void()>& body) {
  const dim3 grid = running->launch.grid, shape = running->launch.block;
  running->run = ++last_run;
  running->block = {block % grid.x, block / grid.x % grid.y, block / grid.x / grid.y};
  running->barriers = {};
  running->votes = 0;
  running->ready.clear();
  running->threads.assign(std::size_t{shape.x} * shape.y * shape.z, Thread{});
  while (fibers.size() < running->threads.size()) fibers.push_back(std::make_unique<Fiber>());
  for (unsigned t = 0; t < running->threads.size(); ++t) {
    Thread& thread = running->threads[t];
    thread.index = {t % shape.x, t / shape.x % shape.y, t / shape.x / shape.y};
    thread.linear = t;
    thread.warp = t / kWarpSize;
    thread.lane = t % kWarpSize;
    fibers[t]->start(&body);
    running->ready.push_back(&thread);
  }
  begin_block_memory(running->launch.shared_bytes);
  run_threads();
}

std::vector<std::uint32_t> shuffled(std::uint32_t count, kernels::Random& random) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace

void run_grid(Launch launch, const std::function<void()>& kernel) {
  if (running != nullptr) violate("a kernel launches a kernel");
  const std::lock_guard<std::mutex> lock(one_launch);
  Running state;
  state.launch = std::move(launch);
  state.number = ++seeds().launches;
  state.random = kernels::Random(kernels::random_bits(seeds().first, state.number));
  state.launch.first_run = last_run + 1;
  state.launch.order = shuffled(state.launch.grid.x * state.launch.grid.y * state.launch.grid.z, state.random);
  running = &state;
  const std::function<void()> body = [&] {
    try {
      kernel();
      running->thread->finished = true;
    } catch (...) {
      running->failure = std::current_exception();
    }
  };
  try {
    for (const std::uint32_t block : state.launch.order) run_block(block, body);
  } catch (...) {
    running = nullptr;
    throw;
  }
  running = nullptr;
}

bool in_kernel() { return running != nullptr && running->thread != nullptr; }

Thread& current_thread() {
  if (!in_kernel()) throw Violation("device code runs outside of a kernel: device memory was touched by the host");
  return *running->thread;
}

const Launch& current_launch() {
  current_thread();
  return running->launch;
}

std::uint32_t current_run() { return running->run; }
uint3 current_block_index() { return running->block; }

uint3 block_index_of(std::uint32_t run) {
  const dim3 grid = running->launch.grid;
  const std::uint32_t block = running->launch.order[run - running->launch.first_run];
  return {block % grid.x, block / grid.x % grid.y, block / grid.x / grid.y};
}

bool is_known(std::uint32_t run, unsigned thread, std::uint32_t clock) {
  const Thread& me = *running->thread;
  if (run == running->run) return thread == me.linear || (me.known != nullptr && me.known->clocks[thread] >= clock);
  if (me.known == nullptr) return false;
  const auto found = me.known->foreign.find(run);
  return found != me.known->foreign.end() && found->second->clocks[thread] >= clock;
}

void exchange_knowledge(const void* address) {
  Thread& me = *running->thread;
  std::vector<Publication>& here = running->published[address];
  if (!here.empty()) {
    auto grown = std::make_shared<Knowledge>();
    if (me.known != nullptr) *grown = *me.known;
    grown->clocks.resize(running->threads.size());
    for (const Publication& publication : here) {
      if (publication.run == running->run) {
        learn_clocks(*publication.knowledge, *grown);
      } else {
        learn_foreign(publication.run, publication.knowledge, *grown);
      }
      for (const auto& [run, foreign] : publication.knowledge->foreign) learn_foreign(run, foreign, *grown);
    }
    me.known = grown;
  }
  if (!me.fenced) return;
  Thread* only[] = {&me};
  here.push_back({running->run, knowledge_of(only)});
  ++me.clock;
}

void barrier_wait(unsigned id, unsigned count, const Site& site) {
  Barrier& barrier = come_to_barrier(id, count, site);
  barrier.waiting.push_back(running->thread);
  if (barrier.waiting.size() + barrier.arrived.size() < count) {
    return sleep_in(id == 0 ? "__syncthreads" : "named_barrier_wait", site);
  }
  open_barrier(barrier);
  let_others_run();
}

int barrier_count(bool vote, const Site& site) {
  if (vote) ++running->votes;
  barrier_wait(0, 0, site);
  const int all = running->votes, counted = all - running->thread->votes_seen;
  running->thread->votes_seen = all;
  barrier_wait(0, 0, site);  // nobody votes again before all have read
  return counted;
}

void barrier_arrive(unsigned id, unsigned count, const Site& site) {
  Barrier& barrier = come_to_barrier(id, count, site);
  barrier.arrived.push_back(running->thread);
  if (barrier.waiting.size() + barrier.arrived.size() < count) return;
  open_barrier(barrier);
}

void warp_wait(const char* call, unsigned mask, const Site& site, void* payload, Exchange exchange,
               bool orders_memory) {
  Thread& me = *running->thread;
  if ((mask >> me.lane & 1u) == 0) violate(std::string(call) + ": the mask does not name the calling lane");
  me.mask = mask;
  me.payload = payload;
  const unsigned first = me.warp * kWarpSize;
  void* payloads[kWarpSize] = {};
  // No memory of its own: a thread that waits may be given up where it is.
  std::array<Thread*, kWarpSize> members;
  std::size_t count = 0;
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    if ((mask >> lane & 1u) == 0 || first + lane >= running->threads.size()) continue;
    Thread& other = running->threads[first + lane];
    const bool same =
        &other == &me || (other.waits_in != nullptr && std::string_view(other.waits_in) == call && other.mask == mask &&
                          other.site.line() == site.line() && other.site.column() == site.column() &&
                          other.site.file_name() == site.file_name());
    if (!same) return sleep_in(call, site);
    payloads[lane] = other.payload;
    members[count++] = &other;
  }
  if (exchange != nullptr) exchange(payloads, mask);
  if (orders_memory) meet({members.data(), count});
  for (std::size_t i = 0; i < count; ++i) {
    if (members[i] != &me) wake(*members[i]);
  }
  let_others_run();
}

void let_others_run() {
  Thread& me = *running->thread;
  running->ready.push_back(&me);
  fibers[me.linear]->suspend();
}

void violate(const std::string& what) {
  if (!in_kernel()) throw Violation(what);
  throw Violation("kernel '" + running->launch.kernel + "', block " + to_string(running->block) + ", thread " +
                  to_string(running->thread->index) + ": " + what + "; ANNEAL_EMULATION_SEED=" +
                  std::to_string(seeds().first) + ", launch " + std::to_string(running->number));
}

std::uint64_t first_seed() { return seeds().first; }
void set_seed(std::uint64_t seed) { seeds() = {seed, 0}; }

std::string to_string(const uint3& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

std::string to_string(const Site& site) {
  const std::string file = site.file_name();
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(site.line());
}

}  // namespace cuda_emulation
