#include "finetune/bench/random_base.h"

#include <gtest/gtest.h>

#include "finetune/bench/peak_memory.h"
#include "finetune/model/base.h"
#include "finetune/train/example_encoding.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

const kernels::DecoderShape kTiny{"tiny", 16, 2, 4, 2, 24, 600};

class RandomBase : public testing::Test {
 protected:
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  platform::TemporaryFolder folder_;
};

TEST_F(RandomBase, IsABaseOfItsShapeWithATokenizerAsLargeAsItsVocabulary) {
  write_random_base(path("base"), kTiny, 64);
  const Base base = Base::load(path("base"));
  EXPECT_EQ(base.config.hidden_size, 16);
  EXPECT_EQ(base.config.layer_count, 2);
  EXPECT_EQ(base.config.key_value_head_count, 2);
  EXPECT_EQ(base.config.max_positions, 64);
  EXPECT_TRUE(base.weights.tied);
  EXPECT_EQ(base.tokenizer.vocabulary_size(), 600);
  for (const std::string text : {"abc def", "\xed\x95\x9c\xea\xb8\x80"})
    EXPECT_EQ(base.tokenizer.decode(base.tokenizer.encode(text)), text);
}

TEST_F(RandomBase, IsTheSameForTheSameSeed) {
  write_random_base(path("one"), kTiny, 64, 5);
  write_random_base(path("same"), kTiny, 64, 5);
  write_random_base(path("other"), kTiny, 64, 6);
  const Base one = Base::load(path("one")), same = Base::load(path("same")), other = Base::load(path("other"));
  EXPECT_EQ(one.digest, same.digest);
  EXPECT_EQ(one.tokenizer_digest, same.tokenizer_digest);
  EXPECT_NE(one.digest, other.digest);
}

TEST_F(RandomBase, ItsShapesHaveTheWeightsThatTheirArithmeticCounts) {
  for (const kernels::DecoderShape& shape : kernels::decoder_shapes()) {
    const std::int64_t norms = (2 * shape.layers + 1) * shape.hidden;
    EXPECT_EQ(parameter_count(config_of(shape, 2048)),
              kernels::linear_weights(shape) + shape.vocabulary * shape.hidden + norms)
        << shape.name;
  }
}

TEST_F(RandomBase, EveryTextFillsItsSequence) {
  write_random_base(path("base"), kTiny, 64);
  write_random_texts(path("texts.jsonl"), 5, 48);
  const Base base = Base::load(path("base"));
  const EncodingRules rules{.tokenizer = &base.tokenizer, .max_tokens = 48};
  const auto texts = read_examples(path("texts.jsonl"));
  ASSERT_EQ(texts.size(), 5u);
  for (const platform::Example& text : texts) {
    const EncodedExample encoded = encode_example(rules, text, true);
    EXPECT_EQ(encoded.ids.size(), 48u);
    EXPECT_EQ(encoded.supervised(), 47);
  }
  EXPECT_NE(texts[0].text, texts[1].text);
}

TEST(PeakMemory, ForgetsWhatWasFreedBeforeAndSeesWhatComes) {
  constexpr std::int64_t kBytes = std::int64_t{64} << 20;
  { std::vector<char> before(kBytes * 2, 'x'); }
  if (!forget_peak_memory()) GTEST_SKIP() << "this kernel does not let the peak be counted anew";
  const std::int64_t begin = peak_memory_bytes();
  EXPECT_GT(begin, 0);
  { std::vector<char> large(kBytes, 'x'); }
  EXPECT_GE(peak_memory_bytes() - begin, kBytes * 9 / 10);
}

}  // namespace
}  // namespace finetune
