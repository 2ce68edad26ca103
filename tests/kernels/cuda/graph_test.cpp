#include "kernels/cuda/graph.h"

#include "kernels/core/error.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/ops/adamw.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/swiglu.h"
#include "tests/support/op_case.h"

namespace kernels {
namespace {

using cuda::DeviceMemory;
using cuda::Graph;
using test_support::Doubles;
using test_support::random_tensor;
using test_support::same_bits;
using test_support::to_doubles;
using test_support::zeros;

// A piece of a model with workspace, temporaries, products and a gradient: y and dw from x.
struct Block {
  Context& context;
  Tensor x, weight, norm_weight, y, dw, norm;

  explicit Block(Context& on) : context(on) {
    x = random_tensor({6, 16}, 1).to(context);
    weight = random_tensor({16, 16}, 2).to(context);
    norm_weight = random_tensor({16}, 3).to(context);
    y = zeros(context, {6, 16});
    dw = zeros(context, {16});
    norm = zeros(context, {1});
  }

  void run() {
    Tensor h({6, 16}, DataType::kFloat32, context), rstd({6}, DataType::kFloat32, context);
    rms_norm_forward(context, x, norm_weight, {}, h, rstd);
    linear(context, h, PackedWeight(weight.view()), y);
    swiglu_forward(context, h, y, y);
    dw.fill_zero();
    rms_norm_backward(context, y, x, norm_weight, rstd, {}, h, &dw);
    const Tensor* gradients[] = {&dw};
    global_norm(context, gradients, norm);
  }
};

TEST(Graphs, RepeatTheirWorkOnNewInputs) {
  Context context = Context::cuda(0);
  Block recorded(context), direct(context);
  direct.run();
  const Graph graph = Graph::record(context, [&] { recorded.run(); });
  EXPECT_EQ(to_doubles(recorded.y), Doubles(96)) << "recording executes nothing";
  for (const std::uint64_t seed : {1, 7, 8}) {
    const Tensor batch = random_tensor({6, 16}, seed);
    recorded.x.copy_from(batch);
    direct.x.copy_from(batch);
    graph.launch();
    direct.run();
    EXPECT_TRUE(same_bits(recorded.y, direct.y)) << seed;
    EXPECT_TRUE(same_bits(recorded.dw, direct.dw)) << seed;
    EXPECT_TRUE(same_bits(recorded.norm, direct.norm)) << seed;
  }
}

TEST(Graphs, NobodyElseGetsTheMemoryTheyWriteTo) {
  Context context = Context::cuda(0);
  Block block(context);
  block.run();
  const Graph graph = Graph::record(context, [&] { block.run(); });
  std::vector<Tensor> others;
  for (std::uint64_t i = 0; i < 40; ++i) others.push_back(random_tensor({100}, i).to(context));
  block.run();  // takes workspace
  graph.launch();
  for (std::uint64_t i = 0; i < 40; ++i) EXPECT_TRUE(same_bits(others[i], random_tensor({100}, i))) << i;
}

TEST(Graphs, TheirMemoryIsOrdinaryAgainWhenTheyAreGone) {
  Context context = Context::cuda(0);
  const auto memory = std::static_pointer_cast<DeviceMemory>(context.memory());
  {
    Block block(context);
    block.run();
    const Graph graph = Graph::record(context, [&] { block.run(); });
    graph.launch();
  }
  const std::size_t reserved = memory->statistics().reserved_bytes;
  const Tensor beside({std::int64_t{25} << 20}, DataType::kUInt8, context);
  const Tensor in_its_place({std::int64_t{60} << 20}, DataType::kUInt8, context);
  EXPECT_EQ(memory->statistics().reserved_bytes, reserved);
}

TEST(Graphs, RefuseWorkThatWaitsForTheDeviceAndLeaveTheContextUsable) {
  Context context = Context::cuda(0);
  Block block(context);
  block.run();
  const auto waits = [&] {
    block.run();
    context.synchronise();
  };
  EXPECT_THROW(Graph::record(context, waits), DeviceError);
  const Doubles before = to_doubles(block.y);
  block.y.fill_zero();
  block.run();
  EXPECT_EQ(to_doubles(block.y), before);
  const Graph graph = Graph::record(context, [&] { block.run(); });
  graph.launch();
  EXPECT_EQ(to_doubles(block.y), before);
}

}  // namespace
}  // namespace kernels
