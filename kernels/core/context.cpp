#include "kernels/core/context.h"

#include <sched.h>

#include <algorithm>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/core/parallel.h"
#include "kernels/core/tensor.h"

namespace kernels {

// The workspace is a list of blocks used like a stack. When the outermost frame ends and there was more than one block,
// they become a single one of the same total, so a repeated step settles on one allocation.
struct Context::State {
  Device device;
  int threads = 1;
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

Tensor make_block(std::size_t bytes) { return Tensor({static_cast<std::int64_t>(bytes)}, DataType::kUInt8); }

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
  throw DeviceError("cuda:" + std::to_string(index) + ": this library was built without CUDA; use Context::cpu()");
}

Device Context::device() const { return state_->device; }
int Context::threads() const { return state_->threads; }
std::size_t Context::workspace_bytes() const { return state_->total_bytes(); }

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
    state.blocks.push_back(make_block(total));
  } catch (const std::bad_alloc&) {
    state.blocks.clear();  // the next frame starts with smaller blocks again
  }
}

std::byte* ScratchFrame::bytes(std::size_t count) {
  Context::State& state = *context_.state_;
  const std::size_t needed = (count + 63) / 64 * 64;
  while (state.block < state.blocks.size() && state.offset + needed > state.blocks[state.block].size_bytes()) {
    ++state.block;
    state.offset = 0;
  }
  if (state.block == state.blocks.size()) state.blocks.push_back(make_block(std::max(needed, kSmallestBlock)));
  auto* start = reinterpret_cast<std::byte*>(state.blocks[state.block].data<std::uint8_t>()) + state.offset;
  state.offset += needed;
  return start;
}

}  // namespace kernels
