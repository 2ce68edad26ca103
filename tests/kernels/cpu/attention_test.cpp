// Every version of the attention loops that this processor can run, against the plain definition.
#include <gtest/gtest.h>

#include "kernels/cpu/operations.h"
#include "kernels/cpu/reference.h"
#include "tests/support/op_case.h"

namespace kernels::cpu {
namespace {

using test_support::expect_close;
using test_support::random_tensor;
using test_support::same_bits;
using test_support::to_doubles;

struct Results {
  Tensor o, lse, dq, dk, dv;
};

// Documents of these lengths, heads of one size, inputs of fixed seeds.
class Attended {
 public:
  Attended(const std::vector<std::int32_t>& lengths, std::int64_t heads, std::int64_t key_heads, std::int64_t size,
           double range = 1.0)
      : heads_(heads), key_heads_(key_heads), size_(size) {
    for (const std::int32_t length : lengths) sums_.push_back(sums_.back() + length);
    q_ = random_tensor({tokens(), heads, size}, 1, range);
    k_ = random_tensor({tokens(), key_heads, size}, 2, range);
    v_ = random_tensor({tokens(), key_heads, size}, 3);
    d_o_ = random_tensor({tokens(), heads, size}, 4);
  }

  Results defined(const AttentionOptions& options) const {
    Results r = room();
    reference::attention_forward(shape(), options, inputs(), r.o.data<float>(), r.lse.data<float>());
    reference::attention_backward(shape(), options, inputs(), gradients(r));
    return r;
  }
  Results computed(int threads, const AttentionOptions& options, InstructionSet set) const {
    Context context = Context::cpu(threads);
    Results r = room();
    attention_forward(context, shape(), options, inputs(), r.o.data<float>(), r.lse.data<float>(), set);
    attention_backward(context, shape(), options, inputs(), gradients(r), set);
    return r;
  }

 private:
  std::int64_t tokens() const { return sums_.back(); }
  AttentionShape shape() const { return {tokens(), heads_, key_heads_, size_, sums_}; }
  AttentionInputs inputs() const { return {q_.data<float>(), k_.data<float>(), v_.data<float>()}; }
  AttentionGradients gradients(Results& r) const {
    return {d_o_.data<float>(), r.o.data<float>(),  r.lse.data<float>(),
            r.dq.data<float>(), r.dk.data<float>(), r.dv.data<float>()};
  }
  Results room() const {
    return {Tensor(q_.shape()), Tensor({tokens(), heads_}), Tensor(q_.shape()), Tensor(k_.shape()), Tensor(k_.shape())};
  }

  std::int64_t heads_, key_heads_, size_;
  std::vector<std::int32_t> sums_{0};
  Tensor q_, k_, v_, d_o_;
};

void expect_alike(const Results& actual, const Results& expected, double tolerance, const std::string& name) {
  expect_close(to_doubles(actual.o), to_doubles(expected.o), tolerance, name + " o");
  expect_close(to_doubles(actual.lse), to_doubles(expected.lse), tolerance, name + " lse");
  expect_close(to_doubles(actual.dq), to_doubles(expected.dq), tolerance, name + " dq");
  expect_close(to_doubles(actual.dk), to_doubles(expected.dk), tolerance, name + " dk");
  expect_close(to_doubles(actual.dv), to_doubles(expected.dv), tolerance, name + " dv");
}

void expect_every_set_as_defined(const Attended& attended, const AttentionOptions& options, double tolerance,
                                 const std::string& name) {
  const Results expected = attended.defined(options);
  for (const InstructionSet set : instruction_sets()) {
    expect_alike(attended.computed(1, options, set), expected, tolerance, name + " by " + name_of(set));
    if (testing::Test::HasFatalFailure()) return;
  }
}

// Around the borders of vectors, of blocks of queries and of tiles.
const std::vector<std::int32_t> kLengths{1, 2, 15, 16, 17, 0, 47, 48, 49, 127, 128, 129, 130};

class AttentionHeadSize : public testing::TestWithParam<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, AttentionHeadSize, testing::Values(8, 20, 32, 64, 80, 96, 128, 256));

TEST_P(AttentionHeadSize, EveryInstructionSetEqualsTheDefinitionForEveryLength) {
  const Attended attended(kLengths, 2, 1, GetParam());
  const float scale = 1.0f / std::sqrt(static_cast<float>(GetParam()));
  expect_every_set_as_defined(attended, {.scale = scale}, 1e-5, "causal");
  if (HasFatalFailure()) return;
  expect_every_set_as_defined(attended, {.scale = scale, .softcap = 0.5f, .sliding_window = 20}, 1e-5, "capped");
  if (HasFatalFailure()) return;
  expect_every_set_as_defined(attended, {.scale = scale, .sliding_window = 33, .causal = false}, 1e-5, "both ways");
}

TEST(AttentionVersions, EqualTheDefinitionOverSeveralTiles) {
  const Attended attended({255, 256, 257, 512}, 4, 2, 32);
  for (const std::int64_t window : {0, 16, 100, 300})
    expect_every_set_as_defined(attended, {.scale = 0.2f, .sliding_window = window}, 1e-5, std::to_string(window));
  expect_every_set_as_defined(attended, {.scale = 0.2f, .causal = false}, 1e-5, "both ways");
}

// The scores of a later tile outgrow those of the ones before by far more than a power of two may hold.
TEST(AttentionVersions, EqualTheDefinitionWhenScoresGrow) {
  const Attended attended({600, 90}, 2, 2, 16, 4.0);  // scores up to 60 or so
  expect_every_set_as_defined(attended, {.scale = 1.0f}, 1e-4, "peaks");
  expect_every_set_as_defined(attended, {.scale = 1.0f, .sliding_window = 70}, 1e-4, "peaks in a window");
}

// Long enough for several parts, of which each packs the keys that it sees.
TEST(AttentionVersions, DoNotDependOnTheThreadsOfALongDocument) {
  const Attended attended({2200, 3, 1057}, 1, 1, 8);
  for (const std::int64_t window : {0, 90}) {
    const AttentionOptions options{.scale = 0.3f, .sliding_window = window};
    const Results expected = attended.defined(options);
    for (const InstructionSet set : instruction_sets()) {
      const Results one = attended.computed(1, options, set), three = attended.computed(3, options, set);
      expect_alike(one, expected, 1e-5, name_of(set));
      EXPECT_TRUE(same_bits(one.o, three.o)) << name_of(set);
      EXPECT_TRUE(same_bits(one.lse, three.lse)) << name_of(set);
      EXPECT_TRUE(same_bits(one.dq, three.dq)) << name_of(set);
      EXPECT_TRUE(same_bits(one.dk, three.dk)) << name_of(set);
    }
  }
}

}  // namespace
}  // namespace kernels::cpu
