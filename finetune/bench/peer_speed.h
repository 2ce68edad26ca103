// The same training by PyTorch, transformers and PEFT, as installed from PyPI: in a process of its own, by the script
// kernels/bench/peers/peft_train.py, from the same base folder, once as it is and once through torch.compile, one after
// the other. The C allocator is told to keep its memory, which makes PyTorch on a CPU up to twice as fast; its compiler
// starts without a cache, as on a machine where it runs for the first time. One measurement at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/bench/speed_setting.h"

namespace finetune {

struct PeerRequest {
  std::string python;
  std::filesystem::path base_folder;
  std::string dtype;
  std::int64_t sequence = 512, batch = 4, rank = 16;
  int threads = 1;
  double seconds = 20;
  std::int64_t steps = 0;
  double flop_per_token = 0;
};

struct PeerSpeed {
  std::string name;                                        // pytorch, pytorch-compile
  std::string version;                                     // "torch 2.15.0, transformers 5.24.0, peft 0.21.2"
  std::string failed;                                      // why there are no numbers; empty where there are
  double tokens_per_second = 0, slowest = 0, fastest = 0;  // the median step's, and both ends
  std::int64_t steps = 0;
  double gemm_gflops = 0;  // the best 2048^3 product of its own process, before and after
  double fraction_of_gemm = 0;
  std::int64_t peak_bytes = 0;
  double start_seconds = 0;       // from the start of the script until the first step begins
  double first_step_seconds = 0;  // until it has ended, compilation included
};

/// What the script printed, whose last line that begins with "{" is its answer. Throws kInvalidInput naming the field
/// that is missing. Pure.
PeerSpeed peer_speed_from(std::string_view output, double flop_per_token);
/// In a few words why a peer that ended with this exit code and output has no answer. Pure.
std::string reason_of_failure(int exit_code, std::string_view output);

/// One row a peer, in the order in which they ran; one that fails says why. Throws kCancelled when asked to stop, the
/// peer with it.
std::vector<PeerSpeed> measure_peers(const PeerRequest& request, SpeedObserver& observer);

/// The script: beside the program under share/anneal/bench, in $ANNEAL_SOURCE, or in the source tree the program was
/// built from. Throws kNotFound.
std::filesystem::path peer_script();

}  // namespace finetune
