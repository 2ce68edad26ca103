// Each form of adapter on one linear layer against its definition in float64, and its gradients against the slope of
// that definition.
#include "finetune/model/linear_layers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "finetune/model/adapter.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;
using Numbers = std::vector<double>;

constexpr std::int64_t kRows = 5;
constexpr std::uint64_t kSeed = 41;
constexpr LinearKind kKind = LinearKind::kGate;  // 24 outputs, 16 inputs
constexpr std::size_t kLayer = 1;

Numbers numbers(const Tensor& tensor) { return {tensor.values<float>().begin(), tensor.values<float>().end()}; }

// y[n, j] = sum of w[j, i] x[n, i].
Numbers times(const Numbers& x, const Numbers& w, std::int64_t inner) {
  const auto rows = static_cast<std::int64_t>(x.size()) / inner, out = static_cast<std::int64_t>(w.size()) / inner;
  Numbers y(static_cast<std::size_t>(rows * out), 0.0);
  for (std::int64_t n = 0; n < rows; ++n) {
    for (std::int64_t j = 0; j < out; ++j) {
      for (std::int64_t i = 0; i < inner; ++i)
        y[static_cast<std::size_t>(n * out + j)] +=
            w[static_cast<std::size_t>(j * inner + i)] * x[static_cast<std::size_t>(n * inner + i)];
    }
  }
  return y;
}

double silu(double z) { return z / (1.0 + std::exp(-z)); }
double gelu_tanh(double z) { return 0.5 * z * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (z + 0.044715 * z * z * z))); }

// The definition of linear_adapter.h; `adapter` says which form, `parts` are the values of its trained weights in the
// order of Adapter::for_each, the last entry is x.
struct Definition {
  LinearAdapter& adapter;
  Numbers weight;
  double dropout = 0;

  Numbers operator()(const std::vector<Numbers>& parts) const {
    if (adapter.factors.present()) return factors(parts[0], parts[1]);
    if (adapter.down.present()) return bottleneck(parts);
    return low_rank(parts);
  }

  Numbers factors(const Numbers& l, Numbers x) const {
    if (adapter.factors_of_input) {
      for (std::size_t k = 0; k < x.size(); ++k) x[k] *= l[k % l.size()];
      return times(x, weight, 16);
    }
    Numbers y = times(x, weight, 16);
    for (std::size_t k = 0; k < y.size(); ++k) y[k] *= l[k % l.size()];
    return y;
  }

  Numbers bottleneck(const std::vector<Numbers>& parts) const {
    const Numbers &down = parts[0], &down_bias = parts[1], &up = parts[2], &up_bias = parts[3];
    Numbers y = times(parts[4], weight, 16), inner = times(y, down, 24);
    for (std::size_t k = 0; k < inner.size(); ++k) {
      const double z = inner[k] + down_bias[k % down_bias.size()];
      inner[k] = adapter.activation == kernels::Activation::kSilu ? silu(z) : gelu_tanh(z);
    }
    const Numbers added = times(inner, up, static_cast<std::int64_t>(down_bias.size()));
    for (std::size_t k = 0; k < y.size(); ++k) y[k] += added[k] + up_bias[k % up_bias.size()];
    return y;
  }

  Numbers low_rank(const std::vector<Numbers>& parts) const {
    const Numbers &a = parts[0], &b = parts[1], &x = parts.back();
    const double s = static_cast<double>(adapter.scaling);
    const std::int64_t rank = adapter.a.value.size(0);
    Numbers dropped = x;
    for (std::size_t k = 0; k < x.size(); ++k) {
      const bool keep =
          dropout == 0 || (kernels::random_bits(place_seed(), k) >> 32) >= static_cast<std::uint64_t>(dropout * 0x1p32);
      dropped[k] = keep ? x[k] / (1.0 - dropout) : 0.0;
    }
    Numbers y = times(x, weight, 16), added = times(times(dropped, a, 16), b, rank);
    for (double& value : added) value *= s;
    if (adapter.magnitude.present()) return dora(parts, y, times(dropped, weight, 16), added);
    for (std::size_t k = 0; k < y.size(); ++k) {
      y[k] += added[k];
      if (adapter.b_bias.present()) y[k] += s * parts[2][k % 24];
    }
    if (adapter.start_a.count() > 0) {
      const Numbers taken = times(times(x, numbers(adapter.start_a), 16), numbers(adapter.start_b), rank);
      for (std::size_t k = 0; k < y.size(); ++k) y[k] -= s * taken[k];
    }
    return y;
  }

  // W x + (g - 1) W z + g s B A z with g = m / |W + s B A|, the norm at the adapter's own values: it has no gradient.
  Numbers dora(const std::vector<Numbers>& parts, Numbers y, const Numbers& plain, const Numbers& added) const {
    const std::int64_t rank = adapter.a.value.size(0);
    const Numbers a = numbers(adapter.a.value), b = numbers(adapter.b.value);
    for (std::size_t k = 0; k < y.size(); ++k) {
      const std::size_t j = k % 24;
      double square = 0;
      for (std::size_t i = 0; i < 16; ++i) {
        double entry = weight[j * 16 + i];
        for (std::int64_t r = 0; r < rank; ++r)
          entry += static_cast<double>(adapter.scaling) *
                   b[j * static_cast<std::size_t>(rank) + static_cast<std::size_t>(r)] *
                   a[static_cast<std::size_t>(r) * 16 + i];
        square += entry * entry;
      }
      const double g = parts[2][j] / std::sqrt(square);
      y[k] += (g - 1.0) * plain[k] + g * added[k];
    }
    return y;
  }

  static std::uint64_t place_seed() { return kernels::random_bits(kSeed, kLayer * kLinearCount + index_of(kKind)); }
};

struct Form {
  const char* name;
  void (*settle)(PeftConfig&);
};
const Form kForms[] = {{"LoraBiasDropout",
                        [](PeftConfig& c) {
                          c.lora_bias = true;
                          c.lora_dropout = 0.4;
                        }},
                       {"Dora", [](PeftConfig& c) { c.use_dora = true; }},
                       {"DoraDropout",
                        [](PeftConfig& c) {
                          c.use_dora = true;
                          c.lora_dropout = 0.4;
                        }},
                       {"PissaDropout",
                        [](PeftConfig& c) {
                          c.init_lora_weights = "pissa";
                          c.lora_dropout = 0.4;
                        }},
                       {"Ia3OfOutput", [](PeftConfig& c) { c.type = PeftType::kIa3; }},
                       {"Ia3OfInput",
                        [](PeftConfig& c) {
                          c.type = PeftType::kIa3;
                          c.feedforward_modules = {"gate_proj"};
                        }},
                       {"BottleneckSilu",
                        [](PeftConfig& c) {
                          c.type = PeftType::kBottleneck;
                          c.bottleneck_size = 3;
                        }},
                       {"BottleneckGelu", [](PeftConfig& c) {
                          c.type = PeftType::kBottleneck;
                          c.bottleneck_size = 3;
                          c.non_linearity = "gelu_new";
                        }}};

class LinearLayerOfForm : public ::testing::TestWithParam<Form> {
 protected:
  LinearLayerOfForm() : random_(3), weights_(random_weights(config_, random_)) {
    PeftConfig peft;
    peft.r = 3;
    peft.lora_alpha = 5;
    peft.target_modules = {"gate_proj"};
    GetParam().settle(peft);
    for (float& value : linear().value.values<float>()) value *= 20.0f;
    adapter_ = Adapter(config_, weights_, peft, random_);
    adapter_.for_each([&](Weight& weight) {
      for (float& value : weight.value.values<float>()) value += static_cast<float>(random_.normal()) * 0.3f;
    });
    adapter_.make_trainable();
    for (Tensor* tensor : {&x_, &dy_}) {
      for (float& value : tensor->values<float>()) value = static_cast<float>(random_.normal());
    }
  }
  LinearWeight& linear() { return weights_.layers[kLayer].linears[index_of(kKind)]; }
  LinearAdapter& of_layer() { return *adapter_.linears()[kLayer][index_of(kKind)]; }
  std::vector<Weight*> parts() {
    std::vector<Weight*> all;
    adapter_.for_each([&](Weight& weight) {
      if (weight.name.starts_with("model.layers.1.")) all.push_back(&weight);
    });
    return all;
  }

  ModelConfig config_ = support::tiny_config();
  kernels::Random random_;
  ModelWeights weights_;
  Adapter adapter_;
  Context context_ = Context::cpu(1);
  Tensor x_{{kRows, 16}}, dy_{{kRows, 24}};
};

TEST_P(LinearLayerOfForm, ComputesItsDefinitionAndTheSlopeOfIt) {
  ActiveWeights active(config_, weights_, nullptr);
  LinearLayers layers(active, &adapter_.linears());
  layers.begin(context_, {.training = true, .dropout_seed = kSeed});
  LinearActivations saved;
  Tensor y = Tensor::zeros({kRows, 24}), dx = Tensor::zeros({kRows, 16});
  for (float& value : y.values<float>()) value = 0.5f;  // beta adds to what is there
  for (float& value : dx.values<float>()) value = 0.25f;
  layers.forward(context_, kLayer, kKind, x_, saved, y, 1.0f);
  layers.backward(context_, kLayer, kKind, dy_, x_, saved, dx, 1.0f);

  const Definition definition{of_layer(), numbers(linear().value), static_cast<double>(of_layer().dropout)};
  std::vector<Numbers> values;
  for (const Weight* weight : parts()) values.push_back(numbers(weight->value));
  values.push_back(numbers(x_));
  const Numbers wanted = definition(values);
  for (std::size_t k = 0; k < wanted.size(); ++k)
    ASSERT_NEAR(static_cast<double>(y.values<float>()[k]), wanted[k] + 0.5, 2e-5 * (1 + std::fabs(wanted[k]))) << k;

  const Numbers dy = numbers(dy_);
  const auto objective = [&] {
    const Numbers at = definition(values);
    double sum = 0;
    for (std::size_t k = 0; k < at.size(); ++k) sum += dy[k] * at[k];
    return sum;
  };
  for (std::size_t part = 0; part < values.size(); ++part) {
    const bool of_x = part + 1 == values.size();
    const Numbers got = numbers(of_x ? dx : parts()[part]->gradient);
    for (std::size_t k = 0; k < got.size(); ++k) {
      const double step = 1e-5, before = values[part][k];
      values[part][k] = before + step;
      const double above = objective();
      values[part][k] = before - step;
      const double below = objective();
      values[part][k] = before;
      const double slope = (above - below) / (2 * step) + (of_x ? 0.25 : 0.0);
      ASSERT_NEAR(got[k], slope, 1e-4 * (1 + std::fabs(slope))) << (of_x ? "x" : parts()[part]->name) << " " << k;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, LinearLayerOfForm, ::testing::ValuesIn(kForms),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace finetune
