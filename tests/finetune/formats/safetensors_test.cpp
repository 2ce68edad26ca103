#include "finetune/formats/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "finetune/formats/weight_folder.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using kernels::DataType;
using kernels::Tensor;

std::string with_header(const std::string& header, std::size_t data_bytes) {
  std::string bytes(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, '\1');
}

class SafetensorsFiles : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& bytes, const char* name = "x.safetensors") const {
    std::ofstream(folder_.path() / name, std::ios::binary) << bytes;
    return folder_.path() / name;
  }
  std::string refusal(const std::string& bytes) const {
    try {
      SafetensorsFile file(write(bytes));
    } catch (const platform::Error& error) {
      return error.what();
    }
    return "(accepted)";
  }
  platform::TemporaryFolder folder_;
};

using Safetensors = SafetensorsFiles;

TEST_F(Safetensors, ReadsBackEveryTypeThatItWrites) {
  const Tensor floats = Tensor::from<float>({1.5f, -2, 3, 4, 5, 6}, {2, 3});
  const Tensor halves = floats.cast_to(DataType::kBFloat16);
  const Tensor integers = Tensor::from<std::int64_t>({7, -8});
  const Tensor empty = Tensor::zeros({0, 4});
  write_safetensors(folder_.path() / "w.safetensors",
                    {{"f", &floats}, {"h", &halves}, {"i", &integers}, {"e", &empty}});
  const SafetensorsFile file(folder_.path() / "w.safetensors");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"e", "f", "h", "i"}));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.info("h").dtype, "BF16");
  EXPECT_EQ(file.read("f").shape(), (kernels::Shape{2, 3}));
  EXPECT_EQ(file.read("f").data<float>()[1], -2);
  EXPECT_EQ(file.read_as("h", DataType::kFloat32).data<float>()[0], 1.5f);
  EXPECT_EQ(file.read("i").data<std::int64_t>()[1], -8);
  EXPECT_EQ(file.read("e").count(), 0);
  EXPECT_THROW(file.read_as("i", DataType::kFloat32), platform::Error);
  EXPECT_THROW(file.read("missing"), platform::Error);
}

TEST_F(Safetensors, PutsWideTypesFirstAndAlignsTheData) {
  const Tensor half = Tensor::from<float>({1}).cast_to(DataType::kBFloat16);
  const Tensor wide = Tensor::from<std::int64_t>({1});
  const std::string bytes = safetensors_bytes({{"a", &half}, {"z", &wide}});
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ((8 + header) % 8, 0u);
  EXPECT_LT(bytes.find("\"z\""), bytes.find("\"a\""));
  EXPECT_EQ(bytes, safetensors_bytes({{"a", &half}, {"z", &wide}}));
}

TEST_F(Safetensors, NamesTheTensorThatHoldsNaN) {
  const Tensor bad = Tensor::from<float>({1, std::numeric_limits<float>::quiet_NaN()});
  write_safetensors(folder_.path() / "w.safetensors", {{"model.norm.weight", &bad}});
  try {
    SafetensorsFile(folder_.path() / "w.safetensors").read_finite("model.norm.weight", DataType::kFloat32);
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCorrupt);
    EXPECT_NE(std::string(error.what()).find("'model.norm.weight' holds NaN or infinity at element 1"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(Safetensors, RefusesHostileHeadersWithOneClearSentence) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_EQ(refusal(with_header(good, 8)), "(accepted)");
  const struct {
    std::string bytes;
    const char* said;
  } kCases[] = {
      {"", "at least 8"},
      {"1234567", "at least 8"},
      {std::string(8, '\xFF'), "at most 100000000"},
      {with_header(good, 8).substr(0, 30), "has 22 left"},
      {with_header(good, 7), "behind the end"},
      {with_header(good, 9), "1 bytes follow"},
      {with_header("[]", 0), "begin with '{'"},
      {with_header("{", 0), "x.safetensors"},
      {with_header(R"({"a":5})", 0), "is not an object"},
      {with_header(R"({"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})", 8), "unknown dtype 'F99'"},
      {with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8), "ends before it begins"},
      {with_header(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8), "need 12"},
      {with_header(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), "natural number"},
      {with_header(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8), "overflows"},
      {with_header(R"({"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}})", 8),
       "behind the end"},
      {with_header(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2), "whole bytes"},
      {with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8), "hole of 4 bytes"},
      {with_header(
           R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
           6),
       "overlaps"},
      {with_header(
           R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
           4),
       "\"a\""},
      {with_header(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4), "9 dimensions"},
      {with_header("{\"a\\u0000\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4), "control characters"},
      {with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4), "unknown key 'x'"},
      {with_header(R"({"__metadata__":{"a":1}})", 0), "is not a string"},
  };
  for (const auto& test : kCases)
    EXPECT_NE(refusal(test.bytes).find(test.said), std::string::npos)
        << test.said << " not in: " << refusal(test.bytes);
}

TEST_F(Safetensors, ReportsAFileThatShrinksWhileOpen) {
  const Tensor floats = Tensor::zeros({1000});
  write_safetensors(folder_.path() / "w.safetensors", {{"f", &floats}});
  const SafetensorsFile file(folder_.path() / "w.safetensors");
  std::filesystem::resize_file(folder_.path() / "w.safetensors", 500);
  EXPECT_THROW(file.read("f"), platform::Error);
}

TEST_F(Safetensors, ReadsShardsAndRefusesAnIndexThatLeavesTheFolder) {
  const Tensor one = Tensor::from<float>({1});
  const Tensor two = Tensor::from<float>({2});
  write_safetensors(folder_.path() / "model-00001-of-00002.safetensors", {{"a", &one}});
  write_safetensors(folder_.path() / "model-00002-of-00002.safetensors", {{"b", &two}});
  write(
      R"({"metadata":{"total_size":8},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})",
      "model.safetensors.index.json");
  const WeightFolder weights(folder_.path());
  EXPECT_EQ(weights.read("b").data<float>()[0], 2);
  EXPECT_NO_THROW(weights.check_names({{"a", {1}}, {"b", {1}}}));
  EXPECT_THROW(weights.check_names({{"a", {2}}, {"c", {1}}}), platform::Error);
  for (const char* shard :
       {"../x.safetensors", "/etc/passwd", "model-00003-of-00002.safetensors", "pytorch_model.bin"}) {
    write(std::string(R"({"weight_map":{"a":")") + shard + "\"}}", "model.safetensors.index.json");
    EXPECT_THROW(WeightFolder{folder_.path()}, platform::Error) << shard;
  }
  write(R"({"weight_map":{"a":"model-00002-of-00002.safetensors"}})", "model.safetensors.index.json");
  EXPECT_THROW(WeightFolder{folder_.path()}, platform::Error);
}

}  // namespace
}  // namespace finetune
