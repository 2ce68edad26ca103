#include "finetune/bench/speed_record.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

RecordedSpeed nano(const std::string& features, double fraction) {
  return {.features = features,
          .shape = "nano",
          .dtype = "fp32",
          .threads = 2,
          .fraction_of_gemm = fraction,
          .tokens_per_second = 4000,
          .gemm_gflops = 300,
          .model = "A Processor",
          .sequence = 512,
          .batch = 4};
}

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const platform::Error& error) {
    return error.what();
  }
  return {};
}

TEST(SpeedRecord, AShareMayFallByFifteenPercentOfTheRecordedOne) {
  const RecordedSpeed recorded = nano("avx2", 0.40);
  EXPECT_EQ(verdict_on(0.341, recorded), SpeedVerdict::kHolds);
  EXPECT_EQ(verdict_on(0.339, recorded), SpeedVerdict::kLost);
  EXPECT_EQ(verdict_on(0.90, recorded), SpeedVerdict::kHolds);
  EXPECT_EQ(verdict_on(0.01, std::nullopt), SpeedVerdict::kNotRecorded);
}

TEST(SpeedRecord, WordsSayWhatIsToBeDone) {
  const std::string lost = verdict_in_words(nano("avx2", 0.30), nano("avx2", 0.40));
  for (const char* words : {"slower than recorded for avx2", "30.0 %", "40.0 %", "anneal bench kernels",
                            "anneal bench train --shape nano --dtype fp32 --record kernels/bench/results/cpu.json"})
    EXPECT_NE(lost.find(words), std::string::npos) << lost;
  const std::string unknown = verdict_in_words(nano("avx512-bf16", 0.30), std::nullopt);
  for (const char* words : {"no record for avx512-bf16", "--record kernels/bench/results/cpu.json"})
    EXPECT_NE(unknown.find(words), std::string::npos) << unknown;
  EXPECT_NE(verdict_in_words(nano("avx2", 0.41), nano("avx2", 0.40)).find("as recorded"), std::string::npos);
}

TEST(SpeedRecord, HoldsOneRowForAClassShapeAndType) {
  SpeedRecord record;
  EXPECT_FALSE(record.put(nano("avx512", 0.5)).has_value());
  EXPECT_FALSE(record.put(nano("avx2", 0.4)).has_value());
  const auto before = record.put(nano("avx2", 0.6));
  ASSERT_TRUE(before.has_value());
  EXPECT_EQ(before->fraction_of_gemm, 0.4);
  ASSERT_EQ(record.rows().size(), 2u);
  EXPECT_EQ(record.rows().front().features, "avx2");
  EXPECT_EQ(record.find("avx2", "nano", "fp32")->fraction_of_gemm, 0.6);
  EXPECT_FALSE(record.find("avx2", "nano", "bf16").has_value());
  EXPECT_FALSE(record.find("amx", "nano", "fp32").has_value());
}

TEST(SpeedRecord, IsTheSameAfterItWasWrittenAndRead) {
  const platform::TemporaryFolder folder;
  const auto file = folder.path() / "cpu.json";
  EXPECT_TRUE(SpeedRecord::read(file).rows().empty()) << "a file that is not there holds nothing";
  SpeedRecord record;
  record.put(nano("avx2", 0.4));
  record.put(nano("amx", 0.625));
  record.write(file);
  const SpeedRecord read = SpeedRecord::read(file);
  EXPECT_EQ(read.to_json(), record.to_json());
  EXPECT_EQ(read.find("amx", "nano", "fp32")->model, "A Processor");
}

TEST(SpeedRecord, NamesWhatIsWrongWithAFile) {
  const auto with = [](platform::json::object row) {
    return platform::json::object{{"format", 1}, {"records", platform::json::array{std::move(row)}}};
  };
  SpeedRecord good;
  good.put(nano("avx2", 0.4));
  const platform::json::object row = good.to_json().at("records").at(0).as_object();
  EXPECT_NO_THROW(SpeedRecord::from_json(with(row)));
  platform::json::object other = row;
  other["fraction"] = 1;
  EXPECT_NE(refusal([&] { SpeedRecord::from_json(with(other)); }).find("fraction"), std::string::npos);
  other = row;
  other["fraction_of_gemm"] = 0;
  EXPECT_NE(refusal([&] { SpeedRecord::from_json(with(other)); }).find("above 0"), std::string::npos);
  other = row;
  other.erase("threads");
  EXPECT_NE(refusal([&] { SpeedRecord::from_json(with(other)); }).find("records[0].threads"), std::string::npos);
  const platform::json::object twice{{"format", 1}, {"records", platform::json::array{row, row}}};
  EXPECT_NE(refusal([&] { SpeedRecord::from_json(twice); }).find("records[1] is about the same"), std::string::npos);
  EXPECT_NE(refusal([] {
              SpeedRecord::from_json(platform::json::object{{"format", 2}, {"records", {}}});
            }).find("format 2"),
            std::string::npos);
}

TEST(SpeedRecord, OfTheRepositoryCanBeRead) {
  const SpeedRecord record = SpeedRecord::read("kernels/bench/results/cpu.json");
  for (const RecordedSpeed& row : record.rows()) {
    const auto& classes = kernels::cpu_feature_classes();
    EXPECT_NE(std::find(classes.begin(), classes.end(), row.features), classes.end()) << row.features;
    EXPECT_NO_THROW(shape_named(row.shape));
    EXPECT_NO_THROW(precision_of(row.dtype));
    EXPECT_LT(row.fraction_of_gemm, 1);
  }
}

}  // namespace
}  // namespace finetune
