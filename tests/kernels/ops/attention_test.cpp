#include "kernels/ops/attention.h"

#include "kernels/cpu/reference.h"
#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::Doubles;
using test_support::expect_close;
using test_support::expect_refused;
using test_support::OpCase;
using test_support::random_tensor;
using test_support::to_doubles;

struct Setting {
  std::vector<std::int32_t> cu_seqlens;
  std::int64_t heads, key_heads, head_size;
  AttentionOptions options;
};

bool sees(const AttentionOptions& options, std::int64_t query, std::int64_t key) {
  if (options.causal && key > query) return false;
  return options.sliding_window == 0 || std::abs(query - key) < options.sliding_window;
}

// Written over whole score rows, in float64.
Doubles definition(const Setting& s, const std::vector<Doubles>& in) {
  const std::int64_t group = s.heads / s.key_heads, size = s.head_size;
  Doubles o(in[0].size());
  for (std::size_t document = 0; document + 1 < s.cu_seqlens.size(); ++document) {
    const std::int64_t begin = s.cu_seqlens[document], end = s.cu_seqlens[document + 1];
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t h = 0; h < s.heads; ++h) {
        const auto query = static_cast<std::size_t>((i * s.heads + h) * size);
        double total = 0.0;
        Doubles sum(static_cast<std::size_t>(size));
        for (std::int64_t j = begin; j < end; ++j) {
          if (!sees(s.options, i, j)) continue;
          const auto key = static_cast<std::size_t>((j * s.key_heads + h / group) * size);
          double score = 0.0;
          for (std::size_t d = 0; d < sum.size(); ++d) score += in[0][query + d] * in[1][key + d];
          score *= static_cast<double>(s.options.scale);
          const double cap = static_cast<double>(s.options.softcap);
          const double p = std::exp(cap > 0.0 ? cap * std::tanh(score / cap) : score);
          total += p;
          for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += p * in[2][key + d];
        }
        for (std::size_t d = 0; d < sum.size(); ++d) o[query + d] = sum[d] / total;
      }
    }
  }
  return o;
}

OpCase attention_case(const Setting& s) {
  const std::int64_t tokens = s.cu_seqlens.back();
  OpCase op;
  op.on_cuda = false;
  op.name = "attention over " + std::to_string(tokens) + " tokens, " + std::to_string(s.heads) + "/" +
            std::to_string(s.key_heads) + " heads of " + std::to_string(s.head_size);
  op.inputs.push_back(random_tensor({tokens, s.heads, s.head_size}, 1));
  op.inputs.push_back(random_tensor({tokens, s.key_heads, s.head_size}, 2));
  op.inputs.push_back(random_tensor({tokens, s.key_heads, s.head_size}, 3));
  op.differentiated = 3;
  op.forward = [s](Context& context, const std::vector<Tensor>& in) {
    Tensor o(in[0].shape()), lse({in[0].size(0), s.heads});
    attention_forward(context, in[0], in[1], in[2], Tensor::from(s.cu_seqlens), s.options, o, lse);
    return o;
  };
  op.backward = [s](Context& context, const std::vector<Tensor>& in, const Tensor& d_o) {
    const Tensor sequences = Tensor::from(s.cu_seqlens);
    Tensor o(in[0].shape()), lse({in[0].size(0), s.heads});
    attention_forward(context, in[0], in[1], in[2], sequences, s.options, o, lse);
    std::vector<Tensor> gradients;
    for (const Tensor& input : in) gradients.emplace_back(input.shape());
    attention_backward(context, d_o, in[0], in[1], in[2], o, lse, sequences, s.options, gradients[0], gradients[1],
                       gradients[2]);
    return gradients;
  };
  op.definition = [s](const std::vector<Doubles>& in) { return definition(s, in); };
  return op;
}

TEST(Attention, MatchesItsDefinitionForGroupsOfHeads) {
  check_op(attention_case({{0, 5, 5, 14}, 4, 4, 8, {.scale = 0.4f}}));  // groups of one, an empty document
  check_op(attention_case({{0, 1, 20}, 4, 2, 6, {.scale = 0.4f}}));     // groups of two, one token, odd head size
  check_op(attention_case({{0, 17}, 8, 1, 16, {.scale = 0.25f}}));      // groups of eight
}

TEST(Attention, MatchesItsDefinitionWithAWindowAndWithoutCausality) {
  check_op(attention_case({{0, 19}, 2, 1, 8, {.scale = 0.4f, .sliding_window = 4}}));
  check_op(attention_case({{0, 7, 19}, 2, 2, 8, {.scale = 0.4f, .causal = false}}));
  check_op(attention_case({{0, 19}, 2, 2, 8, {.scale = 0.4f, .sliding_window = 3, .causal = false}}));
}

TEST(Attention, MatchesItsDefinitionWithCappedScores) {
  check_op(attention_case({{0, 7, 19}, 4, 2, 8, {.scale = 0.4f, .softcap = 0.7f}}));
  check_op(attention_case({{0, 19}, 2, 1, 8, {.scale = 0.4f, .softcap = 2.0f, .sliding_window = 4}}));
}

// Longer than several tiles in both directions, against the plain float32 version.
TEST(Attention, TilesJoinUpOverLongDocuments) {
  for (const std::int64_t window : {0, 50, 200}) {
    for (const bool causal : {true, false}) {
      const std::vector<std::int32_t> sums{0, 301, 301, 430};
      const AttentionOptions options{
          .scale = 0.3f, .softcap = causal ? 1.5f : 0.0f, .sliding_window = window, .causal = causal};
      const Tensor q = random_tensor({430, 4, 20}, 1), k = random_tensor({430, 2, 20}, 2),
                   v = random_tensor({430, 2, 20}, 3);
      const Tensor d_o = random_tensor({430, 4, 20}, 4), sequences = Tensor::from(sums);
      const cpu::AttentionShape shape{430, 4, 2, 20, sums};
      const cpu::AttentionInputs in{q.data<float>(), k.data<float>(), v.data<float>()};
      Tensor o(q.shape()), lse({430, 4}), dq(q.shape()), dk(k.shape()), dv(k.shape());
      Tensor o2(q.shape()), lse2({430, 4}), dq2(q.shape()), dk2(k.shape()), dv2(k.shape());
      Context context = Context::cpu(2);
      attention_forward(context, q, k, v, sequences, options, o, lse);
      attention_backward(context, d_o, q, k, v, o, lse, sequences, options, dq, dk, dv);
      cpu::reference::attention_forward(shape, options, in, o2.data<float>(), lse2.data<float>());
      cpu::reference::attention_backward(shape, options, in,
                                         {d_o.data<float>(), o2.data<float>(), lse2.data<float>(), dq2.data<float>(),
                                          dk2.data<float>(), dv2.data<float>()});
      expect_close(to_doubles(o), to_doubles(o2), 1e-5, "o");
      expect_close(to_doubles(lse), to_doubles(lse2), 1e-5, "lse");
      expect_close(to_doubles(dq), to_doubles(dq2), 1e-5, "dq");
      expect_close(to_doubles(dk), to_doubles(dk2), 1e-5, "dk");
      expect_close(to_doubles(dv), to_doubles(dv2), 1e-5, "dv");
    }
  }
}

TEST(Attention, LargeScoresDoNotOverflow) {
  Context context = Context::cpu(1);
  const Tensor q = random_tensor({40, 1, 8}, 1, 100.0), k = random_tensor({40, 1, 8}, 2, 100.0),
               v = random_tensor({40, 1, 8}, 3);
  Tensor o(q.shape()), lse({40, 1});
  attention_forward(context, q, k, v, Tensor::from<std::int32_t>({0, 40}), {.scale = 1.0f}, o, lse);
  for (const float value : o.values<float>()) ASSERT_TRUE(std::isfinite(value));
}

TEST(Attention, DecodingATokenEqualsItsRowOfTheWholeSequence) {
  for (const std::int64_t window : {0, 6}) {
    Context context = Context::cpu(2);
    const AttentionOptions options{.scale = 0.3f, .softcap = window > 0 ? 0.8f : 0.0f, .sliding_window = window};
    const Tensor q = random_tensor({21, 4, 12}, 1), k = random_tensor({21, 2, 12}, 2),
                 v = random_tensor({21, 2, 12}, 3);
    Tensor o(q.shape()), lse({21, 4});
    attention_forward(context, q, k, v, Tensor::from<std::int32_t>({0, 21}), options, o, lse);
    std::vector<CachedSequence> sequences;
    for (std::int64_t length = 1; length <= 21; ++length) sequences.push_back({&k, &v, length});
    Tensor decoded(q.shape());
    attention_decode(context, q, sequences, options, decoded);
    expect_close(to_doubles(decoded), to_doubles(o), 1e-5, "decoded");
  }
}

TEST(Attention, AcceptsNoTokens) {
  Context context = Context::cpu(2);
  Tensor q({0, 4, 8}), k({0, 2, 8}), v({0, 2, 8}), o({0, 4, 8}), lse({0, 4});
  attention_forward(context, q, k, v, Tensor::from<std::int32_t>({0}), {}, o, lse);
  attention_forward(context, q, k, v, Tensor::from<std::int32_t>({0, 0, 0}), {}, o, lse);
}

TEST(Attention, RefusesWhatDoesNotFit) {
  Context context = Context::cpu(1);
  Tensor q({3, 4, 8}), k({3, 3, 8}), good({3, 2, 8}), o({3, 4, 8}), lse({3, 4});
  const Tensor sums = Tensor::from<std::int32_t>({0, 3}), short_sums = Tensor::from<std::int32_t>({0, 2});
  expect_refused([&] { attention_forward(context, q, k, k, sums, {}, o, lse); },
                 {"attention_forward", "[3, 4, 8]", "3"});
  expect_refused([&] { attention_forward(context, q, good, k, sums, {}, o, lse); }, {"v", "[3, 3, 8]", "[3, 2, 8]"});
  expect_refused([&] { attention_forward(context, q, good, good, short_sums, {}, o, lse); }, {"cu_seqlens", "3"});
  const std::vector<CachedSequence> sequences{{&good, &good, 4}};
  Tensor one({1, 4, 8}), one_o({1, 4, 8});
  expect_refused([&] { attention_decode(context, one, sequences, {}, one_o); }, {"attention_decode", "length 4", "3"});
}

}  // namespace
}  // namespace kernels
