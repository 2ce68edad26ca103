#include "finetune/bench/train_speed.h"

#include <algorithm>
#include <chrono>

#include "finetune/bench/energy_meter.h"
#include "finetune/bench/peak_memory.h"
#include "finetune/bench/random_base.h"
#include "finetune/train/training_job.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kBatches = 12;             // different ones, in turns
constexpr std::int64_t kEndless = 1'000'000'000;  // steps: the observer ends the training

double seconds_since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

// Takes the times of a training's steps, and stops it when there are enough.
class StepTimes final : public TrainObserver {
 public:
  StepTimes(const TrainSpeedOptions& options, SpeedObserver& observer)
      : options_(options), observer_(observer), begin_(Clock::now()) {}

  void on_step(const TrainProgress& progress) override {
    if (progress.step == 1) first_step_seconds_ = start_seconds_ + progress.step_seconds;
    if (progress.step == kWarmUpSteps) {
      measured_since_ = Clock::now();
      energy_.begin();
    }
    if (progress.step <= kWarmUpSteps) return;
    seconds_.push_back(progress.step_seconds);
    observer_.on_progress(static_cast<std::int64_t>(seconds_.size()), options_.steps,
                          static_cast<double>(options_.batch * options_.sequence) / progress.step_seconds);
    if (is_enough()) joules_ = energy_.joules();
  }
  // The first question is the one before the first step.
  bool should_stop() override {
    if (start_seconds_ == 0) start_seconds_ = seconds_since(begin_);
    return observer_.should_stop() || is_enough();
  }

  bool is_enough() const {
    const auto count = static_cast<std::int64_t>(seconds_.size());
    if (options_.steps > 0) return count >= options_.steps;
    return count >= kFewestSteps && seconds_since(measured_since_) >= options_.seconds;
  }
  void write_to(TrainSpeed& speed) const {
    speed.step = kernels::summary_of(seconds_);
    speed.start_seconds = start_seconds_;
    speed.first_step_seconds = first_step_seconds_;
    speed.energy_joules = joules_;
  }

 private:
  const TrainSpeedOptions& options_;
  SpeedObserver& observer_;
  Clock::time_point begin_, measured_since_;
  double start_seconds_ = 0, first_step_seconds_ = 0;
  std::vector<double> seconds_;
  EnergyMeter energy_;
  std::optional<double> joules_;
};

TrainRequest request_of(const TrainSpeedOptions& options, const std::filesystem::path& folder) {
  TrainRequest request;
  request.base_folder = folder / "base";
  request.dataset = folder / "texts.jsonl";
  request.output_folder = folder / "adapter";
  request.task = Task::kLanguageModel;
  request.threads = options.threads;
  TrainConfig& config = request.config;
  config.r = static_cast<int>(kSpeedRank);
  config.base_dtype = to_string(precision_of(options.dtype));
  config.max_example_tokens = options.sequence;
  config.batch_examples = options.batch;
  config.micro_batch_tokens = options.batch * options.sequence;
  config.min_steps = config.max_steps = kEndless;
  return request;
}

kernels::ProductRates product_rates(const TrainSpeed& speed, SpeedObserver& observer) {
  kernels::Context context = kernels::Context::cpu(speed.threads);
  const PeakEffort& peaks = speed.options.peaks;
  const kernels::RepeatOptions repeat{.seconds = peaks.seconds, .between = [&] { check_stop(observer); }};
  if (const auto rates = kernels::measure_products(context, speed.product_type, repeat, peaks.product_size))
    return *rates;
  throw Error(ErrorCode::kUnavailable, std::string("the matrix library has no product of ") +
                                           kernels::name_of(speed.product_type) +
                                           " here to hold the training against; measure --dtype fp32");
}

void train(const TrainSpeedOptions& options, const std::filesystem::path& folder, SpeedObserver& observer,
           TrainSpeed& speed) {
  forget_peak_memory();
  StepTimes times(options, observer);
  try {
    train_adapter(request_of(options, folder), times);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
    if (!times.is_enough()) check_stop(observer);  // else it was ended because there are steps enough
  }
  speed.peak_bytes = peak_memory_bytes();
  times.write_to(speed);
}

}  // namespace

void TrainSpeedOptions::validate() const {
  precision_of(dtype);
  check_range(sequence, 8, 8192, "sequence");
  check_range(batch, 1, 256, "batch");
  check_range(steps, 0, 1'000'000, "steps");
  check_range(threads, 0, 1024, "threads");
  if (!(seconds >= 0 && seconds <= 86400))
    throw Error(ErrorCode::kInvalidInput, "seconds must be 0 to 86400, not " + std::to_string(seconds), "seconds");
}

double TrainSpeed::flop_per_token() const {
  return kernels::training_flop_per_token(options.shape, kSpeedRank, options.sequence);
}

double TrainSpeed::gemm_gflops() const { return std::max(before.best(), after.best()); }

double TrainSpeed::fraction_of_gemm() const {
  return fraction_of_product(tokens_per_second(), flop_per_token(), gemm_gflops());
}

double fraction_of_product(double tokens_per_second, double flop_per_token, double gflops) {
  return gflops > 0 ? tokens_per_second * flop_per_token / (gflops * 1e9) : 0;
}

TrainSpeed measure_training(const TrainSpeedOptions& options, SpeedObserver& observer) {
  options.validate();
  const platform::TemporaryFolder folder;
  TrainSpeed speed;
  speed.options = options;
  speed.cpu = kernels::this_cpu();
  speed.threads = kernels::Context::cpu(options.threads).threads();
  speed.product_type = held_against(options.dtype, speed.cpu);
  observer.on_stage("writing a base of the shape " + options.shape.name + " with random weights");
  write_random_base(folder.path() / "base", options.shape, std::max<std::int64_t>(2048, options.sequence));
  write_random_texts(folder.path() / "texts.jsonl", kBatches * options.batch, options.sequence);
  observer.on_stage("measuring the rate of large products");
  speed.before = product_rates(speed, observer);
  observer.on_stage("training " + options.shape.name + " in " + options.dtype);
  train(options, folder.path(), observer, speed);
  observer.on_stage("measuring the rate of large products again");
  speed.after = product_rates(speed, observer);
  if (!options.peer_python.empty()) {
    speed.peers = measure_peers({.python = options.peer_python,
                                 .base_folder = folder.path() / "base",
                                 .dtype = options.dtype,
                                 .sequence = options.sequence,
                                 .batch = options.batch,
                                 .rank = kSpeedRank,
                                 .threads = speed.threads,
                                 .seconds = options.seconds,
                                 .steps = options.steps,
                                 .flop_per_token = speed.flop_per_token()},
                                observer);
  }
  return speed;
}

}  // namespace finetune
