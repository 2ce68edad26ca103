#include "kernels/core/context.h"

#include <sched.h>

#include <algorithm>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/core/parallel.h"
#include "kernels/core/tensor.h"
#include "kernels/cuda/operations.h"

namespace kernels {

// The workspace is a list of blocks used like a stack. When the outermost frame ends and there was more than one block,
// they become a single one of the same total, so a repeated step settles on one allocation.
struct Context::State {
  Device device;
  int threads = 1;
  std::shared_ptr<cuda::Session> session;
  std::shared_ptr<Memory> memory;
  std::vector<Tensor> blocks;
  std::size_t block = 0;   // the block that is being filled
  std::size_t offset = 0;  // bytes of it in use
  int open_frames = 0;

  std::size_t total_bytes() const {
    std::size_t total = 0;
    for (const Tensor& memory : blocks) total += memory.size_bytes();
    return total;
  }
};

namespace {

constexpr std::size_t kSmallestBlock = std::size_t{1} << 20;

Tensor make_block(std::size_t bytes, const std::shared_ptr<Memory>& memory) {
  return Tensor({static_cast<std::int64_t>(bytes)}, DataType::kUInt8, memory);
}

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace

Context::Context(std::unique_ptr<State> state) : state_(std::move(state)) {}
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;
Context::~Context() = default;

Context Context::cpu(int threads) {
  if (threads < 0) throw_invalid("context", "thread count " + std::to_string(threads) + " is negative");
  auto state = std::make_unique<State>();
  state->threads = threads == 0 ? available_cores() : threads;
  return Context(std::move(state));
}

Context Context::cuda(int index) {
  if constexpr (kCudaBuilt) {
    auto state = std::make_unique<State>();
    state->device = {DeviceType::kCuda, index};
    state->session = cuda::open_session(index);
    state->memory = cuda::memory_of(*state->session);
    return Context(std::move(state));
  }
  throw DeviceError("cuda:" + std::to_string(index) + ": this library was built without CUDA; use Context::cpu()");
}

Device Context::device() const { return state_->device; }
int Context::threads() const { return state_->threads; }
const std::shared_ptr<Memory>& Context::memory() const { return state_->memory; }

cuda::Session& Context::cuda_session() const {
  if (state_->session == nullptr) throw DeviceError("a CUDA operation was called on " + to_string(device()));
  return *state_->session;
}

void Context::synchronise() {
  if constexpr (kCudaBuilt) {
    if (state_->session != nullptr) cuda::synchronise(*state_->session);
  }
}
std::size_t Context::workspace_bytes() const { return state_->total_bytes(); }

std::vector<Tensor> Context::exchange_workspace(std::vector<Tensor> blocks) {
  if (state_->open_frames > 0) throw_invalid("context", "the workspace was exchanged while a frame uses it");
  state_->blocks.swap(blocks);
  state_->block = state_->offset = 0;
  return blocks;
}

ScratchFrame::ScratchFrame(Context& context)
    : context_(context), block_(context.state_->block), offset_(context.state_->offset) {
  ++context.state_->open_frames;
}

ScratchFrame::~ScratchFrame() {
  Context::State& state = *context_.state_;
  state.block = block_;
  state.offset = offset_;
  if (--state.open_frames > 0 || state.blocks.size() < 2) return;
  const std::size_t total = state.total_bytes();
  state.blocks.clear();
  state.block = state.offset = 0;
  try {
    state.blocks.push_back(make_block(total, state.memory));
  } catch (const std::exception&) {
    state.blocks.clear();  // no memory for it; the next frame starts with smaller blocks again
  }
}

std::byte* ScratchFrame::bytes(std::size_t count) {
  Context::State& state = *context_.state_;
  const std::size_t alignment = state.memory == nullptr ? 64 : 256;
  const std::size_t needed = (count + alignment - 1) / alignment * alignment;
  while (state.block < state.blocks.size() && state.offset + needed > state.blocks[state.block].size_bytes()) {
    ++state.block;
    state.offset = 0;
  }
  if (state.block == state.blocks.size())
    state.blocks.push_back(make_block(std::max(needed, kSmallestBlock), state.memory));
  std::byte* start = static_cast<std::byte*>(state.blocks[state.block].raw_data()) + state.offset;
  state.offset += needed;
  if (state.memory != nullptr) state.memory->forget(start, needed);
  return start;
}

}  // namespace kernels
