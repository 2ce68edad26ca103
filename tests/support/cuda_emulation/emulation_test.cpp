// The emulation finds what it promises to find: every kind of bug is planted here in a small kernel, beside the same
// kernel without it, and the message says which kernel, block, thread and element.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "kernels/core/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/tensor_core.h"
#include "tests/support/op_case.h"

namespace cuda_emulation {
namespace {

using kernels::Context;
using kernels::DataType;
using kernels::Tensor;
using kernels::cuda::copy_async;
using kernels::cuda::GlobalView;
using kernels::cuda::kAllLanes;
using kernels::cuda::LaunchShape;
using kernels::cuda::Session;
using kernels::cuda::SharedArray;
using kernels::cuda::SharedMemory;
using kernels::cuda::SharedPlan;
using kernels::cuda::view_of;

// A device, its session, and a tensor of 0, 1, 2, ... to play with.
struct Bench {
  Context context = Context::cuda(0);
  Session& session = context.cuda_session();
  Tensor numbers;

  explicit Bench(std::int64_t count = 64) {
    Tensor host({count});
    for (std::int64_t i = 0; i < count; ++i) host.data<float>()[i] = static_cast<float>(i);
    numbers = host.to(context);
  }
  GlobalView<float> view() { return view_of<float>(numbers); }
  std::vector<float> values() const {
    const Tensor host = numbers.to_host();
    return {host.values<float>().begin(), host.values<float>().end()};
  }
};

// `call` throws a Violation that holds all of these words; under every one of some seeds.
void expect_caught(const std::function<void()>& call, const std::vector<std::string>& words) {
  for (std::uint64_t planted = 1; planted <= 5; ++planted) {
    set_seed(planted);
    try {
      call();
      FAIL() << "nothing was caught with seed " << planted;
    } catch (const Violation& violation) {
      const std::string text = violation.what();
      for (const std::string& word : words) EXPECT_NE(text.find(word), std::string::npos) << word << " in: " << text;
      EXPECT_NE(text.find("ANNEAL_EMULATION_SEED=" + std::to_string(planted)), std::string::npos) << text;
    }
  }
}

const LaunchShape kTwoWarps{dim3(1), dim3(64), SharedPlan().array<float>(64).bytes()};

void reverse_kernel(GlobalView<float> x, bool with_barrier) {
  SharedMemory shared;
  const SharedArray<float> tile = shared.array<float>(64);
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = x.load(t);
  if (with_barrier) __syncthreads();
  x[t] = tile.load(63 - t);
}

TEST(CudaEmulation, AMissingBarrierIsARaceOrAnUnwrittenPlace) {
  Bench bench;
  launch(bench.session, "reverse", reverse_kernel, kTwoWarps, bench.view(), true);
  EXPECT_EQ(bench.values()[0], 63.0f);
  EXPECT_EQ(bench.values()[63], 0.0f);
  expect_caught([&] { launch(bench.session, "reverse", reverse_kernel, kTwoWarps, bench.view(), false); },
                {"kernel 'reverse'", "block (0, 0, 0)", "thread (", "element", "of 64", "shared memory"});
}

// Every thread of the second warp reads what the first one wrote.
void hand_over_kernel(GlobalView<float> x, bool with_barrier) {
  SharedMemory shared;
  const SharedArray<float> tile = shared.array<float>(64);
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = 0.0f;
  __syncthreads();
  if (t < 32) tile[t] = x.load(t);
  if (with_barrier) __syncthreads();
  if (t >= 32) x[t] = tile.load(t - 32);
}

TEST(CudaEmulation, ARaceInSharedMemoryNamesBothThreads) {
  Bench bench;
  launch(bench.session, "hand_over", hand_over_kernel, kTwoWarps, bench.view(), true);
  expect_caught([&] { launch(bench.session, "hand_over", hand_over_kernel, kTwoWarps, bench.view(), false); },
                {"race", "kernel 'hand_over'", "which thread (", "of block (0, 0, 0)", "no barrier orders"});
}

void shift_kernel(GlobalView<float> x, bool across_blocks) {
  const int t = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (across_blocks) {
    x[(t + 32) % 64] = static_cast<float>(t);
    x[t] += 1.0f;
  } else {
    x[t] = x.load(t) + 1.0f;
  }
}

TEST(CudaEmulation, ARaceInGlobalMemoryBetweenBlocksNamesBothBlocks) {
  Bench bench;
  launch(bench.session, "shift", shift_kernel, {dim3(2), dim3(32)}, bench.view(), false);
  EXPECT_EQ(bench.values()[5], 6.0f);
  expect_caught(
      [&] {
        launch(bench.session, "shift", shift_kernel, {dim3(2), dim3(32)}, bench.view(), true);
      },
      {"race", "kernel 'shift'", "global memory (argument 1)", "of block (", "no barrier orders"});
}

void sum_kernel(GlobalView<const float> x, GlobalView<float> total, bool atomic) {
  const int t = static_cast<int>(threadIdx.x);
  if (atomic) {
    total.atomic_add(0, x.load(t));
  } else {
    total[0] += x.load(t);
  }
}

TEST(CudaEmulation, AtomicOperationsAreNoRaceAndPlainUpdatesAre) {
  Bench bench;
  Tensor total = Tensor::zeros({1}, DataType::kFloat32, bench.context);
  launch(bench.session, "sum", sum_kernel, {dim3(1), dim3(64)}, bench.view(), view_of<float>(total), true);
  EXPECT_EQ(total.to_host().data<float>()[0], 63.0f * 32.0f);
  expect_caught(
      [&] {
        launch(bench.session, "sum", sum_kernel, {dim3(1), dim3(64)}, bench.view(), view_of<float>(total), false);
      },
      {"race", "element 0 of 1", "argument 2"});
}

// The block that comes last adds up what all blocks left, the usual way to finish in one launch.
void last_block_kernel(GlobalView<float> partial, GlobalView<std::int32_t> arrived, GlobalView<float> total,
                       bool with_fence) {
  if (threadIdx.x != 0) return;
  partial[blockIdx.x] = static_cast<float>(blockIdx.x + 1);
  if (with_fence) __threadfence();
  if (arrived.atomic_add(0, 1) + 1 != static_cast<int>(gridDim.x)) return;
  float sum = 0.0f;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += partial.load(b);
  total[0] = sum;
}

TEST(CudaEmulation, AFenceAndAnAtomicPublishToOtherBlocksAndTheAtomicAloneDoesNot) {
  Bench bench;
  for (const bool with_fence : {true, false}) {
    const auto run = [&] {
      Tensor partial({5}, DataType::kFloat32, bench.context), total({1}, DataType::kFloat32, bench.context);
      Tensor arrived = Tensor::zeros({1}, DataType::kInt32, bench.context);
      launch(bench.session, "last_block", last_block_kernel, {dim3(5), dim3(32)}, view_of<float>(partial),
             view_of<std::int32_t>(arrived), view_of<float>(total), with_fence);
      EXPECT_EQ(total.to_host().data<float>()[0], 15.0f);
    };
    if (with_fence) {
      run();
    } else {
      expect_caught(run, {"race", "kernel 'last_block'"});
    }
  }
}

void warp_exchange_kernel(GlobalView<float> x, int how) {
  SharedMemory shared;
  const SharedArray<float> tile = shared.array<float>(64);
  const int t = static_cast<int>(threadIdx.x);
  tile[t] = x.load(t);
  float ignored = 0.0f;
  if (how == 0) __syncwarp();
  if (how == 1) ignored = __shfl_xor_sync(kAllLanes, 1.0f, 1);
  x[t] = tile.load(t ^ 1) + 0.0f * ignored;
}

TEST(CudaEmulation, SyncwarpOrdersTheMemoryOfAWarpAndAShuffleDoesNot) {
  Bench bench;
  launch(bench.session, "warp_exchange", warp_exchange_kernel, kTwoWarps, bench.view(), 0);
  EXPECT_EQ(bench.values()[4], 5.0f);
  expect_caught([&] { launch(bench.session, "warp_exchange", warp_exchange_kernel, kTwoWarps, bench.view(), 1); },
                {"race", "kernel 'warp_exchange'"});
}

void add_one_kernel(GlobalView<float> x, std::int64_t count, bool off_by_one) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (off_by_one ? i > count : i >= count) return;
  x[i] = x.load(i) + 1.0f;
}

TEST(CudaEmulation, AnOffByOneBoundReadsPastTheTensorThoughTheMemoryGoesOn) {
  Bench bench(40);
  const Tensor beside({100}, DataType::kFloat32, bench.context);
  launch(bench.session, "add_one", add_one_kernel, {dim3(2), dim3(32)}, bench.view(), 40, false);
  EXPECT_EQ(bench.values()[39], 40.0f);
  expect_caught(
      [&] {
        launch(bench.session, "add_one", add_one_kernel, {dim3(2), dim3(32)}, bench.view(), 40, true);
      },
      {"out of bounds", "reads element 40 of 40", "block (1, 0, 0), thread (8, 0, 0)", "argument 1"});
}

void shared_overrun_kernel(int index) {
  SharedMemory shared;
  const SharedArray<float> first = shared.array<float>(32), second = shared.array<float>(32);
  second[threadIdx.x] = 0.0f;
  if (threadIdx.x == 0) first[index] = 1.0f;
}

TEST(CudaEmulation, ASharedArrayEndsWhereItWasSaidToThoughAnotherFollows) {
  Bench bench;
  const LaunchShape shape{dim3(1), dim3(32), SharedPlan().array<float>(32).array<float>(32).bytes()};
  launch(bench.session, "overrun", shared_overrun_kernel, shape, 31);
  expect_caught([&] { launch(bench.session, "overrun", shared_overrun_kernel, shape, 32); },
                {"out of bounds", "writes element 32 of 32", "shared memory"});
  expect_caught([&] { launch(bench.session, "overrun", shared_overrun_kernel, shape, -1); }, {"element -1 of 32"});
  const LaunchShape too_small{dim3(1), dim3(32), 255};
  expect_caught([&] { launch(bench.session, "overrun", shared_overrun_kernel, too_small, 0); },
                {"shared array of 32 elements", "byte 256 of the 255"});
}

void unwritten_kernel(GlobalView<float> x, bool writes) {
  SharedMemory shared;
  const SharedArray<float> tile = shared.array<float>(64);
  if (writes) tile[threadIdx.x] = 2.0f;
  x[threadIdx.x] = tile.load(threadIdx.x);
}

TEST(CudaEmulation, SharedMemoryThatNobodyWroteInThisBlockIsNotRead) {
  Bench bench;
  launch(bench.session, "unwritten", unwritten_kernel, kTwoWarps, bench.view(), true);
  // The block before left values there; they are not this block's.
  expect_caught([&] { launch(bench.session, "unwritten", unwritten_kernel, kTwoWarps, bench.view(), false); },
                {"uninitialised", "element", "shared memory", "nobody wrote"});
}

TEST(CudaEmulation, GlobalMemoryThatNobodyWroteOrThatWasGivenBackIsNotRead) {
  Bench bench;
  expect_caught(
      [&] {
        Tensor fresh({64}, DataType::kFloat32, bench.context);
        launch(bench.session, "add_one", add_one_kernel, {dim3(2), dim3(32)}, view_of<float>(fresh), 64, false);
      },
      {"uninitialised", "global memory", "nobody wrote"});
  expect_caught(
      [&] {
        GlobalView<float> late;
        {
          Tensor gone = Tensor::zeros({64}, DataType::kFloat32, bench.context);
          late = view_of<float>(gone);
        }
        launch(bench.session, "add_one", add_one_kernel, {dim3(2), dim3(32)}, late, 64, false);
      },
      {"given back to the allocator"});
}

TEST(CudaEmulation, HostMemoryIsNotGivenToAKernel) {
  Bench bench;
  Tensor host({4});
  EXPECT_THROW(view_of<float>(host), Violation);
  EXPECT_THROW(bench.view().load(0), Violation);  // nor device memory to the host
}

void vector_kernel(GlobalView<float> x, int from) {
  if (threadIdx.x == 0) x.store(from, x.load<4>(from));
}

TEST(CudaEmulation, AVectorAccessMustBeAligned) {
  Bench bench;
  launch(bench.session, "vector", vector_kernel, {dim3(1), dim3(32)}, bench.view(), 8);
  expect_caught(
      [&] {
        launch(bench.session, "vector", vector_kernel, {dim3(1), dim3(32)}, bench.view(), 6);
      },
      {"misaligned", "4 elements at once from element 6", "multiple of 16"});
  expect_caught(
      [&] {
        launch(bench.session, "vector", vector_kernel, {dim3(1), dim3(32)}, bench.view(), 64);
      },
      {"out of bounds", "element 64 of 64"});
}

// Two groups in flight; `right` waits for the one that is read, else for the one before it.
void pipeline_kernel(GlobalView<const float> x, GlobalView<float> y, bool right, bool with_barrier) {
  SharedMemory shared;
  const SharedArray<float> tile = shared.array<float>(256);
  const int t = static_cast<int>(threadIdx.x);
  copy_async<16>(tile, 4 * t, x, 4 * t);
  kernels::cuda::commit_copies();
  if (t < 16) copy_async<16>(tile, 128 + 4 * t, x, 4 * t, 2);
  kernels::cuda::commit_copies();
  if (right) {
    kernels::cuda::wait_for_copies<0>();
  } else {
    kernels::cuda::wait_for_copies<1>();
  }
  if (with_barrier) __syncthreads();
  for (int i = 0; i < 4; ++i) y[4 * t + i] = tile.load(4 * (31 - t) + i) + tile.load(128 + t);
}

TEST(CudaEmulation, AsyncCopiesArriveAtTheirWaitAndAreSeenByOthersAfterABarrier) {
  Bench bench(128);
  const LaunchShape shape{dim3(1), dim3(32), SharedPlan().array<float>(256).bytes()};
  const auto run = [&](bool right, bool with_barrier) {
    Tensor y({128}, DataType::kFloat32, bench.context);
    launch(bench.session, "pipeline", pipeline_kernel, shape, bench.view(), view_of<float>(y), right, with_barrier);
    const Tensor host = y.to_host();
    EXPECT_EQ(host.data<float>()[0], 124.0f + 0.0f);
    EXPECT_EQ(host.data<float>()[5], 121.0f + 1.0f);
    EXPECT_EQ(host.data<float>()[8], 116.0f + 0.0f);  // the rest of a short copy is zero
  };
  run(true, true);
  expect_caught([&] { run(false, true); }, {"before the cp.async", "announced was waited for", "shared memory"});
  expect_caught([&] { run(true, false); }, {"kernel 'pipeline'", "shared memory"});
}

void barrier_kernel(GlobalView<float> x, int how) {
  const int t = static_cast<int>(threadIdx.x);
  if (how == 0) __syncthreads();
  if (how == 1 && t < 16) __syncthreads();
  if (how == 2) {
    if (t < 32) {
      __syncthreads();
    } else {
      __syncthreads();
    }
  }
  if (how == 3 && t == 40) return;
  if (how == 3) __syncthreads();
  if (how == 4 && t < 32) kernels::cuda::named_barrier_wait(1, 64);
  if (how == 5) {
    if (t < 32) {
      kernels::cuda::named_barrier_arrive(1, 64);
    } else {
      kernels::cuda::named_barrier_wait(1, 64);
    }
  }
  x[t] = 1.0f;
}

TEST(CudaEmulation, BarriersThatNotAllThreadsReachAreReportedWithWhoWaitsWhere) {
  Bench bench;
  const auto run = [&](int how) {
    launch(bench.session, "barrier", barrier_kernel, {dim3(1), dim3(64)}, bench.view(), how);
  };
  run(0);
  run(5);
  expect_caught([&] { run(1); }, {"divergence or deadlock", "16 wait in __syncthreads at emulation_test.cpp",
                                  "48 have left the kernel"});
  expect_caught([&] { run(2); }, {"divergent barrier", "emulation_test.cpp"});
  expect_caught([&] { run(3); }, {"63 wait in __syncthreads", "1 have left the kernel"});
  expect_caught([&] { run(4); }, {"32 wait in named_barrier_wait"});
}

void lanes_kernel(GlobalView<float> x, int how) {
  const int t = static_cast<int>(threadIdx.x);
  float value = static_cast<float>(t);
  if (how == 0) value = __shfl_sync(kAllLanes, value, 3);
  if (how == 1) value = __shfl_sync(0xffffu, value, 3);                   // lane 16 is not in its own mask
  if (how == 2 && t < 16) value = __shfl_sync(0xffffu, value, 20);        // reads a lane outside of the mask
  if (how == 3 && t < 16) value = __shfl_down_sync(kAllLanes, value, 1);  // half of the mask never comes
  x[t] = value;
}

TEST(CudaEmulation, ShufflesHoldTheirMaskAgainstWhoComes) {
  Bench bench;
  const auto run = [&](int how) {
    launch(bench.session, "lanes", lanes_kernel, {dim3(1), dim3(32)}, bench.view(), how);
  };
  run(0);
  EXPECT_EQ(bench.values()[31], 3.0f);
  expect_caught([&] { run(1); }, {"__shfl_sync", "does not name the calling lane"});
  expect_caught([&] { run(2); }, {"reads lane 20", "not in the mask"});
  expect_caught([&] { run(3); }, {"16 wait in __shfl_down_sync"});
}

void votes_kernel(GlobalView<std::int32_t> found) {
  const int t = static_cast<int>(threadIdx.x);
  const unsigned odd = __ballot_sync(kAllLanes, t % 2);
  const int any = __any_sync(kAllLanes, t == 7), all = __all_sync(kAllLanes, t < 31);
  const unsigned sum = __reduce_add_sync(kAllLanes, static_cast<unsigned>(t));
  const unsigned most = __reduce_max_sync(kAllLanes, static_cast<unsigned>(t));
  const int up = __shfl_up_sync(kAllLanes, t, 2), within = __shfl_down_sync(kAllLanes, t, 3, 8);
  if (t != 6) return;
  found[0] = static_cast<std::int32_t>(odd);
  found[1] = any;
  found[2] = all;
  found[3] = static_cast<std::int32_t>(sum);
  found[4] = static_cast<std::int32_t>(most);
  found[5] = up;
  found[6] = within;  // 9 is in the next group of 8: it keeps its own
}

TEST(CudaEmulation, VotesAndReductionsGiveWhatTheManualSays) {
  Bench bench;
  Tensor found({7}, DataType::kInt32, bench.context);
  launch(bench.session, "votes", votes_kernel, {dim3(1), dim3(32)}, view_of<std::int32_t>(found));
  const Tensor host = found.to_host();
  const std::vector<std::int32_t> values(host.values<std::int32_t>().begin(), host.values<std::int32_t>().end());
  EXPECT_EQ(values, (std::vector<std::int32_t>{static_cast<std::int32_t>(0xaaaaaaaau), 1, 0, 496, 31, 4, 6}));
}

void voting_barriers_kernel(GlobalView<std::int32_t> found) {
  const int t = static_cast<int>(threadIdx.x);
  for (int round = 0; round < 3; ++round) {
    const int count = __syncthreads_count(t > 10 * round), any = __syncthreads_or(t == round);
    const int all = __syncthreads_and(t < 64 - round);
    if (t == 5) {
      found[3 * round] = count;
      found[3 * round + 1] = any;
      found[3 * round + 2] = all;
    }
  }
}

TEST(CudaEmulation, VotingBarriersCountTheWholeBlock) {
  Bench bench;
  Tensor found({9}, DataType::kInt32, bench.context);
  launch(bench.session, "voting_barriers", voting_barriers_kernel, {dim3(1), dim3(64)}, view_of<std::int32_t>(found));
  const Tensor host = found.to_host();
  const std::vector<std::int32_t> values(host.values<std::int32_t>().begin(), host.values<std::int32_t>().end());
  EXPECT_EQ(values, (std::vector<std::int32_t>{63, 1, 1, 53, 1, 0, 43, 1, 0}));
}

void order_kernel(GlobalView<std::int32_t> next, GlobalView<std::int32_t> order) {
  order[next.atomic_add(0, 1)] = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
}

TEST(CudaEmulation, BlocksAndThreadsRunInAnOrderThatOnlyTheSeedDecides) {
  Bench bench;
  std::set<std::vector<std::int32_t>> orders;
  for (const std::uint64_t planted : {1, 2, 3, 1}) {
    Tensor next = Tensor::zeros({1}, DataType::kInt32, bench.context), order({96}, DataType::kInt32, bench.context);
    set_seed(planted);
    launch(bench.session, "order", order_kernel, {dim3(3), dim3(32)}, view_of<std::int32_t>(next),
           view_of<std::int32_t>(order));
    const Tensor host = order.to_host();
    orders.emplace(host.values<std::int32_t>().begin(), host.values<std::int32_t>().end());
  }
  EXPECT_EQ(orders.size(), 3u);
}

void index_kernel(GlobalView<std::int32_t> seen) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  seen[block * 24 + thread] = 1;
}

TEST(CudaEmulation, GridsAndBlocksHaveThreeDimensions) {
  Bench bench;
  Tensor seen = Tensor::zeros({12 * 24}, DataType::kInt32, bench.context);
  launch(bench.session, "index", index_kernel, {dim3(2, 3, 2), dim3(4, 3, 2)}, view_of<std::int32_t>(seen));
  const Tensor host = seen.to_host();
  for (const std::int32_t value : host.values<std::int32_t>()) EXPECT_EQ(value, 1);
}

void bytes_kernel(GlobalView<std::uint8_t> x, bool neighbours) {
  const int t = static_cast<int>(threadIdx.x);
  x[t] = static_cast<std::uint8_t>(t);
  if (neighbours) x[t ^ 1] = 0;
}

TEST(CudaEmulation, NeighbouringBytesAreNoRaceAndTheSameByteIs) {
  Bench bench;
  Tensor bytes({64}, DataType::kUInt8, bench.context);
  launch(bench.session, "bytes", bytes_kernel, {dim3(1), dim3(64)}, view_of<std::uint8_t>(bytes), false);
  EXPECT_EQ(bytes.to_host().data<std::uint8_t>()[63], 63);
  expect_caught(
      [&] {
        launch(bench.session, "bytes", bytes_kernel, {dim3(1), dim3(64)}, view_of<std::uint8_t>(bytes), true);
      },
      {"race", "each 1 bytes"});
}

TEST(CudaEmulation, ALaunchThatTheDeviceCannotRunNamesKernelShapeAndDevice) {
  Bench bench;
  try {
    launch(bench.session, "lanes", lanes_kernel, {dim3(1), dim3(2048)}, bench.view(), 0);
    FAIL();
  } catch (const kernels::DeviceError& error) {
    const std::string text = error.what();
    for (const char* word :
         {"lanes", "cuda:0 (emulated device)", "block [2048, 1, 1]", "cudaErrorInvalidConfiguration"})
      EXPECT_NE(text.find(word), std::string::npos) << text;
  }
  const std::size_t too_much = (99u << 10) + 1;
  EXPECT_THROW(launch(bench.session, "lanes", lanes_kernel, {dim3(1), dim3(32), too_much}, bench.view(), 0),
               kernels::DeviceError);
}

}  // namespace
}  // namespace cuda_emulation
