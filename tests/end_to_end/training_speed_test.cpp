// The speed that the repository remembers, held against what this machine reaches. Runs alone: whatever else computes
// at the time takes from it.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "finetune/bench/speed_record.h"
#include "kernels/bench/cpu_description.h"
#include "kernels/core/context.h"
#include "platform/base/process.h"
#include "tests/support/patience.h"

namespace finetune {
namespace {

constexpr const char* kRecord = "kernels/bench/results/cpu.json";
constexpr int kTries = 3;

std::string program() {
  const char* folder = std::getenv("ANNEAL_BIN");
  return std::string(folder == nullptr ? "build/dev/bin" : folder) + "/anneal";
}

// What `anneal bench train` says in a few seconds.
RecordedSpeed measured(const std::string& shape, const std::string& dtype, int threads) {
  const auto output =
      platform::run_command({program(), "bench", "train", "--shape", shape, "--dtype", dtype, "--seconds", "2",
                             "--threads", std::to_string(threads), "--no-peer", "--json"});
  // Stages are told before it, on lines of their own.
  const std::size_t answer = output.text.rfind("{\"shape\"");
  if (output.exit_code != 0 || answer == std::string::npos) throw std::runtime_error(output.text);
  const platform::json::value said = platform::parse_json(output.text.substr(answer), "anneal bench train");
  RecordedSpeed speed{.features = platform::json::value_to<std::string>(said.at("cpu").at("features")),
                      .shape = shape,
                      .dtype = dtype,
                      .threads = threads};
  speed.fraction_of_gemm = said.at("fraction_of_gemm").to_number<double>();
  speed.tokens_per_second = said.at("tokens_per_second").to_number<double>();
  speed.gemm_gflops = said.at("gemm_gflops").to_number<double>();
  return speed;
}

TEST(TrainingSpeedBench, UsesTheShareOfTheMachineThatIsRecordedForItsClass) {
  if (tests::kPatience > 1) GTEST_SKIP() << "under a sanitizer no rate says anything";
  const auto recorded = SpeedRecord::read(kRecord).find(kernels::this_cpu().feature_class, "nano", "fp32");
  const int cores = kernels::Context::cpu(0).threads();
  if (recorded && recorded->threads > cores)
    GTEST_SKIP() << "recorded with " << recorded->threads << " threads, this machine has " << cores;
  const int threads = recorded ? recorded->threads : std::min(cores, 2);
  RecordedSpeed best;
  for (int attempt = 1; attempt <= kTries; ++attempt) {
    const RecordedSpeed speed = measured("nano", "fp32", threads);
    std::printf("try %d: %s (%.0f tokens/s, %.0f GFLOP/s, threads: %d)\n", attempt,
                verdict_in_words(speed, recorded).c_str(), speed.tokens_per_second, speed.gemm_gflops, threads);
    if (speed.fraction_of_gemm > best.fraction_of_gemm) best = speed;
    if (verdict_on(best.fraction_of_gemm, recorded) != SpeedVerdict::kLost) break;
  }
  if (verdict_on(best.fraction_of_gemm, recorded) == SpeedVerdict::kLost)
    FAIL() << "of " << kTries << " tries the best is " << verdict_in_words(best, recorded);
}

}  // namespace
}  // namespace finetune
