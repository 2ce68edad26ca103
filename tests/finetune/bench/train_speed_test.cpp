#include "finetune/bench/train_speed.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "finetune/bench/generate_speed.h"
#include "finetune/bench/kernel_speed.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

const kernels::DecoderShape kTiny{"tiny", 16, 2, 4, 2, 24, 400};

constexpr PeakEffort kQuick{.seconds = 0, .product_size = 128, .read_bytes = 1 << 20};

// Stops at the given question.
struct Stopping : SpeedObserver {
  explicit Stopping(int at) : left(at) {}
  void on_stage(const std::string& stage) override { stages.push_back(stage); }
  bool should_stop() override { return --left < 0; }
  int left;
  std::vector<std::string> stages;
};

TrainSpeedOptions tiny_training() {
  return {.shape = kTiny, .dtype = "fp32", .sequence = 16, .batch = 2, .steps = 3, .threads = 1, .peaks = kQuick};
}

template <typename Action>
platform::ErrorCode code_of(const Action& action) {
  try {
    action();
  } catch (const platform::Error& error) {
    return error.code();
  }
  return platform::ErrorCode::kInternal;
}

TEST(TrainSpeed, MeasuresAsManyStepsAsAskedByTheCallOfATraining) {
  SpeedObserver observer;
  const TrainSpeed speed = measure_training(tiny_training(), observer);
  EXPECT_EQ(speed.step.count, 3);
  EXPECT_EQ(speed.threads, 1);
  EXPECT_GT(speed.step.fastest, 0);
  EXPECT_GE(speed.step.slowest, speed.step.median);
  EXPECT_GT(speed.start_seconds, 0);
  EXPECT_GT(speed.first_step_seconds, speed.start_seconds);
  EXPECT_GT(speed.peak_bytes, 0);
  EXPECT_GT(speed.gemm_gflops(), 0);
  EXPECT_GT(speed.fraction_of_gemm(), 0);
  EXPECT_LT(speed.fraction_of_gemm(), 1);
  EXPECT_TRUE(speed.peers.empty());
}

TEST(TrainSpeed, ByTimeItMeasuresFiveStepsAtLeast) {
  SpeedObserver observer;
  TrainSpeedOptions options = tiny_training();
  options.steps = 0;
  options.seconds = 0;
  EXPECT_EQ(measure_training(options, observer).step.count, kFewestSteps);
}

TEST(TrainSpeed, EveryTypeIsTrained) {
  for (const std::string& dtype : speed_dtypes()) {
    SpeedObserver observer;
    TrainSpeedOptions options = tiny_training();
    options.dtype = dtype;
    EXPECT_GT(measure_training(options, observer).tokens_per_second(), 0) << dtype;
  }
}

TEST(TrainSpeed, StopsWhereverItIsAskedTo) {
  for (const int at : {0, 5, 12}) {
    Stopping observer(at);
    EXPECT_EQ(code_of([&] { measure_training(tiny_training(), observer); }), platform::ErrorCode::kCancelled) << at;
    EXPECT_FALSE(observer.stages.empty());
  }
}

TEST(TrainSpeed, ShareIsTheArithmeticOfItsTokensOverTheRateOfAProduct) {
  EXPECT_DOUBLE_EQ(fraction_of_product(1000, 30e6, 100), 0.3);
  EXPECT_EQ(fraction_of_product(1000, 30e6, 0), 0);
}

TEST(TrainSpeed, RefusesWhatCannotBeMeasured) {
  for (const auto& [change, field] : std::vector<std::pair<std::function<void(TrainSpeedOptions&)>, std::string>>{
           {[](auto& o) { o.dtype = "fp8"; }, "dtype"},
           {[](auto& o) { o.sequence = 4; }, "sequence"},
           {[](auto& o) { o.batch = 0; }, "batch"},
           {[](auto& o) { o.steps = -1; }, "steps"},
           {[](auto& o) { o.threads = -1; }, "threads"},
           {[](auto& o) { o.seconds = std::nan(""); }, "seconds"}}) {
    TrainSpeedOptions options;
    change(options);
    try {
      options.validate();
      ADD_FAILURE() << field << " was taken";
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.path(), field) << error.what();
    }
  }
  EXPECT_EQ(code_of([] { shape_named("nanno"); }), platform::ErrorCode::kInvalidInput);
}

TEST(SpeedSetting, Bfloat16IsHeldAgainstItsOwnProductsWhereTheProcessorHasThem) {
  using kernels::ProductType;
  EXPECT_EQ(held_against("bf16", {"A", "avx512-bf16", true}), ProductType::kBFloat16);
  EXPECT_EQ(held_against("bf16", {"A", "avx2", false}), ProductType::kFloat32);
  for (const char* dtype : {"fp32", "int8", "nf4"})
    EXPECT_EQ(held_against(dtype, {"A", "amx", true}), ProductType::kFloat32) << dtype;
}

TEST(GenerateSpeed, ReadsAPromptAndWritesToEveryBatchWithItsAdapters) {
  for (const std::int64_t adapters : {0, 2}) {
    SpeedObserver observer;
    const GenerateSpeed speed = measure_generation({.shape = kTiny,
                                                    .dtype = "bf16",
                                                    .batch = {1, 3},
                                                    .adapters = adapters,
                                                    .prompt = 8,
                                                    .tokens = 4,
                                                    .threads = 1,
                                                    .peaks = kQuick},
                                                   observer);
    EXPECT_EQ(speed.prefill.count, 3);
    ASSERT_EQ(speed.decode.size(), 2u);
    EXPECT_EQ(speed.decode[1].batch, 3);
    EXPECT_EQ(speed.decode[1].round.count, 3) << "all tokens but the first";
    EXPECT_EQ(speed.weight_bytes, 2 * (kernels::linear_weights(kTiny) + 400 * 16)) << "two bytes a weight";
    EXPECT_GT(speed.bandwidth(), 0);
    EXPECT_GT(speed.load_seconds, 0);
  }
}

TEST(GenerateSpeed, RefusesWhatCannotBeMeasuredAndStops) {
  SpeedObserver observer;
  EXPECT_EQ(code_of([&] { measure_generation({.batch = {}}, observer); }), platform::ErrorCode::kInvalidInput);
  EXPECT_EQ(code_of([&] { measure_generation({.batch = {0}}, observer); }), platform::ErrorCode::kInvalidInput);
  EXPECT_EQ(code_of([&] { measure_generation({.tokens = 1}, observer); }), platform::ErrorCode::kInvalidInput);
  Stopping stopping(4);
  EXPECT_EQ(code_of([&] {
              measure_generation({.shape = kTiny, .prompt = 8, .tokens = 4, .threads = 1, .peaks = kQuick}, stopping);
            }),
            platform::ErrorCode::kCancelled);
}

TEST(KernelSpeed, KnowsThePeaksAndTheOperationsOfAShape) {
  SpeedObserver observer;
  const KernelSpeed speed = measure_kernels({.shapes = {kTiny}, .seconds = 0, .threads = 1, .peaks = kQuick}, observer);
  ASSERT_EQ(speed.products.size(), 3u);
  EXPECT_TRUE(speed.products.front().second.has_value());
  ASSERT_EQ(speed.shapes.size(), 1u);
  EXPECT_GT(speed.shapes.front().seconds_a_step(), 0);
  for (const kernels::OpRate& op : speed.shapes.front().ops) EXPECT_GT(speed.fraction_of_peak(op), 0) << op.op;
  Stopping stopping(1);
  EXPECT_EQ(
      code_of([&] { measure_kernels({.shapes = {kTiny}, .seconds = 0, .threads = 1, .peaks = kQuick}, stopping); }),
      platform::ErrorCode::kCancelled);
}

}  // namespace
}  // namespace finetune
