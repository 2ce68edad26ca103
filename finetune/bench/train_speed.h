// `anneal bench train`: how fast LoRA adapters of a decoder with random weights are trained, by the very call that
// `anneal train` makes: a base folder and a file of texts lie on disk, and all that follows is train_adapter(). Rates
// are held against the largest matrix product of the same process, before and after. Rank 16 on all seven linear
// layers, AdamW, one micro-batch a step. One measurement at a time, on the calling thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "finetune/bench/peer_speed.h"
#include "finetune/bench/speed_setting.h"
#include "kernels/bench/repeated_time.h"

namespace finetune {

struct TrainSpeedOptions {
  kernels::DecoderShape shape = kernels::decoder_shapes().front();
  std::string dtype = "fp32";   // one of speed_dtypes()
  std::int64_t sequence = 512;  // tokens
  std::int64_t batch = 4;       // sequences a step
  double seconds = 20;          // measured steps go on for so long, and are five at least;
  std::int64_t steps = 0;       // over 0: exactly so many instead
  int threads = 0;              // 0 = one per core
  std::string peer_python;      // a Python with torch, transformers and peft; empty: no peer is asked
  PeakEffort peaks;

  /// Throws kInvalidInput naming the field.
  void validate() const;
};

inline constexpr std::int64_t kSpeedRank = 16;
inline constexpr std::int64_t kWarmUpSteps = 2;  // unmeasured
inline constexpr std::int64_t kFewestSteps = 5;

struct TrainSpeed {
  TrainSpeedOptions options;
  kernels::CpuDescription cpu;
  int threads = 1;
  kernels::RepeatedTime step;           // of the measured steps
  double start_seconds = 0;             // from the call until the first step begins
  double first_step_seconds = 0;        // until it has ended
  std::int64_t peak_bytes = 0;          // of the process from the call on
  std::optional<double> energy_joules;  // of the whole machine, over the measured steps
  kernels::ProductType product_type = kernels::ProductType::kFloat32;
  kernels::ProductRates before, after;
  std::vector<PeerSpeed> peers;

  std::int64_t tokens_a_step() const { return options.batch * options.sequence; }
  double flop_per_token() const;
  double tokens_per_second() const { return static_cast<double>(tokens_a_step()) / step.median; }
  /// The best of the four.
  double gemm_gflops() const;
  double fraction_of_gemm() const;
};

/// Share of a product's rate that a training of so many tokens a second uses. Pure.
double fraction_of_product(double tokens_per_second, double flop_per_token, double gflops);

/// Works in a temporary folder. Throws kCancelled when asked to stop, kDiskFull where the base has no room (270 MB for
/// smol), kUnavailable where the processor has no product to hold it against.
TrainSpeed measure_training(const TrainSpeedOptions& options, SpeedObserver& observer);

}  // namespace finetune
