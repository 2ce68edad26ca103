// The building blocks of kernels (reductions, tensor cores, asynchronous copies, arena, faults), on a real device and
// on the emulated one alike.
#include <gtest/gtest.h>

#include "kernels/core/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/tensor_core.h"
#include "tests/support/op_case.h"

namespace kernels::cuda {
namespace {

using test_support::Doubles;
using test_support::expect_close;
using test_support::random_tensor;
using test_support::to_doubles;

__global__ void reductions_kernel(GlobalView<const float> x, GlobalView<float> found) {
  SharedMemory shared;
  const SharedArray<float> scratch = shared.array<float>(kWarpThreads);
  const float value = x.load(threadIdx.x);
  const float sum = block_sum(value, scratch), largest = block_max(value, scratch);
  const float of_warp = warp_sum(value);
  found[threadIdx.x] = sum;
  found[blockDim.x + threadIdx.x] = largest;
  found[2 * blockDim.x + threadIdx.x] = of_warp;
}

TEST(BuildingBlocks, ReductionsReachEveryThread) {
  Context context = Context::cuda(0);
  for (const unsigned threads : {32u, 96u, 1024u}) {
    const Tensor x = random_tensor({threads}, 1);
    Tensor found({3 * threads}, DataType::kFloat32, context);
    launch(context.cuda_session(), "reductions", reductions_kernel,
           {dim3(1), dim3(threads), SharedPlan().array<float>(kWarpThreads).bytes()}, view_of<float>(x.to(context)),
           view_of<float>(found));
    const Doubles values = to_doubles(x), got = to_doubles(found);
    double sum = 0.0, largest = values[0], of_first_warp = 0.0;
    for (std::size_t i = 0; i < threads; ++i) {
      sum += values[i];
      largest = std::max(largest, values[i]);
      if (i < 32) of_first_warp += values[i];
    }
    for (std::size_t i = 0; i < threads; ++i) {
      EXPECT_NEAR(got[i], sum, 1e-4);
      EXPECT_EQ(got[threads + i], largest);
    }
    EXPECT_NEAR(got[2 * threads], of_first_warp, 1e-5);
  }
}

// c = a b for one 16x16 by 16x8, a row-major; b as [k, n] (loaded transposed) or as [n, k].
template <typename T>
__global__ void product_kernel(GlobalView<const T> a, GlobalView<const T> b, GlobalView<float> c,
                               bool b_is_transposed) {
  SharedMemory shared;
  const SharedArray<T> a_tile = shared.array<T>(16 * 16), b_tile = shared.array<T>(16 * 8);
  const int lane = static_cast<int>(threadIdx.x);
  copy_async<16>(a_tile, 8 * lane, a, 8 * lane);
  if (lane < 16) copy_async<16>(b_tile, 8 * lane, b, 8 * lane);
  commit_copies();
  wait_for_copies<0>();
  __syncwarp();
  std::uint32_t a_part[4], b_part[2];
  ldmatrix(a_part, a_tile, lane % 16 * 16 + lane / 16 * 8);
  if (b_is_transposed) {
    ldmatrix(b_part, b_tile, lane % 8 * 16 + lane / 8 % 2 * 8);
  } else {
    ldmatrix<true>(b_part, b_tile, lane % 16 * 8);
  }
  float sums[4] = {};
  mma_m16n8k16<T>(sums, a_part, b_part, sums);
  const int row = lane / 4, column = lane % 4 * 2;
  for (int i = 0; i < 4; ++i) c[(row + i / 2 * 8) * 8 + column + i % 2] = sums[i];
}

template <typename T>
void check_product(bool b_is_transposed) {
  Context context = Context::cuda(0);
  constexpr DataType kType = data_type_of<T>();
  const Tensor a = random_tensor({16, 16}, 1).cast_to(kType);
  const Tensor b = random_tensor(b_is_transposed ? Shape{8, 16} : Shape{16, 8}, 2).cast_to(kType);
  Tensor c({16, 8}, DataType::kFloat32, context);
  launch(context.cuda_session(), "product", product_kernel<T>,
         {dim3(1), dim3(32), SharedPlan().array<T>(16 * 16).template array<T>(16 * 8).bytes()},
         view_of<T>(a.to(context)), view_of<T>(b.to(context)), view_of<float>(c), b_is_transposed);
  const Doubles left = to_doubles(a), right = to_doubles(b);
  Doubles expected(128);
  for (std::size_t i = 0; i < 128; ++i) {
    for (std::size_t k = 0; k < 16; ++k)
      expected[i] += left[i / 8 * 16 + k] * (b_is_transposed ? right[i % 8 * 16 + k] : right[k * 8 + i % 8]);
  }
  expect_close(to_doubles(c), expected, 1e-6, "c");
}

TEST(BuildingBlocks, TensorCoreProductsOfLoadedMatricesAreProducts) {
  for (const bool b_is_transposed : {false, true}) {
    check_product<BFloat16>(b_is_transposed);
    check_product<Float16>(b_is_transposed);
  }
}

// Registers by ldmatrix of 1, 2 and 4 matrices, each plain and transposed: 14 words a lane.
__global__ void ldmatrix_kernel(GlobalView<const BFloat16> x, GlobalView<std::int32_t> words) {
  SharedMemory shared;
  const SharedArray<BFloat16> tile = shared.array<BFloat16>(256);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 256; i += 32) tile[i] = x.load(i);
  __syncwarp();
  std::uint32_t one[1], two[2], four[4], one_t[1], two_t[2], four_t[4];
  ldmatrix(one, tile, 8 * lane);
  ldmatrix(two, tile, 8 * lane);
  ldmatrix(four, tile, 8 * lane);
  ldmatrix<true>(one_t, tile, 8 * lane);
  ldmatrix<true>(two_t, tile, 8 * lane);
  ldmatrix<true>(four_t, tile, 8 * lane);
  const std::uint32_t all[14] = {one[0],   two[0],   two[1],   four[0],   four[1],   four[2],   four[3],
                                 one_t[0], two_t[0], two_t[1], four_t[0], four_t[1], four_t[2], four_t[3]};
  for (int i = 0; i < 14; ++i) words[14 * lane + i] = static_cast<std::int32_t>(all[i]);
}

TEST(BuildingBlocks, LdmatrixHandsOutRowsOrColumnsOfEachMatrix) {
  Context context = Context::cuda(0);
  std::vector<BFloat16> numbers;
  for (std::uint16_t i = 0; i < 256; ++i) numbers.push_back({i});
  Tensor words({14 * 32}, DataType::kInt32, context);
  launch(context.cuda_session(), "ldmatrix", ldmatrix_kernel,
         {dim3(1), dim3(32), SharedPlan().array<BFloat16>(256).bytes()},
         view_of<BFloat16>(Tensor::from(numbers).to(context)), view_of<std::int32_t>(words));
  const Tensor host = words.to_host();
  const int matrices[14] = {0, 0, 1, 0, 1, 2, 3, 0, 0, 1, 0, 1, 2, 3};
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 14; ++i) {
      const int row = lane / 4, pair = lane % 4 * 2, base = 64 * matrices[i];
      const int low = i < 7 ? base + 8 * row + pair : base + 8 * pair + row;
      const int high = i < 7 ? low + 1 : low + 8;
      EXPECT_EQ(host.data<std::int32_t>()[14 * lane + i], low | high << 16) << "lane " << lane << " word " << i;
    }
  }
}

__global__ void numbers_kernel(GlobalView<const float> x, GlobalView<BFloat16> narrow_b, GlobalView<Float16> narrow_h,
                               GlobalView<float> back) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const float value = x.load(i);
  narrow_b[i] = narrow<BFloat16>(value);
  narrow_h[i] = narrow<Float16>(value);
  back[i] = widen(narrow<BFloat16>(value)) + widen(narrow<Float16>(value));
}

TEST(BuildingBlocks, NumbersAreRoundedAsTheHostRoundsThem) {
  Context context = Context::cuda(0);
  Tensor x({1024});
  for (std::int64_t i = 0; i < 1024; ++i)
    x.data<float>()[i] = std::bit_cast<float>(static_cast<std::uint32_t>(0x30000000 + i * 98317));
  x.data<float>()[0] = 65520.0f;  // the first that float16 does not hold
  x.data<float>()[1] = 1e-7f;
  x.data<float>()[2] = -3.3895e38f;
  Tensor b({1024}, DataType::kBFloat16, context), h({1024}, DataType::kFloat16, context);
  Tensor back({1024}, DataType::kFloat32, context);
  launch(context.cuda_session(), "numbers", numbers_kernel, {dim3(4), dim3(256)}, view_of<float>(x.to(context)),
         view_of<BFloat16>(b), view_of<Float16>(h), view_of<float>(back));
  EXPECT_TRUE(test_support::same_bits(b, x.cast_to(DataType::kBFloat16)));
  EXPECT_TRUE(test_support::same_bits(h, x.cast_to(DataType::kFloat16)));
}

TEST(DeviceMemories, PiecesAreUsedAgainAndJoined) {
  Context context = Context::cuda(0);
  const auto memory = context.cuda_session().memory();
  const std::size_t before = memory->statistics().in_use_bytes;
  std::byte* first = memory->allocate(1000);
  std::byte* second = memory->allocate(3000);
  std::byte* third = memory->allocate(512);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % 256, 0u);
  EXPECT_EQ(memory->statistics().in_use_bytes, before + 1024 + 3072 + 512);
  memory->release(first);
  memory->release(second);
  EXPECT_EQ(memory->allocate(4096), first);  // both as one
  memory->release(first);
  memory->release(third);
  EXPECT_EQ(memory->statistics().in_use_bytes, before);
  EXPECT_GE(memory->statistics().peak_bytes, before + 1024 + 3072 + 512);
  const std::size_t reserved = memory->statistics().reserved_bytes;
  memory->release(memory->allocate(2000));
  EXPECT_EQ(memory->statistics().reserved_bytes, reserved);
}

TEST(DeviceMemories, RunningOutSaysWhatWasNeededWhatIsFreeAndWhatHelps) {
  Context context = Context::cuda(0);
  try {
    const Tensor tensor({std::int64_t{1} << 42}, DataType::kUInt8, context);
    FAIL() << "4 TiB were given";
  } catch (const DeviceError& error) {
    const std::string text = error.what();
    for (const char* part : {"cuda:0", "out of memory", "4096.00 GiB needed", "free of", "micro_batch_tokens"})
      EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  const Tensor small({1000}, DataType::kFloat32, context);  // and it goes on
}

TEST(DeviceMemories, AReservedPlanIsTakenAtOnce) {
  Context context = Context::cuda(0);
  const auto memory = context.cuda_session().memory();
  memory->reserve(std::size_t{96} << 20);
  const std::size_t reserved = memory->statistics().reserved_bytes;
  EXPECT_GE(reserved, std::size_t{96} << 20);
  const Tensor tensor({std::int64_t{90} << 20}, DataType::kUInt8, context);
  EXPECT_EQ(memory->statistics().reserved_bytes, reserved);
}

TEST(CudaTensors, CopiesGoBothWaysAndBetweenContexts) {
  Context context = Context::cuda(0), other = Context::cuda(0);
  const Tensor x = random_tensor({7, 5}, 1);
  Tensor there = x.to(context);
  EXPECT_EQ(there.device(), (Device{DeviceType::kCuda, 0}));
  EXPECT_TRUE(test_support::same_bits(there.to(other).clone().to_host(), x));
  EXPECT_TRUE(test_support::same_bits(there.slice_rows(2, 4), x.slice_rows(2, 4)));
  there.fill_zero();
  EXPECT_EQ(to_doubles(there), Doubles(35));
  there.copy_from(x);
  EXPECT_TRUE(test_support::same_bits(there, x));
  there.resize({2, 3});
  EXPECT_EQ(there.count(), 6);
  test_support::expect_refused([&] { there.data<float>(); }, {"cuda:0", "[2, 3]", "to_host()"});
}

TEST(CudaTensors, OutliveTheirContext) {
  Tensor kept;
  {
    Context context = Context::cuda(0);
    kept = random_tensor({100}, 1).to(context);
  }
  EXPECT_TRUE(test_support::same_bits(kept, random_tensor({100}, 1)));
}

TEST(CudaContexts, ADeviceThatIsNotThereIsRefused) {
  try {
    Context::cuda(999);
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("cuda:999: this machine has"), std::string::npos) << error.what();
  }
}

TEST(CudaContexts, ScratchFramesNestOnTheDevice) {
  Context context = Context::cuda(0);
  for (int round = 0; round < 3; ++round) {
    ScratchFrame outer(context);
    float* first = outer.floats(300000);
    {
      ScratchFrame inner(context);
      const float* second = inner.floats(500000);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % 256, 0u);
    }
    const float* third = outer.floats(10);
    EXPECT_TRUE(third >= first + 300000 || third + 10 <= first);
  }
  EXPECT_LT(context.workspace_bytes(), 8u << 20);
}

TEST(CudaStreams, EventsMeasureTimeAndOrderStreams) {
  Context context = Context::cuda(0);
  const Stream& stream = context.cuda_session().stream();
  const Stream other;
  const Event start(true), end(true);
  stream.record(start);
  stream.record(end);
  other.wait(end);
  end.synchronise();
  EXPECT_GE(end.milliseconds_since(start), 0.0f);
}

}  // namespace
}  // namespace kernels::cuda
