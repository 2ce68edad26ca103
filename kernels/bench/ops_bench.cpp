// Time of each operation on the shapes of one LoRA training step of the embedded base: 4 sequences of 512 tokens, 256
// channels, 8 query and 4 key heads of 32, feed-forward 768, vocabulary 4096, rank 16. The first argument of a
// benchmark is the thread count. GFLOP/s or GB/s are reported as counters.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/core/context.h"
#include "kernels/core/random.h"
#include "kernels/core/waiting.h"
#include "kernels/ops/adamw.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/lora.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/rotary.h"
#include "kernels/ops/swiglu.h"

namespace {

using namespace kernels;

constexpr std::int64_t kTokens = 2048, kChannels = 256, kHeads = 8, kKeyHeads = 4, kHeadSize = 32, kFeed = 768,
                       kRank = 16, kVocabulary = 4096;

Tensor random_tensor(Shape shape, std::uint64_t seed = 1) {
  Tensor tensor(std::move(shape));
  Random random(seed);
  for (float& value : tensor.values<float>()) value = static_cast<float>(random.uniform() - 0.5);
  return tensor;
}

Context context_of(const benchmark::State& state) { return Context::cpu(static_cast<int>(state.range(0))); }

void report_flops(benchmark::State& state, double per_iteration) {
  state.counters["GFLOP/s"] = benchmark::Counter(per_iteration * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void report_bytes(benchmark::State& state, double per_iteration) {
  state.counters["GB/s"] = benchmark::Counter(per_iteration * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void linear_forward(benchmark::State& state) {
  Context context = context_of(state);
  const Tensor x = random_tensor({kTokens, kChannels});
  const PackedWeight weight(random_tensor({kFeed, kChannels}).cast_to(DataType::kBFloat16));
  Tensor y({kTokens, kFeed});
  for (auto _ : state) linear(context, x, weight, y);
  report_flops(state, 2.0 * kTokens * kChannels * kFeed);
}

void linear_input_gradient(benchmark::State& state) {
  Context context = context_of(state);
  const Tensor dy = random_tensor({kTokens, kFeed});
  const PackedWeight weight(random_tensor({kFeed, kChannels}).cast_to(DataType::kBFloat16));
  Tensor dx({kTokens, kChannels});
  for (auto _ : state) linear_backward_input(context, dy, weight, dx);
  report_flops(state, 2.0 * kTokens * kChannels * kFeed);
}

void linear_decode(benchmark::State& state) {
  Context context = context_of(state);
  const Tensor x = random_tensor({1, kChannels});
  const PackedWeight weight(random_tensor({kFeed, kChannels}).cast_to(DataType::kBFloat16));
  Tensor y({1, kFeed});
  for (auto _ : state) linear(context, x, weight, y);
  report_bytes(state, 2.0 * kChannels * kFeed);
}

void lora(benchmark::State& state) {
  Context context = context_of(state);
  const LoraOptions options{.scaling = 1.0f, .dropout = static_cast<float>(state.range(1)) / 100.0f};
  const Tensor x = random_tensor({kTokens, kChannels}), a = random_tensor({kRank, kChannels}),
               b = random_tensor({kFeed, kRank});
  Tensor p({kTokens, kRank}), y = random_tensor({kTokens, kFeed}), da(a.shape()), db(b.shape()), dx(x.shape());
  da.fill_zero();
  db.fill_zero();
  dx.fill_zero();
  for (auto _ : state) {
    y.fill_zero();
    lora_forward(context, x, a, b, options, p, y);
    lora_backward(context, y, x, p, a, b, options, da, db, &dx);
  }
  report_flops(state, 6.0 * kTokens * kRank * (kChannels + kFeed));
}

struct AttentionData {
  Tensor q = random_tensor({kTokens, kHeads, kHeadSize}, 1), k = random_tensor({kTokens, kKeyHeads, kHeadSize}, 2);
  Tensor v = random_tensor({kTokens, kKeyHeads, kHeadSize}, 3), d_o = random_tensor({kTokens, kHeads, kHeadSize}, 4);
  Tensor sequences = Tensor::from<std::int32_t>({0, 512, 1024, 1536, 2048});
  Tensor o{q.shape()}, lse{Shape{kTokens, kHeads}}, dq{q.shape()}, dk{k.shape()}, dv{k.shape()};
  AttentionOptions options{.scale = 0.177f};
};

// Products over the causal half: 4 sequences * heads * 512^2 / 2 * head size * 2 each.
constexpr double kAttentionProduct = 4.0 * kHeads * 512 * 512 * kHeadSize;

void attention_forward_pass(benchmark::State& state) {
  Context context = context_of(state);
  AttentionData data;
  for (auto _ : state)
    attention_forward(context, data.q, data.k, data.v, data.sequences, data.options, data.o, data.lse);
  report_flops(state, 2 * kAttentionProduct);
}

void attention_backward_pass(benchmark::State& state) {
  Context context = context_of(state);
  AttentionData data;
  attention_forward(context, data.q, data.k, data.v, data.sequences, data.options, data.o, data.lse);
  for (auto _ : state) {
    attention_backward(context, data.d_o, data.q, data.k, data.v, data.o, data.lse, data.sequences, data.options,
                       data.dq, data.dk, data.dv);
  }
  report_flops(state, 5 * kAttentionProduct);
}

void loss(benchmark::State& state) {
  Context context = context_of(state);
  const Tensor hidden = random_tensor({kTokens, kChannels});
  const PackedWeight head(random_tensor({kVocabulary, kChannels}).cast_to(DataType::kBFloat16));
  const Tensor targets = Tensor::from(std::vector<std::int32_t>(kTokens, 7));
  Tensor dhidden({kTokens, kChannels});
  for (auto _ : state) linear_cross_entropy(context, hidden, head, targets, nullptr, {}, &dhidden, nullptr);
  report_flops(state, 4.0 * kTokens * kChannels * kVocabulary);
}

void swiglu(benchmark::State& state) {
  Context context = context_of(state);
  Tensor gate = random_tensor({kTokens, kFeed}), up = random_tensor({kTokens, kFeed}), h(gate.shape());
  for (auto _ : state) {
    swiglu_forward(context, gate, up, h);
    swiglu_backward(context, h, gate, up, gate, up);
  }
  report_bytes(state, 4.0 * 8 * kTokens * kFeed);
}

void rms_norm(benchmark::State& state) {
  Context context = context_of(state);
  const Tensor x = random_tensor({kTokens, kChannels}), weight = random_tensor({kChannels});
  Tensor y(x.shape()), rstd({kTokens}), dx(x.shape());
  for (auto _ : state) {
    rms_norm_forward(context, x, weight, {}, y, rstd);
    rms_norm_backward(context, y, x, weight, rstd, {}, dx, nullptr);
  }
  report_bytes(state, 4.0 * 5 * kTokens * kChannels);
}

void rotary(benchmark::State& state) {
  Context context = context_of(state);
  RotaryTable table{random_tensor({kTokens, kHeadSize / 2}), random_tensor({kTokens, kHeadSize / 2})};
  Tensor x = random_tensor({kTokens, kHeads, kHeadSize});
  for (auto _ : state) {
    rotary_forward(context, table, x);
    rotary_backward(context, table, x);
  }
  report_bytes(state, 4.0 * 4 * kTokens * kHeads * kHeadSize);
}

void adamw(benchmark::State& state) {
  Context context = context_of(state);
  constexpr std::int64_t kCount = 600000;
  Tensor value = random_tensor({kCount}), gradient = random_tensor({kCount}), m = Tensor::zeros({kCount}),
         v = Tensor::zeros({kCount});
  const std::vector<AdamWTensor> tensors{{&value, &gradient, &m, &v}};
  for (auto _ : state) adamw_step(context, tensors, {}, 1);
  report_bytes(state, 4.0 * 7 * kCount);
}

#define ANNEAL_BENCH(name) \
  BENCHMARK(name)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond)
ANNEAL_BENCH(linear_forward);
ANNEAL_BENCH(linear_input_gradient);
ANNEAL_BENCH(linear_decode);
BENCHMARK(lora)
    ->ArgNames({"threads", "dropout%"})
    ->Args({1, 0})
    ->Args({2, 0})
    ->Args({1, 10})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
ANNEAL_BENCH(attention_forward_pass);
ANNEAL_BENCH(attention_backward_pass);
ANNEAL_BENCH(loss);
ANNEAL_BENCH(swiglu);
ANNEAL_BENCH(rms_norm);
ANNEAL_BENCH(rotary);
ANNEAL_BENCH(adamw);

}  // namespace

int main(int count, char** arguments) {
  kernels::sleep_while_waiting(arguments);
  benchmark::Initialize(&count, arguments);
  benchmark::RunSpecifiedBenchmarks();
}
