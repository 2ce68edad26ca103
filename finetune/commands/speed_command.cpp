#include "finetune/commands/speed_command.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "finetune/bench/speed_record.h"
#include "finetune/bench/speed_report.h"
#include "finetune/commands/progress_line.h"
#include "platform/base/command_line.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::CommandLine;
using platform::Error;
using platform::ErrorCode;

// A line a stage on standard error, with what it came to so far on a terminal.
class SpeedProgress final : public SpeedObserver {
 public:
  void on_stage(const std::string& stage) override { stages_.begin(stage); }
  void on_progress(std::int64_t, std::int64_t, double) override { stages_.tick(); }
  bool should_stop() override {
    stages_.tick();
    return signals_.should_stop();
  }
  void done() { stages_.done(); }

 private:
  ProgressLine signals_;  // before any thread is started
  StageLine stages_;
};

std::string shapes_in_words() {
  std::string words;
  for (const kernels::DecoderShape& shape : kernels::decoder_shapes())
    words += (words.empty() ? "" : " or ") + shape.name;
  return words;
}

std::vector<std::int64_t> numbers_in(const std::string& list, const char* field) {
  std::vector<std::int64_t> numbers;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string text = list.substr(at, end - at);
    at = end + 1;
    char* rest = nullptr;
    const long long number = std::strtoll(text.c_str(), &rest, 10);
    if (text.empty() || *rest != '\0')
      throw Error(ErrorCode::kInvalidInput, std::string(field) + " must be numbers with commas, not \"" + list + "\"",
                  field);
    numbers.push_back(number);
  }
  return numbers;
}

template <typename Speed>
void print(const Speed& speed, bool as_json) {
  if (as_json)
    std::printf("%s\n", platform::json::serialize(to_json(speed)).c_str());
  else
    std::fputs(speed_text(speed).c_str(), stdout);
}

void declare_common(CommandLine& line) {
  line.option("threads", "N", "compute threads, 0 = one per core", {.fallback = "0"});
  line.flag("json", "print one JSON object instead of a table");
}

std::string default_peer() {
  const char* python = std::getenv("ANNEAL_PEER_PYTHON");
  return python == nullptr ? "" : python;
}

void declare_training(CommandLine& line) {
  line.option("shape", "NAME", shapes_in_words() + ", random weights", {.fallback = "nano"});
  line.option("dtype", "NAME", "how the frozen base is held: fp32, bf16, int8 or nf4", {.fallback = "fp32"});
  line.option("seconds", "X", "measure so long, five steps at least", {.fallback = "20"});
  line.option("steps", "N", "measure exactly so many steps instead, 0 = by time", {.fallback = "0"});
  line.option("sequence", "N", "tokens of a sequence", {.fallback = "512"});
  line.option("batch", "N", "sequences of a step", {.fallback = "4"});
  line.option("peer", "PYTHON",
              "a Python with torch, transformers and peft: trains the same in the same run; also $ANNEAL_PEER_PYTHON",
              {.fallback = default_peer()});
  line.flag("no-peer", "no peer, whatever the environment says");
  line.option("record", "FILE", "write the share of the GEMM rate into this record of speeds");
  declare_common(line);
}

void record(const TrainSpeed& speed, const std::string& file) {
  SpeedRecord known = SpeedRecord::read(file);
  const RecordedSpeed measured = recorded_speed(speed);
  const auto before = known.put(measured);
  known.write(file);
  std::fprintf(stderr, "%s: recorded for %s, %s, %s; %s\n", file.c_str(), measured.features.c_str(),
               measured.shape.c_str(), measured.dtype.c_str(),
               before ? verdict_in_words(measured, before).c_str() : "nothing was recorded before");
}

}  // namespace

int bench_train_action(const Arguments& arguments) {
  CommandLine line(
      "anneal bench train",
      "Measures LoRA training of a base with random weights: tokens a second, and which share of the rate of "
      "large matrix products that is.",
      {"anneal bench train --shape nano --dtype fp32", "anneal bench train --shape smol --dtype bf16 --json",
       "anneal bench train --shape smol --peer .peer/bin/python",
       "anneal bench train --shape nano --record kernels/bench/results/cpu.json"});
  declare_training(line);
  if (!line.read(arguments)) return 0;
  TrainSpeedOptions options;
  options.shape = shape_named(line.text("shape"));
  options.dtype = line.text("dtype");
  options.seconds = line.number("seconds");
  options.steps = line.integer("steps");
  options.sequence = line.integer("sequence");
  options.batch = line.integer("batch");
  options.threads = line.threads();
  if (!line.has("no-peer")) options.peer_python = line.text("peer");
  options.validate();
  const std::string file = line.text("record");
  if (!file.empty()) SpeedRecord::read(file);  // a file that is no record is said so before anything is measured
  SpeedProgress progress;
  const TrainSpeed speed = measure_training(options, progress);
  progress.done();
  print(speed, line.has("json"));
  if (!file.empty()) record(speed, file);
  return 0;
}

int bench_generate_action(const Arguments& arguments) {
  CommandLine line("anneal bench generate",
                   "Measures reading a prompt and writing on, by a base with random weights, with or without adapters.",
                   {"anneal bench generate --shape smol --dtype bf16",
                    "anneal bench generate --shape smol --dtype int8 --batch 1,8 --adapters 8 --json"});
  line.option("shape", "NAME", shapes_in_words() + ", random weights", {.fallback = "smol"});
  line.option("dtype", "NAME", "how the base is held: fp32, bf16, int8 or nf4", {.fallback = "bf16"});
  line.option("batch", "A,B,...", "sequences that are written at a time, one measurement each", {.fallback = "1,8"});
  line.option("adapters", "N", "live LoRA adapters, handed out to the sequences in turns", {.fallback = "0"});
  line.option("prompt", "N", "tokens of the prompt", {.fallback = "512"});
  line.option("tokens", "N", "tokens written to each sequence", {.fallback = "64"});
  declare_common(line);
  if (!line.read(arguments)) return 0;
  GenerateSpeedOptions options;
  options.shape = shape_named(line.text("shape"));
  options.dtype = line.text("dtype");
  options.batch = numbers_in(line.text("batch"), "batch");
  options.adapters = line.integer("adapters");
  options.prompt = line.integer("prompt");
  options.tokens = line.integer("tokens");
  options.threads = line.threads();
  options.validate();
  SpeedProgress progress;
  const GenerateSpeed speed = measure_generation(options, progress);
  progress.done();
  print(speed, line.has("json"));
  return 0;
}

int bench_kernels_action(const Arguments& arguments) {
  CommandLine line("anneal bench kernels",
                   "Measures the peaks of this machine, and how near to them each operation of a training comes.",
                   {"anneal bench kernels", "anneal bench kernels --shape nano --dtype bf16 --json"});
  line.option("shape", "NAME", shapes_in_words() + "; default: both", {});
  line.option("dtype", "NAME", "how frozen weights are held: fp32 or bf16", {.fallback = "fp32"});
  line.option("seconds", "X", "measure each operation so long", {.fallback = "0.2"});
  declare_common(line);
  if (!line.read(arguments)) return 0;
  KernelSpeedOptions options;
  if (line.has("shape")) options.shapes = {shape_named(line.text("shape"))};
  options.dtype = line.text("dtype");
  options.seconds = line.number("seconds");
  options.threads = line.threads();
  options.validate();
  SpeedProgress progress;
  const KernelSpeed speed = measure_kernels(options, progress);
  progress.done();
  print(speed, line.has("json"));
  return 0;
}

}  // namespace finetune
