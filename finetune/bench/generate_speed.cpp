#include "finetune/bench/generate_speed.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>

#include "finetune/bench/peak_memory.h"
#include "finetune/bench/random_base.h"
#include "finetune/bench/train_speed.h"
#include "finetune/model/adapter.h"
#include "finetune/model/base.h"
#include "finetune/model/transformer.h"
#include "finetune/train/train_config.h"
#include "kernels/ops/sample.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kPromptRepetitions = 3;
// The model continues one sequence a pass; whoever makes it continue several at a time raises this where they do.
constexpr std::int64_t kSequencesAPass = 1;

double seconds_since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

std::int64_t bytes_of(const LinearWeight& weight) {
  return static_cast<std::int64_t>(weight.packed.is_quantised() ? weight.packed.quantised().size_bytes()
                                                                : weight.value.size_bytes());
}

std::int64_t weight_bytes_of(const ModelWeights& weights) {
  std::int64_t bytes = bytes_of(weights.output_head());
  for (const LayerWeights& layer : weights.layers) {
    for (const LinearWeight& linear : layer.linears) bytes += bytes_of(linear);
  }
  return bytes;
}

Adapter adapter_for(const Base& base, kernels::Random& random) {
  TrainConfig settings;
  settings.r = static_cast<int>(kSpeedRank);
  return {base.config, base.weights, peft_config(settings), random};
}

// A sequence that is being written, and the model that writes it: base and one adapter, or none.
struct Writer {
  Transformer* model = nullptr;
  KeyValueCache cache;
  std::int32_t last = 0;
};

class Measurement {
 public:
  Measurement(const GenerateSpeedOptions& options, Base& base, kernels::Context& context, SpeedObserver& observer)
      : options_(options), base_(base), context_(context), observer_(observer), logits_({1, base.config.vocab_size}) {
    kernels::Random random(2);
    for (std::int64_t i = 0; i < options.prompt; ++i)
      prompt_.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(base.config.vocab_size))));
    for (std::int64_t i = 0; i < options.adapters; ++i)
      adapters_.push_back(std::make_unique<Adapter>(adapter_for(base, random)));
    if (adapters_.empty()) models_.push_back(std::make_unique<Transformer>(base.config, base.weights, nullptr));
    for (const auto& adapter : adapters_)
      models_.push_back(std::make_unique<Transformer>(base.config, base.weights, adapter.get()));
  }

  kernels::RepeatedTime prefill() {
    observer_.on_stage("reading a prompt of " + std::to_string(options_.prompt) + " tokens");
    std::vector<Writer> one = writers(1);
    const auto read = [&] {
      one.front().cache.rewind(0);
      continue_all(one, prompt_);
    };
    return kernels::repeated_time(
        {.seconds = 0, .least = kPromptRepetitions, .between = [&] { check_stop(observer_); }}, read);
  }

  DecodeSpeed decode(std::int64_t batch) {
    observer_.on_stage("writing to " + std::to_string(batch) + (batch == 1 ? " sequence" : " sequences"));
    std::vector<Writer> all = writers(batch);
    continue_all(all, prompt_);
    std::vector<double> seconds;
    for (std::int64_t token = 0; token < options_.tokens; ++token) {
      check_stop(observer_);
      const auto begin = Clock::now();
      continue_all(all, {});
      const double taken = seconds_since(begin);
      if (token > 0) seconds.push_back(taken);  // the first one makes what the others reuse
      observer_.on_progress(token + 1, options_.tokens, static_cast<double>(batch) / taken);
    }
    return {batch, kSequencesAPass, kernels::summary_of(seconds)};
  }

 private:
  std::vector<Writer> writers(std::int64_t count) {
    std::vector<Writer> all;
    for (std::int64_t i = 0; i < count; ++i) {
      Transformer* model = models_[static_cast<std::size_t>(i) % models_.size()].get();
      all.push_back({model, KeyValueCache(base_.config, options_.prompt + options_.tokens)});
    }
    return all;
  }

  // A token more for every sequence: behind the prompt where it is given, else behind the last one. The place where a
  // pass over several sequences belongs.
  void continue_all(std::vector<Writer>& all, const std::vector<std::int32_t>& prompt) {
    for (Writer& writer : all) {
      const std::span<const std::int32_t> document =
          prompt.empty() ? std::span<const std::int32_t>(&writer.last, 1) : std::span<const std::int32_t>(prompt);
      const kernels::Tensor& hidden =
          writer.model->forward_cached(context_, pack_documents({&document, 1}), nullptr, writer.cache);
      writer.model->logits(context_, hidden.slice_rows(hidden.size(0) - 1, hidden.size(0)), logits_);
      writer.last =
          kernels::sample_token(context_, logits_.view({base_.config.vocab_size}), {.temperature = 0.0f}, random_);
    }
  }

  const GenerateSpeedOptions& options_;
  Base& base_;
  kernels::Context& context_;
  SpeedObserver& observer_;
  kernels::Tensor logits_;
  kernels::Random random_{1};
  std::vector<std::int32_t> prompt_;
  std::vector<std::unique_ptr<Adapter>> adapters_;
  std::vector<std::unique_ptr<Transformer>> models_;
};

double bandwidth_of(kernels::Context& context, const PeakEffort& peaks, SpeedObserver& observer) {
  observer.on_stage("measuring the rate of reading memory");
  const kernels::RepeatOptions repeat{.seconds = peaks.seconds, .between = [&] { check_stop(observer); }};
  return kernels::measure_read_bandwidth(context, repeat, peaks.read_bytes);
}

}  // namespace

void GenerateSpeedOptions::validate() const {
  precision_of(dtype);
  if (batch.empty()) throw platform::Error(platform::ErrorCode::kInvalidInput, "batch must not be empty", "batch");
  for (const std::int64_t each : batch) check_range(each, 1, 256, "batch");
  check_range(adapters, 0, 256, "adapters");
  check_range(prompt, 1, 8192, "prompt");
  check_range(tokens, 2, 8192, "tokens");
  check_range(threads, 0, 1024, "threads");
}

double DecodeSpeed::fraction_of_bandwidth(std::int64_t weight_bytes, double bandwidth) const {
  const double passes_a_second = tokens_per_second() / static_cast<double>(sequences_a_pass);
  return bandwidth > 0 ? static_cast<double>(weight_bytes) * passes_a_second / bandwidth : 0;
}

GenerateSpeed measure_generation(const GenerateSpeedOptions& options, SpeedObserver& observer) {
  options.validate();
  const platform::TemporaryFolder folder;
  kernels::Context context = kernels::Context::cpu(options.threads);
  GenerateSpeed speed{.options = options, .cpu = kernels::this_cpu(), .threads = context.threads()};
  observer.on_stage("writing a base of the shape " + options.shape.name + " with random weights");
  write_random_base(folder.path() / "base", options.shape,
                    std::max<std::int64_t>(2048, options.prompt + options.tokens));
  speed.bandwidth_before = bandwidth_of(context, options.peaks, observer);
  observer.on_stage("loading the base in " + options.dtype);
  forget_peak_memory();
  const auto begin = Clock::now();
  Base base = Base::load(folder.path() / "base", precision_of(options.dtype));
  speed.load_seconds = seconds_since(begin);
  speed.weight_bytes = weight_bytes_of(base.weights);
  Measurement measurement(options, base, context, observer);
  speed.prefill = measurement.prefill();
  for (const std::int64_t batch : options.batch) speed.decode.push_back(measurement.decode(batch));
  speed.peak_bytes = peak_memory_bytes();
  speed.bandwidth_after = bandwidth_of(context, options.peaks, observer);
  return speed;
}

}  // namespace finetune
