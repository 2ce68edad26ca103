#include "kernels/bench/peaks.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "kernels/bench/cpu_description.h"
#include "kernels/bench/op_rates.h"

namespace kernels {
namespace {

const RepeatOptions kShort{.seconds = 0, .least = 2};

TEST(RepeatedTime, TellsTheMedianAndBothEnds) {
  const RepeatedTime odd = summary_of({3, 1, 2}), even = summary_of({4, 1, 3, 2});
  EXPECT_EQ(odd.median, 2);
  EXPECT_EQ(even.median, 2.5);
  EXPECT_EQ(even.fastest, 1);
  EXPECT_EQ(even.slowest, 4);
  EXPECT_EQ(even.count, 4);
}

TEST(RepeatedTime, DoesTheWorkOnceUnmeasuredAndThenAsOftenAsAsked) {
  int done = 0;
  EXPECT_EQ(repeated_time(kShort, [&] { ++done; }).count, 2);
  EXPECT_EQ(done, 3);
}

TEST(RepeatedTime, EndsWhenItIsStopped) {
  RepeatOptions options = kShort;
  options.between = [] { throw std::runtime_error("stopped"); };
  EXPECT_THROW(repeated_time(options, [] {}), std::runtime_error);
}

TEST(Peaks, EveryMachineMultipliesFloat32) {
  Context context = Context::cpu(1);
  const auto rates = measure_products(context, ProductType::kFloat32, kShort, 128);
  ASSERT_TRUE(rates.has_value());
  EXPECT_GT(rates->plain, 0);
  EXPECT_GT(rates->packed, 0);
  EXPECT_EQ(rates->best(), std::max(rates->plain, rates->packed));
}

TEST(Peaks, AMachineWithInstructionsForBfloat16HasARateOfIt) {
  Context context = Context::cpu(1);
  const auto rates = measure_products(context, ProductType::kBFloat16, kShort, 128);
  if (this_cpu().multiplies_bfloat16) {
    EXPECT_TRUE(rates && rates->best() > 0);
  } else {
    EXPECT_TRUE(!rates || rates->best() > 0);
  }
}

TEST(Peaks, MemoryIsReadAtSomeRate) {
  Context context = Context::cpu(1);
  EXPECT_GT(measure_read_bandwidth(context, kShort, 1 << 20), 0);
}

TEST(OpRates, CountTheWorkOfAWholeStep) {
  Context context = Context::cpu(1);
  const DecoderShape tiny{"tiny", 16, 2, 4, 2, 24, 64};
  const OpRateOptions options{.sequence = 8, .batch = 2, .rank = 4, .repeat = kShort};
  double products = 0;
  for (const OpRate& rate : measure_ops(context, tiny, options)) {
    EXPECT_GT(rate.time.median, 0) << rate.op;
    EXPECT_GT(rate.work, 0) << rate.op;
    if (rate.bound == OpRate::Bound::kProducts) products += rate.work * static_cast<double>(rate.calls_a_step);
  }
  EXPECT_DOUBLE_EQ(products, 16 * training_flop_per_token(tiny, 4, 8));
}

TEST(OpRates, NameEveryOperationBeforeItIsMeasured) {
  Context context = Context::cpu(1);
  OpRateOptions options{.sequence = 4, .batch = 1, .rank = 2, .weight_type = DataType::kBFloat16, .repeat = kShort};
  std::vector<std::string> begun;
  options.begins = [&](const std::string& op) { begun.push_back(op); };
  std::vector<std::string> measured;
  for (const OpRate& rate : measure_ops(context, {"tiny", 16, 1, 4, 2, 24, 64}, options)) measured.push_back(rate.op);
  EXPECT_EQ(begun, measured);
}

}  // namespace
}  // namespace kernels
