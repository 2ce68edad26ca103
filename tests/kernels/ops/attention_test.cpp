#include "kernels/ops/attention.h"

#include "kernels/cpu/reference.h"
#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::contexts;
using test_support::describe;
using test_support::Doubles;
using test_support::expect_close;
using test_support::expect_refused;
using test_support::like;
using test_support::OpCase;
using test_support::random_tensor;
using test_support::same_bits;
using test_support::to_doubles;
using test_support::zeros;

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
  op.name = "attention over " + std::to_string(tokens) + " tokens, " + std::to_string(s.heads) + "/" +
            std::to_string(s.key_heads) + " heads of " + std::to_string(s.head_size);
  op.inputs.push_back(random_tensor({tokens, s.heads, s.head_size}, 1));
  op.inputs.push_back(random_tensor({tokens, s.key_heads, s.head_size}, 2));
  op.inputs.push_back(random_tensor({tokens, s.key_heads, s.head_size}, 3));
  op.differentiated = 3;
  op.forward = [s](Context& context, const std::vector<Tensor>& in) {
    Tensor o = like(context, in[0]), lse({in[0].size(0), s.heads}, DataType::kFloat32, context);
    attention_forward(context, in[0], in[1], in[2], Tensor::from(s.cu_seqlens).to(context), s.options, o, lse);
    return o;
  };
  op.backward = [s](Context& context, const std::vector<Tensor>& in, const Tensor& d_o) {
    const Tensor sequences = Tensor::from(s.cu_seqlens).to(context);
    Tensor o = like(context, in[0]), lse({in[0].size(0), s.heads}, DataType::kFloat32, context);
    attention_forward(context, in[0], in[1], in[2], sequences, s.options, o, lse);
    std::vector<Tensor> gradients;
    for (const Tensor& input : in) gradients.push_back(like(context, input));
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

// What both passes give, from inputs of a fixed seed rounded to `type`.
struct Passes {
  Tensor o, lse, dq, dk, dv;
};
Passes run(Context& context, const Setting& s, DataType type) {
  const std::int64_t tokens = s.cu_seqlens.back();
  const auto input = [&](std::int64_t heads, std::uint64_t seed) {
    const Tensor rounded = random_tensor({tokens, heads, s.head_size}, seed).cast_to(type);
    return (context.is_cuda() ? rounded.clone() : rounded.cast_to(DataType::kFloat32)).to(context);
  };
  const Tensor q = input(s.heads, 1), k = input(s.key_heads, 2), v = input(s.key_heads, 3), d_o = input(s.heads, 4);
  const Tensor sequences = Tensor::from(s.cu_seqlens).to(context);
  Passes passes{like(context, q), Tensor({tokens, s.heads}, DataType::kFloat32, context), like(context, q),
                like(context, k), like(context, k)};
  attention_forward(context, q, k, v, sequences, s.options, passes.o, passes.lse);
  attention_backward(context, d_o, q, k, v, passes.o, passes.lse, sequences, s.options, passes.dq, passes.dk,
                     passes.dv);
  context.synchronise();
  return passes;
}

// Every device but the CPU against the CPU, in every type.
void expect_like_cpu(const Setting& s) {
  for (Context& context : contexts()) {
    if (!context.is_cuda()) continue;
    for (const DataType type : {DataType::kFloat32, DataType::kBFloat16, DataType::kFloat16}) {
      Context cpu = Context::cpu(1);
      const Passes actual = run(context, s, type), expected = run(cpu, s, type);
      const double step = type == DataType::kFloat32 ? 1e-5 : type == DataType::kBFloat16 ? 0x1p-7 : 0x1p-10;
      const std::string name = describe(context) + " " + name_of(type) + " head size " + std::to_string(s.head_size);
      expect_close(to_doubles(actual.o), to_doubles(expected.o), step, name + " o");
      expect_close(to_doubles(actual.lse), to_doubles(expected.lse), 1e-5, name + " lse");
      expect_close(to_doubles(actual.dq), to_doubles(expected.dq), 2 * step, name + " dq");
      expect_close(to_doubles(actual.dk), to_doubles(expected.dk), 2 * step, name + " dk");
      expect_close(to_doubles(actual.dv), to_doubles(expected.dv), 2 * step, name + " dv");
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Attention, DevicesAgreeForEveryHeadSize) {
  for (const std::int64_t size : {7, 24, 33, 64, 80, 96, 128, 192, 256}) {
    const float scale = 1.0f / std::sqrt(static_cast<float>(size));
    expect_like_cpu({{0, 3, 3, 40}, 2, 1, size, {.scale = scale}});
    if (testing::Test::HasFatalFailure()) return;
  }
}

// Longer than the tiles in both directions, with documents that begin and end inside of them.
TEST(Attention, DevicesAgreeAcrossTilesAndDocumentBorders) {
  const auto expect_alike = [](std::int64_t window, bool causal) {
    const float cap = window == 40 ? 1.5f : 0.0f;
    const AttentionOptions options{.scale = 0.3f, .softcap = cap, .sliding_window = window, .causal = causal};
    expect_like_cpu({{0, 1, 1, 2, 71, 150, 150}, 3, 1, 16, options});
  };
  expect_alike(0, true);
  expect_alike(1, true);
  expect_alike(40, true);
  expect_alike(1000, true);
  expect_alike(0, false);
  expect_alike(40, false);
}

TEST(Attention, AWindowOfOneCopiesTheValues) {
  for (Context& context : contexts()) {
    const Tensor x = random_tensor({70, 2, 8}, 1).to(context);
    Tensor o = like(context, x), lse({70, 2}, DataType::kFloat32, context);
    const Tensor sums = Tensor::from<std::int32_t>({0, 9, 70}).to(context);
    attention_forward(context, x, x, x, sums, {.scale = 0.5f, .sliding_window = 1}, o, lse);
    expect_close(to_doubles(o), to_doubles(x), 1e-6, describe(context));
  }
}

TEST(Attention, AWindowLongerThanEveryDocumentChangesNoBit) {
  for (Context& context : contexts()) {
    const Passes open = run(context, {{0, 30, 75}, 2, 1, 8, {.scale = 0.5f}}, DataType::kBFloat16);
    for (const std::int64_t window : {45, 1 << 30}) {
      const Setting s{{0, 30, 75}, 2, 1, 8, {.scale = 0.5f, .sliding_window = window}};
      const Passes windowed = run(context, s, DataType::kBFloat16);
      EXPECT_TRUE(same_bits(open.o, windowed.o)) << describe(context);
      EXPECT_TRUE(same_bits(open.dq, windowed.dq)) << describe(context);
      EXPECT_TRUE(same_bits(open.dk, windowed.dk)) << describe(context);
      EXPECT_TRUE(same_bits(open.dv, windowed.dv)) << describe(context);
    }
  }
}

TEST(Attention, TakesRowsThatBeginAnywhere) {
  for (Context& context : contexts()) {
    if (!context.is_cuda()) continue;
    const Tensor x = random_tensor({40 * 2 * 8 + 1}, 1).cast_to(DataType::kBFloat16).to(context);
    const Tensor whole = x.to_host(), moved = whole.slice_rows(1, whole.count()).clone().to(context);
    const Tensor aligned = moved.view({40, 2, 8}), odd = x.slice_rows(1, x.count()).view({40, 2, 8});
    const Tensor sums = Tensor::from<std::int32_t>({0, 40}).to(context);
    Tensor o = like(context, aligned), o2 = like(context, aligned), lse({40, 2}, DataType::kFloat32, context);
    attention_forward(context, aligned, aligned, aligned, sums, {}, o, lse);
    attention_forward(context, odd, odd, odd, sums, {}, o2, lse);
    EXPECT_TRUE(same_bits(o, o2)) << describe(context);
  }
}

TEST(Attention, LargeScoresDoNotOverflow) {
  for (Context& context : contexts()) {
    const Tensor q = random_tensor({40, 1, 8}, 1, 100.0).to(context),
                 k = random_tensor({40, 1, 8}, 2, 100.0).to(context), v = random_tensor({40, 1, 8}, 3).to(context);
    Tensor o = like(context, q), lse({40, 1}, DataType::kFloat32, context);
    attention_forward(context, q, k, v, Tensor::from<std::int32_t>({0, 40}).to(context), {.scale = 1.0f}, o, lse);
    for (const double value : to_doubles(o)) ASSERT_TRUE(std::isfinite(value)) << describe(context);
  }
}

// A token for every length, decoded, against the rows of the whole sequence; q, k and v are on the context's device.
void expect_decoded_rows(Context& context, const Tensor& q, const Tensor& k, const Tensor& v,
                         const AttentionOptions& options, double tolerance) {
  const std::int64_t tokens = q.size(0);
  Tensor o = like(context, q), lse({tokens, q.size(1)}, DataType::kFloat32, context), decoded = like(context, q);
  const Tensor sums = Tensor::from<std::int32_t>({0, static_cast<std::int32_t>(tokens)}).to(context);
  attention_forward(context, q, k, v, sums, options, o, lse);
  std::vector<CachedSequence> sequences;
  for (std::int64_t length = 1; length <= tokens; ++length) sequences.push_back({&k, &v, length});
  attention_decode(context, q, sequences, options, decoded);
  expect_close(to_doubles(decoded), to_doubles(o), tolerance, "decoded on " + describe(context));
}

TEST(Attention, DecodingATokenEqualsItsRowOfTheWholeSequence) {
  for (Context& context : contexts()) {
    for (const std::int64_t window : {0, 6}) {
      const AttentionOptions options{.scale = 0.3f, .softcap = window > 0 ? 0.8f : 0.0f, .sliding_window = window};
      const Tensor q = random_tensor({21, 4, 12}, 1).to(context), k = random_tensor({21, 2, 12}, 2).to(context),
                   v = random_tensor({21, 2, 12}, 3).to(context);
      expect_decoded_rows(context, q, k, v, options, 1e-5);
    }
  }
}

// 70 sequences are two launches; 7 heads share one.
TEST(Attention, DecodingIn16BitsEqualsTheWholeSequenceForEveryHeadSize) {
  for (Context& context : contexts()) {
    if (!context.is_cuda()) continue;
    for (const std::int64_t size : {5, 64, 80, 128, 256}) {
      const std::int64_t tokens = size == 64 ? 70 : 9, heads = size == 80 ? 7 : size == 128 ? 1 : 3;
      for (const DataType type : {DataType::kBFloat16, DataType::kFloat16}) {
        const Tensor q = random_tensor({tokens, heads, size}, 1).cast_to(type).to(context),
                     k = random_tensor({tokens, 1, size}, 2).cast_to(type).to(context),
                     v = random_tensor({tokens, 1, size}, 3).cast_to(type).to(context);
        expect_decoded_rows(context, q, k, v, {.scale = 0.1f}, type == DataType::kBFloat16 ? 0x1p-7 : 0x1p-10);
      }
    }
  }
}

// Long enough that a device splits the keys over blocks.
TEST(Attention, DecodingALongCacheEqualsItsDefinition) {
  const Tensor q = random_tensor({700, 2, 8}, 1), k = random_tensor({700, 1, 8}, 2), v = random_tensor({700, 1, 8}, 3);
  const Doubles whole = definition({{0, 700}, 2, 1, 8, {.scale = 0.3f}}, {to_doubles(q), to_doubles(k), to_doubles(v)});
  for (Context& context : contexts()) {
    const Tensor keys = k.to(context), values = v.to(context);
    for (const std::int64_t length : {1, 2, 699}) {
      const Tensor query = q.slice_rows(length - 1, length).to(context);
      const std::vector<CachedSequence> sequences{{&keys, &values, length}};
      Tensor o = like(context, query), again = like(context, query);
      attention_decode(context, query, sequences, {.scale = 0.3f}, o);
      attention_decode(context, query, sequences, {.scale = 0.3f}, again);
      const auto row = whole.begin() + (length - 1) * 16;
      expect_close(to_doubles(o), Doubles(row, row + 16), 1e-5, describe(context));
      EXPECT_TRUE(same_bits(o, again)) << describe(context);
    }
  }
}

TEST(Attention, AcceptsNoTokens) {
  for (Context& context : contexts()) {
    const Tensor q = zeros(context, {0, 4, 8}), k = zeros(context, {0, 2, 8});
    Tensor o = zeros(context, {0, 4, 8}), lse = zeros(context, {0, 4}), dk = zeros(context, {0, 2, 8}),
           dv = zeros(context, {0, 2, 8});
    for (const std::vector<std::int32_t>& sums : {std::vector<std::int32_t>{0}, {0, 0, 0}}) {
      const Tensor sequences = Tensor::from(sums).to(context);
      attention_forward(context, q, k, k, sequences, {}, o, lse);
      attention_backward(context, q, q, k, k, o, lse, sequences, {}, o, dk, dv);
    }
  }
}

TEST(Attention, DocumentsOutOfOrderOnADeviceAreRefusedAtTheNextWait) {
  for (Context& context : contexts()) {
    if (!context.is_cuda()) continue;
    for (const std::vector<std::int32_t>& sums :
         {std::vector<std::int32_t>{0, 5, 3, 8}, {0, 5}, {0, 100}, {1, 8}, {0, -4, 8}, {0}}) {
      const Tensor x = random_tensor({8, 1, 8}, 1).cast_to(DataType::kBFloat16).to(context);
      Tensor o = like(context, x), lse({8, 1}, DataType::kFloat32, context);
      attention_forward(context, x, x, x, Tensor::from(sums).to(context), {}, o, lse);
      expect_refused([&] { context.synchronise(); }, {"attention", "cu_seqlens", "8"});
    }
  }
}

TEST(Attention, ADeviceRefusesHeadsThatItHasNoKernelFor) {
  for (Context& context : contexts()) {
    if (!context.is_cuda()) continue;
    const Tensor x = zeros(context, {2, 1, 257});
    Tensor o = zeros(context, {2, 1, 257}), lse = zeros(context, {2, 1});
    const Tensor sums = Tensor::from<std::int32_t>({0, 2}).to(context);
    expect_refused([&] { attention_forward(context, x, x, x, sums, {}, o, lse); }, {"257", "256"});
  }
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
