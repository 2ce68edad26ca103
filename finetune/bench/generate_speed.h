// `anneal bench generate`: how fast a decoder with random weights reads a prompt and writes on, with or without live
// adapters. A token is written by reading every weight once, so that the rate of writing is held against the measured
// rate of reading memory. One measurement at a time, on the calling thread.
#pragma once

#include <cstdint>
#include <vector>

#include "finetune/bench/speed_setting.h"
#include "kernels/bench/repeated_time.h"

namespace finetune {

struct GenerateSpeedOptions {
  kernels::DecoderShape shape = kernels::decoder_shapes().back();
  std::string dtype = "bf16";             // one of speed_dtypes()
  std::vector<std::int64_t> batch{1, 8};  // sequences that are written at a time, one measurement each
  std::int64_t adapters = 0;  // LoRA of rank 16 on all seven layers; sequence i has adapter i mod `adapters`
  std::int64_t prompt = 512;  // tokens
  std::int64_t tokens = 64;   // written to each sequence
  int threads = 0;            // 0 = one per core
  PeakEffort peaks;

  /// Throws kInvalidInput naming the field.
  void validate() const;
};

struct DecodeSpeed {
  std::int64_t batch = 1;
  std::int64_t sequences_a_pass = 1;  // for which the weights are read together
  kernels::RepeatedTime round;        // a token for each of the batch

  double tokens_per_second() const { return static_cast<double>(batch) / round.median; }
  /// Of what the memory could deliver: bytes of weights a second over bytes a second.
  double fraction_of_bandwidth(std::int64_t weight_bytes, double bandwidth) const;
};

struct GenerateSpeed {
  GenerateSpeedOptions options;
  kernels::CpuDescription cpu;
  int threads = 1;
  double load_seconds = 0;        // base folder to model
  std::int64_t weight_bytes = 0;  // read for a token: linear layers and head, as they are held
  kernels::RepeatedTime prefill;  // one prompt, up to the logits of its last token
  std::vector<DecodeSpeed> decode;
  double bandwidth_before = 0, bandwidth_after = 0;  // bytes a second
  std::int64_t peak_bytes = 0;

  double prefill_tokens_per_second() const { return static_cast<double>(options.prompt) / prefill.median; }
  double bandwidth() const { return bandwidth_before > bandwidth_after ? bandwidth_before : bandwidth_after; }
};

/// Works in a temporary folder. Throws kCancelled when asked to stop.
GenerateSpeed measure_generation(const GenerateSpeedOptions& options, SpeedObserver& observer);

}  // namespace finetune
