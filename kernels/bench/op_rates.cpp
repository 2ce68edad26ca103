#include "kernels/bench/op_rates.h"

#include <cmath>
#include <utility>

#include "kernels/core/random.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/adamw.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/lora.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/rotary.h"
#include "kernels/ops/swiglu.h"

namespace kernels {
namespace {

using Bound = OpRate::Bound;

Tensor random_tensor(Shape shape, std::uint64_t seed = 1) {
  Tensor tensor(std::move(shape));
  Random random(seed);
  for (float& value : tensor.values<float>()) value = static_cast<float>(random.uniform() - 0.5);
  return tensor;
}

// Linear layers of a block with the same sizes.
struct LinearGroup {
  std::int64_t in, out, count;
};

std::vector<LinearGroup> linear_groups(const DecoderShape& shape) {
  std::vector<LinearGroup> groups;
  for (const LinearShape& linear : block_linears(shape)) {
    bool known = false;
    for (LinearGroup& group : groups) {
      if (group.in != linear.in || group.out != linear.out) continue;
      ++group.count;
      known = true;
    }
    if (!known) groups.push_back({linear.in, linear.out, 1});
  }
  return groups;
}

// Letters as in the kernels: N tokens, C hidden size, D head size, F feed-forward size.
class Ops {
 public:
  Ops(Context& context, const DecoderShape& shape, const OpRateOptions& options)
      : context_(context), shape_(shape), options_(options), tokens_(options.sequence * options.batch) {}

  std::vector<OpRate> measure() {
    embedding();
    norm();
    for (const LinearGroup& group : linear_groups(shape_)) {
      linear_layer(group);
      low_rank(group);
    }
    rotation();
    attention();
    gate();
    loss();
    optimizer();
    return std::move(rates_);
  }

 private:
  template <typename Work>
  void take(const std::string& op, Bound bound, std::int64_t calls, double work, const Work& call) {
    if (options_.begins) options_.begins(op);
    rates_.push_back({op, bound, calls, repeated_time(options_.repeat, call), work});
  }
  double tokens() const { return static_cast<double>(tokens_); }
  // Of one float32 tensor [N, channels].
  double bytes(std::int64_t channels) const { return 4.0 * tokens() * static_cast<double>(channels); }

  void embedding() {
    const Tensor table = random_tensor({shape_.vocabulary, shape_.hidden}).cast_to(options_.weight_type);
    std::vector<std::int32_t> ids;
    Random random(2);
    for (std::int64_t i = 0; i < tokens_; ++i)
      ids.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(shape_.vocabulary))));
    const Tensor rows = Tensor::from(ids);
    Tensor y({tokens_, shape_.hidden});
    const double read =
        tokens() * static_cast<double>(shape_.hidden * static_cast<std::int64_t>(size_of(table.type())));
    take("embedding", Bound::kMemory, 1, read + bytes(shape_.hidden),
         [&] { embedding_forward(context_, table, rows, y); });
  }

  void norm() {
    const Tensor x = random_tensor({tokens_, shape_.hidden}), weight = random_tensor({shape_.hidden});
    Tensor y(x.shape()), rstd({tokens_}), dx = random_tensor(x.shape(), 3);
    const std::int64_t calls = 2 * shape_.layers + 1;
    take("rms_norm forward", Bound::kMemory, calls, 2 * bytes(shape_.hidden),
         [&] { rms_norm_forward(context_, x, weight, {}, y, rstd); });
    take("rms_norm backward", Bound::kMemory, calls, 4 * bytes(shape_.hidden),
         [&] { rms_norm_backward(context_, y, x, weight, rstd, {}, dx, nullptr, true); });
  }

  void linear_layer(const LinearGroup& group) {
    const std::string sizes = std::to_string(group.in) + " -> " + std::to_string(group.out);
    const std::int64_t calls = group.count * shape_.layers;
    const double work = 2.0 * tokens() * static_cast<double>(group.in * group.out);
    const PackedWeight weight(random_tensor({group.out, group.in}).cast_to(options_.weight_type));
    Tensor x = random_tensor({tokens_, group.in}), y({tokens_, group.out});
    take("linear forward " + sizes, Bound::kProducts, calls, work, [&] { linear(context_, x, weight, y); });
    take("linear backward " + sizes, Bound::kProducts, calls, work,
         [&] { linear_backward_input(context_, y, weight, x); });
  }

  void low_rank(const LinearGroup& group) {
    const std::string sizes = std::to_string(group.in) + " -> " + std::to_string(group.out);
    const std::int64_t calls = group.count * shape_.layers;
    const double work = 2.0 * tokens() * static_cast<double>(options_.rank * (group.in + group.out));
    const Tensor x = random_tensor({tokens_, group.in}), a = random_tensor({options_.rank, group.in}),
                 b = random_tensor({group.out, options_.rank});
    Tensor p({tokens_, options_.rank}), y = Tensor::zeros({tokens_, group.out}), da = Tensor::zeros(a.shape()),
                                        db = Tensor::zeros(b.shape()), dx = Tensor::zeros(x.shape());
    const LoraOptions options{.scaling = 1e-3f};  // the sums stay small, however often it is done
    take("lora forward " + sizes, Bound::kProducts, calls, work,
         [&] { lora_forward(context_, x, a, b, options, p, y); });
    take("lora backward " + sizes, Bound::kProducts, calls, 2 * work,
         [&] { lora_backward(context_, y, x, p, a, b, options, da, db, &dx); });
  }

  void rotation() {
    const std::int64_t half = shape_.head_size() / 2;
    RotaryTable table;
    std::vector<std::int32_t> positions;
    for (std::int64_t i = 0; i < tokens_; ++i) positions.push_back(static_cast<std::int32_t>(i % options_.sequence));
    make_rotary_table(context_, Tensor::from(positions), random_tensor({half}), 1.0f, table);
    Tensor query = random_tensor({tokens_, shape_.heads, shape_.head_size()});
    Tensor key = random_tensor({tokens_, shape_.key_value_heads, shape_.head_size()});
    const double work = 2 * bytes(shape_.hidden + shape_.key_value_size());
    take("rotary forward", Bound::kMemory, shape_.layers, work, [&] {
      rotary_forward(context_, table, query);
      rotary_forward(context_, table, key);
    });
    take("rotary backward", Bound::kMemory, shape_.layers, work, [&] {
      rotary_backward(context_, table, query);
      rotary_backward(context_, table, key);
    });
  }

  // A product over the causal half: half of N T pairs of each head.
  void attention() {
    const std::int64_t size = shape_.head_size();
    const Tensor q = random_tensor({tokens_, shape_.heads, size}, 1), d_o = random_tensor(q.shape(), 4);
    const Tensor k = random_tensor({tokens_, shape_.key_value_heads, size}, 2), v = random_tensor(k.shape(), 3);
    std::vector<std::int32_t> borders;
    for (std::int64_t i = 0; i <= options_.batch; ++i)
      borders.push_back(static_cast<std::int32_t>(i * options_.sequence));
    const Tensor sequences = Tensor::from(borders);
    Tensor o(q.shape()), lse({tokens_, shape_.heads}), dq(q.shape()), dk(k.shape()), dv(k.shape());
    const AttentionOptions options{.scale = 1.0f / std::sqrt(static_cast<float>(size))};
    const double product = tokens() * static_cast<double>(options_.sequence * shape_.hidden);
    take("attention forward", Bound::kProducts, shape_.layers, 2 * product,
         [&] { attention_forward(context_, q, k, v, sequences, options, o, lse); });
    take("attention backward", Bound::kProducts, shape_.layers, 4 * product,
         [&] { attention_backward(context_, d_o, q, k, v, o, lse, sequences, options, dq, dk, dv); });
  }

  void gate() {
    const Tensor gate = random_tensor({tokens_, shape_.feed_forward}), up = random_tensor(gate.shape(), 2);
    Tensor h(gate.shape()), dgate(gate.shape()), dup(gate.shape());
    take("swiglu forward", Bound::kMemory, shape_.layers, 3 * bytes(shape_.feed_forward),
         [&] { swiglu_forward(context_, gate, up, h); });
    take("swiglu backward", Bound::kMemory, shape_.layers, 5 * bytes(shape_.feed_forward),
         [&] { swiglu_backward(context_, h, gate, up, dgate, dup); });
  }

  void loss() {
    const Tensor hidden = random_tensor({tokens_, shape_.hidden});
    const PackedWeight head(random_tensor({shape_.vocabulary, shape_.hidden}).cast_to(options_.weight_type));
    const Tensor targets = Tensor::from(std::vector<std::int32_t>(static_cast<std::size_t>(tokens_), 7));
    Tensor dhidden(hidden.shape());
    take("linear cross-entropy", Bound::kProducts, 1,
         4.0 * tokens() * static_cast<double>(shape_.hidden * shape_.vocabulary),
         [&] { linear_cross_entropy(context_, hidden, head, targets, nullptr, {}, &dhidden, nullptr); });
  }

  void optimizer() {
    const std::int64_t count = adapter_weights(shape_, options_.rank);
    Tensor value = random_tensor({count}), gradient = random_tensor({count}, 2), first = Tensor::zeros({count}),
           second = Tensor::zeros({count});
    const std::vector<AdamWTensor> tensors{{&value, &gradient, &first, &second}};
    take("adamw", Bound::kMemory, 1, 4.0 * 7 * static_cast<double>(count),
         [&] { adamw_step(context_, tensors, {}, 1); });
  }

  Context& context_;
  const DecoderShape& shape_;
  const OpRateOptions& options_;
  std::int64_t tokens_;
  std::vector<OpRate> rates_;
};

}  // namespace

std::vector<OpRate> measure_ops(Context& context, const DecoderShape& shape, const OpRateOptions& options) {
  return Ops(context, shape, options).measure();
}

}  // namespace kernels
