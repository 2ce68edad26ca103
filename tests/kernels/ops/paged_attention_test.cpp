#include "kernels/ops/paged_attention.h"

#include "tests/support/op_case.h"

namespace kernels {
namespace {

using test_support::contexts;
using test_support::describe;
using test_support::expect_close;
using test_support::expect_refused;
using test_support::like;
using test_support::random_tensor;
using test_support::same_bits;
using test_support::to_doubles;
using test_support::zeros;

constexpr std::int64_t kPages = 64, kPageSize = 4, kKeyHeads = 2, kHeads = 6, kTableWidth = 33;

// Three sequences over scattered pages, one of them with nothing in it.
const std::vector<std::int32_t> kLengths{9, 0, 130};
std::vector<std::int32_t> block_table() {
  std::vector<std::int32_t> table(3 * kTableWidth, -7);  // no such page
  for (std::int32_t i = 0; i < 3; ++i) table[static_cast<std::size_t>(i)] = 50 - 7 * i;
  for (std::int32_t i = 0; i < kTableWidth; ++i)
    table[static_cast<std::size_t>(2 * kTableWidth + i)] = (i * 5 + 3) % static_cast<std::int32_t>(kPages);
  return table;
}

// The rows of a pool in the other layout: [P, S, Hkv, D] to [P, Hkv, S, D].
Tensor heads_first(const Tensor& pool) {
  const std::int64_t size = pool.size(3);
  Tensor turned({kPages, kKeyHeads, kPageSize, size});
  for (std::int64_t row = 0; row < kPages * kPageSize * kKeyHeads; ++row) {
    const std::int64_t head = row % kKeyHeads, token = row / kKeyHeads % kPageSize, page = row / kKeyHeads / kPageSize;
    std::copy_n(pool.data<float>() + row * size, size,
                turned.data<float>() + ((page * kKeyHeads + head) * kPageSize + token) * size);
  }
  return turned;
}

// The rows of one sequence side by side: [length, Hkv, D].
Tensor gathered(const Tensor& pool, std::int64_t sequence, std::int64_t length) {
  const std::vector<std::int32_t> table = block_table();
  const std::int64_t row = kKeyHeads * pool.size(3);
  Tensor rows({length, kKeyHeads, pool.size(3)});
  for (std::int64_t j = 0; j < length; ++j) {
    const std::int64_t page = table[static_cast<std::size_t>(sequence * kTableWidth + j / kPageSize)];
    std::copy_n(pool.data<float>() + (page * kPageSize + j % kPageSize) * row, row, rows.data<float>() + j * row);
  }
  return rows;
}

// What attention_decode gives for the same rows on the CPU; zeros for the empty sequence.
Tensor expected_output(const Tensor& q, const Tensor& keys, const Tensor& values, const AttentionOptions& options) {
  Context cpu = Context::cpu(1);
  Tensor o = zeros(cpu, q.shape());
  for (const std::int64_t b : {0, 2}) {
    const std::int64_t length = kLengths[static_cast<std::size_t>(b)];
    const Tensor k = gathered(keys, b, length), v = gathered(values, b, length);
    const std::vector<CachedSequence> sequence{{&k, &v, length}};
    Tensor row = o.slice_rows(b, b + 1);
    attention_decode(cpu, q.slice_rows(b, b + 1), sequence, options, row);
  }
  return o;
}

struct Setting {
  std::int64_t head_size;
  DataType type;
  AttentionOptions options;
};

void expect_like_one_piece(Context& context, const Setting& s) {
  const auto rounded = [&](Shape shape, std::uint64_t seed) {
    return random_tensor(std::move(shape), seed).cast_to(s.type).cast_to(DataType::kFloat32);
  };
  const Tensor q = rounded({3, kHeads, s.head_size}, 1), keys = rounded({kPages, kPageSize, kKeyHeads, s.head_size}, 2),
               values = rounded({kPages, kPageSize, kKeyHeads, s.head_size}, 3);
  const Tensor expected = expected_output(q, keys, values, s.options), query = q.cast_to(s.type).to(context);
  const Tensor table = Tensor::from(block_table(), {3, kTableWidth}).to(context);
  const Tensor lengths = Tensor::from(kLengths).to(context);
  const double step = s.type == DataType::kFloat32 ? 1e-5 : s.type == DataType::kBFloat16 ? 0x1p-7 : 0x1p-10;
  for (const PageLayout layout : {PageLayout::kTokensFirst, PageLayout::kHeadsFirst}) {
    const bool turned = layout == PageLayout::kHeadsFirst;
    const Tensor k = (turned ? heads_first(keys) : keys.clone()).cast_to(s.type).to(context),
                 v = (turned ? heads_first(values) : values.clone()).cast_to(s.type).to(context);
    Tensor o = like(context, query), again = like(context, query);
    const PagedCache cache{&k, &v, &table, &lengths, layout};
    paged_attention_decode(context, query, cache, s.options, o);
    paged_attention_decode(context, query, cache, s.options, again);
    context.synchronise();
    expect_close(to_doubles(o), to_doubles(expected), step, describe(context) + " " + name_of(s.type));
    EXPECT_TRUE(same_bits(o, again)) << describe(context);
  }
}

TEST(PagedAttention, EqualsACacheInOnePieceInEitherLayout) {
  for (Context& context : contexts()) {
    for (const DataType type : {DataType::kFloat32, DataType::kBFloat16, DataType::kFloat16}) {
      if (type != DataType::kFloat32 && !context.is_cuda()) continue;
      expect_like_one_piece(context, {64, type, {.scale = 0.2f}});
      expect_like_one_piece(context, {6, type, {.scale = 0.2f, .softcap = 0.9f}});
    }
  }
}

TEST(PagedAttention, ReadsNoPageBeforeTheWindow) {
  for (Context& context : contexts()) {
    const AttentionOptions options{.scale = 0.2f, .sliding_window = 5};
    expect_like_one_piece(context, {8, DataType::kFloat32, options});
    std::vector<std::int32_t> pages(kTableWidth, -1);
    pages[31] = 4;  // tokens 125 to 129 lie in the last two
    pages[32] = 9;
    const Tensor q = random_tensor({1, 2, 8}, 1).to(context), pool = random_tensor({10, 4, 2, 8}, 2).to(context);
    const Tensor table = Tensor::from(pages, {1, kTableWidth}).to(context);
    const Tensor lengths = Tensor::from<std::int32_t>({130}).to(context);
    Tensor o = like(context, q);
    paged_attention_decode(context, q, {&pool, &pool, &table, &lengths}, options, o);
    context.synchronise();
  }
}

TEST(PagedAttention, RefusesPagesAndLengthsThatAreNotThere) {
  for (Context& context : contexts()) {
    const Tensor q = random_tensor({1, 2, 8}, 1).to(context), pool = random_tensor({3, 4, 2, 8}, 2).to(context);
    Tensor o = like(context, q);
    const auto decode = [&](const std::vector<std::int32_t>& pages, std::int32_t length) {
      const Tensor table = Tensor::from(pages, {1, 2}).to(context);
      const Tensor lengths = Tensor::from<std::int32_t>({length}).to(context);
      paged_attention_decode(context, q, {&pool, &pool, &table, &lengths}, {}, o);
      context.synchronise();
    };
    decode({2, 99}, 4);  // the second page is not used
    expect_refused([&] { decode({2, 3}, 5); }, {"attention_decode", "page 3", "3"});
    expect_refused([&] { decode({-1, 0}, 5); }, {"attention_decode", "page -1"});
    expect_refused([&] { decode({0, 1}, 9); }, {"attention_decode", "length 9", "8"});
    expect_refused([&] { decode({0, 1}, -1); }, {"attention_decode", "length -1", "8"});
  }
}

TEST(PagedAttention, AcceptsNoSequences) {
  for (Context& context : contexts()) {
    const Tensor q = zeros(context, {0, 2, 8}), pool = zeros(context, {3, 4, 2, 8});
    const Tensor table({0, 2}, DataType::kInt32, context), lengths({0}, DataType::kInt32, context);
    Tensor o = zeros(context, {0, 2, 8});
    paged_attention_decode(context, q, {&pool, &pool, &table, &lengths}, {}, o);
  }
}

TEST(PagedAttention, RefusesWhatDoesNotFit) {
  Context context = Context::cpu(1);
  const Tensor q = random_tensor({1, 4, 8}, 1), pool = random_tensor({3, 4, 3, 8}, 2), narrow({3, 4, 2, 6});
  const Tensor table = Tensor::from<std::int32_t>({0, 1}, {1, 2}), lengths = Tensor::from<std::int32_t>({5});
  Tensor o({1, 4, 8});
  const auto decode = [&](const PagedCache& cache) { paged_attention_decode(context, q, cache, {}, o); };
  expect_refused([&] { decode({&pool, &pool, &table, &lengths}); }, {"[1, 4, 8]", "3 key heads"});
  expect_refused([&] { decode({&narrow, &narrow, &table, &lengths}); }, {"keys", "[3, 4, 2, 6]"});
  expect_refused([&] { decode({&pool, &pool, &table, nullptr}); }, {"lengths"});
  expect_refused([&] { decode({&pool, &pool, &table, &table}); }, {"lengths", "[1, 2]"});
}

}  // namespace
}  // namespace kernels
