#include "finetune/formats/gguf.h"

#include <gtest/gtest.h>

#include <fstream>

#include "platform/base/error.h"

namespace finetune {
namespace {

using kernels::Tensor;

// One value of every type, and an array of every type.
GgufMetadata every_kind() {
  return {{"general.architecture", std::string("llama")},
          {"a.u8", std::uint8_t{200}},
          {"a.i8", std::int8_t{-7}},
          {"a.u16", std::uint16_t{60000}},
          {"a.i16", std::int16_t{-300}},
          {"a.u32", std::uint32_t{4000000000u}},
          {"a.i32", std::int32_t{-5}},
          {"a.f32", 1.5f},
          {"a.yes", true},
          {"a.u64", std::uint64_t{1} << 60},
          {"a.i64", -(std::int64_t{1} << 60)},
          {"a.f64", 0.1},
          {"tokenizer.ggml.tokens", GgufArray(std::vector<std::string>{"가", "", "b"})},
          {"attention.sliding_window_pattern", GgufArray(std::vector<bool>{true, false, true})},
          {"scores", GgufArray(std::vector<float>{-1, 2})},
          {"types", GgufArray(std::vector<std::int32_t>{1, -2})},
          {"bytes", GgufArray(std::vector<std::uint8_t>{1, 255})},
          {"empty", GgufArray(std::vector<double>{})}};
}

class Gguf : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_.path() / "x.gguf"; }
  void put(std::string_view bytes) const { std::ofstream(path(), std::ios::binary | std::ios::trunc) << bytes; }
  std::string refusal(std::string_view bytes) const {
    put(bytes);
    try {
      const GgufFile file(path());
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kCorrupt);
      return error.what();
    }
    return "accepted";
  }
  void expect_refused(std::string bytes, std::size_t at, std::string_view instead, std::string_view because) const {
    bytes.replace(at, instead.size(), instead);
    EXPECT_NE(refusal(bytes).find(because), std::string::npos) << refusal(bytes) << " for " << because;
  }

 private:
  platform::TemporaryFolder folder_;
};

TEST_F(Gguf, ReadsBackWhatItWrote) {
  std::vector<float> numbers(128);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i) - 64;
  const Tensor matrix = Tensor::from(numbers, {2, 64}), odd = Tensor::from<float>({1, 2, 3});
  write_gguf(path(), every_kind(),
             {{"odd", GgufType::kF32, &odd}, {"matrix", GgufType::kQ8_0, &matrix}, {"half", GgufType::kF16, &matrix}});
  const GgufFile file(path());
  EXPECT_EQ(file.metadata(), every_kind());
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.info("matrix").shape, (kernels::Shape{2, 64}));
  EXPECT_EQ(file.info("matrix").offset_bytes % 32, 0u);
  EXPECT_EQ(file.read_bytes("matrix").size(), 4u * 34);
  EXPECT_EQ(file.read("odd").data<float>()[2], 3.0f);
  const Tensor half = file.read("half"), eighth = file.read("matrix");
  for (std::int64_t i = 0; i < matrix.count(); ++i) {
    EXPECT_EQ(half.data<float>()[i], matrix.data<float>()[i]);
    EXPECT_NEAR(eighth.data<float>()[i], matrix.data<float>()[i], 0.3);
  }
  EXPECT_FALSE(file.contains("matrices"));
  EXPECT_EQ(file.find("a.u33"), nullptr);
  EXPECT_EQ(gguf_bytes(every_kind(), {}).size() > 100, true);
}

TEST_F(Gguf, TheFirstBytesAreThoseOfTheFormat) {
  const std::string bytes = gguf_bytes({{"k", std::uint8_t{9}}}, {});
  const std::string expected(
      "GGUF\3\0\0\0"
      "\0\0\0\0\0\0\0\0"
      "\1\0\0\0\0\0\0\0"
      "\1\0\0\0\0\0\0\0k"
      "\0\0\0\0\x09",
      38);
  EXPECT_EQ(bytes, expected);
}

TEST_F(Gguf, ANamedAlignmentIsKept) {
  const Tensor one = Tensor::from<float>({1});
  write_gguf(path(), {{"general.alignment", std::uint32_t{256}}},
             {{"a", GgufType::kF32, &one}, {"b", GgufType::kF32, &one}});
  const GgufFile file(path());
  EXPECT_EQ(file.info("a").offset_bytes % 256, 0u);
  EXPECT_EQ(file.info("b").offset_bytes - file.info("a").offset_bytes, 256u);
}

TEST_F(Gguf, RefusesEveryKindOfDamageByName) {
  const Tensor one = Tensor::from<float>({1, 2});
  // 24 bytes of head; key "k" (8 + 1), type 4, value 1; name (8 + 1), rank 4, size 8, type 4, offset 8; data at 96.
  const std::string sound = gguf_bytes({{"k", std::uint8_t{9}}}, {{"t", GgufType::kF32, &one}});
  ASSERT_EQ(sound.size(), 128u);
  ASSERT_EQ(refusal(sound), "accepted");
  expect_refused(sound, 0, "GGML", "does not begin with GGUF");
  expect_refused(sound, 4, std::string_view("\0\0\0\3", 4), "big-endian");
  expect_refused(sound, 4, "\1", "version 1");
  expect_refused(sound, 8, "\xff\xff\xff", "tensors");
  expect_refused(sound, 16, "\xff\xff\xff", "keys");
  expect_refused(sound, 24, "\xff\xff\xff", "a key claims");
  expect_refused(sound, 33, "\x0d", "unknown type 13");
  expect_refused(sound, 33, "\7", "truth value 9");
  expect_refused(sound, 47, "\5", "5 dimensions");
  expect_refused(sound, 51, "\xff\xff\xff\xff\xff\xff\xff", "overflows");
  expect_refused(sound, 51, "\3", "accepted");  // three floats fit into the padding
  expect_refused(sound, 51, "\x21", "beyond the end");
  expect_refused(sound, 59, "\2", "whole blocks");
  expect_refused(sound, 59, "\4", "type 4");
  expect_refused(sound, 63, "\40", "lies at 32");
  EXPECT_NE(refusal(sound + std::string(32, 'x')).find("belong to nothing"), std::string::npos);
  EXPECT_NE(refusal(sound.substr(0, 60)).find("within its header"), std::string::npos);
  EXPECT_NE(refusal(gguf_bytes({{"general.alignment", std::uint32_t{48} - 16}}, {}).replace(53, 1, "\3"))
                .find("power of two"),
            std::string::npos);
}

// Fields of a file put together by hand.
class Fields {
 public:
  template <typename T>
  Fields& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Fields& text(std::string_view value) {
    number<std::uint64_t>(value.size());
    bytes_ += value;
    return *this;
  }
  Fields& padded() {
    bytes_.resize((bytes_.size() + 31) / 32 * 32, '\0');
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

  static Fields file(std::uint64_t tensors, std::uint64_t keys) {
    Fields fields;
    fields.bytes_ = "GGUF";
    return fields.number<std::uint32_t>(3).number(tensors).number(keys);
  }
  // A one-dimensional tensor.
  Fields& tensor(std::string_view name, std::uint64_t size, std::uint32_t type, std::uint64_t offset) {
    return text(name).number<std::uint32_t>(1).number(size).number(type).number(offset);
  }

 private:
  std::string bytes_;
};

TEST_F(Gguf, RefusesWhatAHostileHandPutsTogether) {
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 62;
  const std::string kept(64, '\0');
  const std::pair<std::string, const char*> cases[] = {
      {Fields::file(kHuge, 0).bytes() + kept, "tensors"},
      {Fields::file(0, kHuge).bytes() + kept, "keys"},
      {Fields::file(0, 1).text("k").number<std::uint32_t>(8).number(kHuge).bytes() + kept, "a text claims"},
      {Fields::file(0, 1).text("k").number<std::uint32_t>(9).number<std::uint32_t>(4).number(kHuge).bytes() + kept,
       "array items"},
      {Fields::file(0, 1).text("k").number<std::uint32_t>(9).number<std::uint32_t>(9).number(kHuge).bytes() + kept,
       "array of arrays"},
      {Fields::file(0, 1).text("k").number<std::uint32_t>(9).number<std::uint32_t>(99).number(kHuge).bytes() + kept,
       "array of the unknown type 99"},
      {Fields::file(0, 2)
               .text("k")
               .number<std::uint32_t>(7)
               .number(true)
               .text("k")
               .number<std::uint32_t>(7)
               .number(true)
               .bytes() +
           kept,
       "there twice"},
      {Fields::file(1, 1)
               .text("general.alignment")
               .number<std::uint32_t>(4)
               .number<std::uint32_t>(0)
               .tensor("t", 1, 0, 0)
               .padded()
               .bytes() +
           kept,
       "power of two"},
      {Fields::file(1, 1)
               .text("general.alignment")
               .number<std::uint32_t>(10)
               .number<std::uint64_t>(32)
               .tensor("t", 1, 0, 0)
               .padded()
               .bytes() +
           kept,
       "power of two"},
      {Fields::file(1, 1)
               .text("general.alignment")
               .number<std::uint32_t>(4)
               .number(std::uint32_t{1} << 31)
               .tensor("t", 1, 0, 0)
               .padded()
               .bytes() +
           kept,
       "beyond the end"},
      // Two tensors at one place, one before the data, one far behind it.
      {Fields::file(2, 0).tensor("a", 8, 0, 0).tensor("b", 8, 0, 0).padded().bytes() + kept, "'b' lies at 0"},
      {Fields::file(1, 0).tensor("a", 8, 0, ~std::uint64_t{31}).padded().bytes() + kept, "lies at"},
      {Fields::file(2, 0).tensor("a", 8, 0, 0).tensor("b", 8, 0, 64).padded().bytes() + kept, "lies at 64"},
      {Fields::file(1, 0).tensor("a", kHuge, 0, 0).padded().bytes() + kept, "overflows"},
      {Fields::file(1, 0).tensor("a", 16, 8, 0).padded().bytes() + kept, "whole blocks"},
      {Fields::file(1, 0).tensor("a", 16, 9, 0).padded().bytes() + kept, "type 9"},
      {Fields::file(2, 0).tensor("a", 8, 0, 0).tensor("a", 8, 0, 32).padded().bytes() + kept, "there twice"},
      {Fields::file(1, 0).tensor("", 8, 0, 0).padded().bytes() + kept, "no name"},
      {Fields::file(1, 0).tensor(std::string(64, 'n'), 8, 0, 0).padded().bytes() + kept, "at most 63"},
  };
  for (const auto& [bytes, because] : cases)
    EXPECT_NE(refusal(bytes).find(because), std::string::npos) << refusal(bytes) << " for " << because;
}

TEST_F(Gguf, AKeyIsReadAsWhatItIsOrRefused) {
  put(gguf_bytes(every_kind(), {}));
  const GgufFile file(path());
  EXPECT_EQ(file.whole("a.u8"), 200);
  EXPECT_EQ(file.whole("a.i64"), -(std::int64_t{1} << 60));
  EXPECT_EQ(file.number("a.f32"), 1.5);
  EXPECT_EQ(*file.text("general.architecture"), "llama");
  EXPECT_EQ(file.texts("tokenizer.ggml.tokens")->size(), 3u);
  EXPECT_EQ(file.whole("absent"), std::nullopt);
  EXPECT_EQ(file.text("absent"), nullptr);
  EXPECT_THROW(file.whole("a.f32"), platform::Error);
  EXPECT_THROW(file.number("a.yes"), platform::Error);
  EXPECT_THROW(file.text("a.u8"), platform::Error);
  EXPECT_THROW(file.texts("scores"), platform::Error);
}

TEST_F(Gguf, AFileThatIsWrittenTensorByTensorHasTheSameBytes) {
  const Tensor one = Tensor::from<float>({1, 2, 3}), matrix = Tensor::zeros({2, 64});
  int written = 0;
  write_gguf(path(), every_kind(),
             {{"one", GgufType::kF32, {3}, [&] { return one.view(); }},
              {"matrix", GgufType::kQ8_0, {2, 64}, [&] { return matrix.view(); }}},
             [&] { ++written; });
  EXPECT_EQ(written, 2);
  EXPECT_EQ(platform::read_file(path()),
            gguf_bytes(every_kind(), {{"one", GgufType::kF32, &one}, {"matrix", GgufType::kQ8_0, &matrix}}));
  // A tensor that cannot be made leaves nothing behind, and what was there.
  EXPECT_THROW(write_gguf(path(), {}, {{"bad", GgufType::kF32, {4}, [&] { return one.view(); }}}, {}), platform::Error);
  EXPECT_EQ(GgufFile(path()).tensors().size(), 2u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path().parent_path()), {}), 1);
}

TEST_F(Gguf, TheWriterTakesNoFileThatTheReaderWouldRefuse) {
  const Tensor row = Tensor::zeros({2, 40});
  const auto refused = [](const GgufMetadata& metadata, const std::vector<GgufTensor>& tensors) {
    EXPECT_THROW(gguf_bytes(metadata, tensors), platform::Error);
  };
  refused({{"k", true}, {"k", false}}, {});
  refused({{"", true}}, {});
  refused({{"general.alignment", std::uint32_t{24}}}, {});
  refused({{"k", GgufArray(std::monostate())}}, {});
  refused({}, {{"t", GgufType::kF32, &row}, {"t", GgufType::kF32, &row}});
  refused({}, {{std::string(64, 'n'), GgufType::kF32, &row}});
  refused({}, {{"t", GgufType::kQ8_0, &row}});
  refused({}, {{"t", GgufType::kQ6_K, &row}});
}

}  // namespace
}  // namespace finetune
