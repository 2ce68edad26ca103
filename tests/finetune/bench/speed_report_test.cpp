#include "finetune/bench/speed_report.h"

#include <gtest/gtest.h>

namespace finetune {
namespace {

TrainSpeed trained() {
  TrainSpeed speed;
  speed.options.shape = shape_named("nano");
  speed.cpu = {"A Processor", "avx2", false};
  speed.threads = 2;
  speed.step = {.median = 1.0, .fastest = 0.5, .slowest = 2.0, .count = 7};
  speed.start_seconds = 0.25;
  speed.first_step_seconds = 1.5;
  speed.peak_bytes = 512 << 20;
  speed.before = {200, 210};
  speed.after = {190, 205};
  return speed;
}

PeerSpeed pytorch() {
  return {.name = "pytorch",
          .version = "torch 2",
          .tokens_per_second = 1024,
          .slowest = 1000,
          .fastest = 1100,
          .steps = 5,
          .gemm_gflops = 200,
          .fraction_of_gemm = 0.16,
          .peak_bytes = std::int64_t{1} << 30,
          .start_seconds = 6,
          .first_step_seconds = 9};
}

TEST(SpeedReport, ATrainingHasTheFieldsThatOthersReadAndItsArithmetic) {
  const platform::json::object object = to_json(trained()).as_object();
  EXPECT_EQ(object.at("tokens_per_second"), platform::json::value(2048.0));
  EXPECT_EQ(object.at("slowest"), platform::json::value(1024.0));
  EXPECT_EQ(object.at("gemm_gflops"), platform::json::value(210.0)) << "the best of plain and packed, before and after";
  EXPECT_NEAR(object.at("fraction_of_gemm").to_number<double>(), 2048 * 30.6e6 / 210e9, 1e-3);
  EXPECT_EQ(object.at("peak_bytes"), platform::json::value(512 << 20));
  EXPECT_EQ(object.at("first_step_seconds"), platform::json::value(1.5));
  EXPECT_TRUE(object.at("energy_joules").is_null());
  EXPECT_TRUE(object.at("peers").as_array().empty());
  for (const char* key : {"shape", "dtype", "threads", "cpu", "computed_in", "start_seconds", "steps"})
    EXPECT_TRUE(object.contains(key)) << key;
  EXPECT_EQ(object.at("cpu"), (platform::json::value{{"model", "A Processor"}, {"features", "avx2"}}));
}

TEST(SpeedReport, APeerHasTheSameFieldsOrItsReason) {
  TrainSpeed speed = trained();
  speed.peers = {pytorch(), {.name = "pytorch-compile", .failed = "no compiler"}};
  const platform::json::array peers = to_json(speed).at("peers").as_array();
  for (const char* key : {"tokens_per_second", "gemm_gflops", "fraction_of_gemm", "peak_bytes", "first_step_seconds"})
    EXPECT_TRUE(peers[0].as_object().contains(key)) << key;
  EXPECT_EQ(peers[0].at("ours_over_peer"), platform::json::value(2.0));
  EXPECT_EQ(peers[1], (platform::json::value{{"name", "pytorch-compile"}, {"failed", "no compiler"}}));
  const std::string text = speed_text(speed);
  for (const char* words : {"pytorch-compile failed: no compiler", "pytorch: torch 2", "1024", "2.00", "29.8 %"})
    EXPECT_NE(text.find(words), std::string::npos) << text;
}

TEST(SpeedReport, SaysWhatIsComputedWhereWeightsAreHeldOtherwise) {
  TrainSpeed speed = trained();
  EXPECT_EQ(speed_text(speed).find("computed in"), std::string::npos);
  speed.options.dtype = "int8";
  EXPECT_NE(speed_text(speed).find("int8 (the weights are held so; products are computed in float32)"),
            std::string::npos);
}

TEST(SpeedReport, SaysThatTheMachineWasNotQuiet) {
  TrainSpeed speed = trained();
  EXPECT_EQ(speed_text(speed).find("not quiet"), std::string::npos);
  speed.after = {100, 110};
  EXPECT_NE(speed_text(speed).find("not quiet"), std::string::npos);
}

TEST(SpeedReport, TellsEnergyWhereItCanBeRead) {
  TrainSpeed speed = trained();
  EXPECT_NE(speed_text(speed).find("does not let it be read"), std::string::npos);
  speed.energy_joules = 143.36;
  EXPECT_NE(speed_text(speed).find("143.4 J, 10.00 J for 1,000 tokens"), std::string::npos) << speed_text(speed);
  EXPECT_EQ(to_json(speed).at("energy_joules"), platform::json::value(143.36));
}

TEST(SpeedReport, WritingIsHeldAgainstTheMemory) {
  GenerateSpeed speed;
  speed.weight_bytes = 200'000'000;
  speed.bandwidth_before = 40e9;
  speed.bandwidth_after = 36e9;
  speed.prefill = {.median = 0.5, .fastest = 0.5, .slowest = 0.5, .count = 3};
  speed.decode = {{1, 1, {.median = 0.01, .fastest = 0.01, .slowest = 0.02, .count = 9}},
                  {8, 8, {.median = 0.02, .fastest = 0.02, .slowest = 0.02, .count = 9}}};
  const platform::json::object object = to_json(speed).as_object();
  EXPECT_EQ(object.at("prefill_tokens_per_second"), platform::json::value(1024.0));
  const platform::json::array& decode = object.at("decode").as_array();
  EXPECT_DOUBLE_EQ(decode[0].at("tokens_per_second").to_number<double>(), 100);
  EXPECT_DOUBLE_EQ(decode[0].at("fraction_of_bandwidth").to_number<double>(), 0.5);
  EXPECT_DOUBLE_EQ(decode[1].at("tokens_per_second").to_number<double>(), 400);
  EXPECT_DOUBLE_EQ(decode[1].at("fraction_of_bandwidth").to_number<double>(), 0.25) << "weights are read once for all";
  EXPECT_NE(speed_text(speed).find("50.0 %"), std::string::npos);
}

TEST(SpeedReport, AnOperationIsHeldAgainstThePeakThatBoundsIt) {
  KernelSpeed speed;
  speed.products = {{kernels::ProductType::kFloat32, kernels::ProductRates{80, 100}},
                    {kernels::ProductType::kBFloat16, std::nullopt}};
  speed.bandwidth = 20e9;
  const kernels::RepeatedTime millisecond{.median = 1e-3, .fastest = 1e-3, .slowest = 1e-3, .count = 3};
  speed.shapes = {{shape_named("nano"),
                   {{"linear", kernels::OpRate::Bound::kProducts, 3, millisecond, 50e6},
                    {"norm", kernels::OpRate::Bound::kMemory, 1, millisecond, 5e6}}}};
  const platform::json::object object = to_json(speed).as_object();
  EXPECT_TRUE(object.at("gemm_gflops").at("bfloat16").is_null());
  const platform::json::value& shape = object.at("shapes").at(0);
  EXPECT_DOUBLE_EQ(shape.at("seconds_a_step").to_number<double>(), 4e-3);
  EXPECT_DOUBLE_EQ(shape.at("ops").at(0).at("fraction_of_peak").to_number<double>(), 0.5);
  EXPECT_DOUBLE_EQ(shape.at("ops").at(1).at("fraction_of_peak").to_number<double>(), 0.25);
  EXPECT_NE(speed_text(speed).find("75.0 %"), std::string::npos) << "of a step: " << speed_text(speed);
}

}  // namespace
}  // namespace finetune
