#include "finetune/bench/peer_speed.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <optional>

#include "finetune/bench/train_speed.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/base/json.h"
#include "platform/base/process.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr const char* kScript = "peft_train.py";
constexpr std::chrono::minutes kLongest{60};  // compiling a large model alone may take several
constexpr std::size_t kReasonBytes = 300;

// The allocator keeps what it has instead of giving big buffers back to the kernel after every step.
std::map<std::string, std::string> peer_environment(const std::filesystem::path& cache) {
  return {{"MALLOC_TOP_PAD_", "4000000000"},
          {"MALLOC_MMAP_THRESHOLD_", "17179869184"},
          {"MALLOC_TRIM_THRESHOLD_", "17179869184"},
          {"TORCHINDUCTOR_CACHE_DIR", cache.string()},
          {"TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1"},
          {"TOKENIZERS_PARALLELISM", "false"},
          {"HF_HUB_OFFLINE", "1"}};
}

std::vector<std::string> command_of(const PeerRequest& request, bool compile) {
  std::vector<std::string> command{request.python, peer_script().string(),
                                   "--base",       request.base_folder.string(),
                                   "--dtype",      request.dtype,
                                   "--sequence",   std::to_string(request.sequence),
                                   "--batch",      std::to_string(request.batch),
                                   "--rank",       std::to_string(request.rank),
                                   "--threads",    std::to_string(request.threads),
                                   "--seconds",    std::to_string(request.seconds),
                                   "--steps",      std::to_string(request.steps)};
  if (compile) command.emplace_back("--compile");
  return command;
}

// Exit code, or nullopt if it took longer than anyone waits.
std::optional<int> run_to_end(platform::Process& process, SpeedObserver& observer) {
  const auto deadline = std::chrono::steady_clock::now() + kLongest;
  for (;;) {
    if (const auto code = process.wait_for(std::chrono::milliseconds(200))) return code;
    check_stop(observer);  // the process is stopped as it goes out of scope
    if (std::chrono::steady_clock::now() > deadline) return std::nullopt;
  }
}

PeerSpeed measure_peer(const PeerRequest& request, bool compile, SpeedObserver& observer) {
  const std::string name = compile ? "pytorch-compile" : "pytorch";
  observer.on_stage("training by " + name);
  const platform::TemporaryFolder folder;
  platform::ProcessOptions options;
  options.environment = peer_environment(folder.path() / "inductor");
  options.log_file = folder.path() / "output";
  options.stop_grace = std::chrono::milliseconds(1000);
  PeerSpeed speed;
  try {
    platform::Process process(command_of(request, compile), options);
    const auto code = run_to_end(process, observer);
    const std::string output = platform::read_file(*options.log_file);
    if (code == 0)
      speed = peer_speed_from(output, request.flop_per_token);
    else
      speed.failed =
          code ? reason_of_failure(*code, output) : "took longer than " + std::to_string(kLongest.count()) + " minutes";
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled) throw;
    speed.failed = error.what();
  }
  speed.name = name;
  return speed;
}

}  // namespace

PeerSpeed peer_speed_from(std::string_view output, double flop_per_token) {
  std::string_view answer;
  for (std::size_t at = 0; at < output.size();) {
    const std::size_t end = std::min(output.find('\n', at), output.size());
    if (output[at] == '{') answer = output.substr(at, end - at);
    at = end + 1;
  }
  if (answer.empty()) throw Error(ErrorCode::kInvalidInput, "the peer ended without an answer");
  constexpr const char* kWhere = "the peer's answer";
  const json::value document = platform::parse_json(answer, kWhere);
  const json::object& object = platform::as_object(document, kWhere);
  const auto number = [&](const char* key) { return platform::require_number(object, key, kWhere); };
  PeerSpeed speed;
  speed.version = platform::require_string(object, "version", kWhere);
  speed.tokens_per_second = number("tokens_per_second");
  speed.slowest = number("slowest");
  speed.fastest = number("fastest");
  speed.steps = platform::require_int(object, "steps", kWhere);
  speed.gemm_gflops = number("gemm_gflops");
  speed.fraction_of_gemm = fraction_of_product(speed.tokens_per_second, flop_per_token, speed.gemm_gflops);
  speed.peak_bytes = platform::require_int(object, "peak_bytes", kWhere);
  speed.start_seconds = number("start_seconds");
  speed.first_step_seconds = number("first_step_seconds");
  return speed;
}

std::string reason_of_failure(int exit_code, std::string_view output) {
  if (exit_code == 128 + SIGKILL) return "was killed, perhaps for want of memory";
  const std::size_t last = output.find_last_not_of(" \n\r\t");
  std::string line;
  if (last != std::string_view::npos) {
    const std::size_t before = output.find_last_of('\n', last);
    const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
    line = output.substr(begin, std::min(last + 1 - begin, kReasonBytes));
  }
  return "ended with code " + std::to_string(exit_code) + (line.empty() ? "" : ": " + line);
}

std::vector<PeerSpeed> measure_peers(const PeerRequest& request, SpeedObserver& observer) {
  std::vector<PeerSpeed> peers;
  for (const bool compile : {false, true}) peers.push_back(measure_peer(request, compile, observer));
  return peers;
}

std::filesystem::path peer_script() {
  std::vector<std::filesystem::path> places;
  std::error_code ignored;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) places.push_back(program.parent_path().parent_path() / "share/anneal/bench");
  if (const char* source = std::getenv("ANNEAL_SOURCE"))
    places.push_back(std::filesystem::path(source) / "kernels/bench/peers");
  places.push_back(std::filesystem::path(ANNEAL_SOURCE_FOLDER) / "kernels/bench/peers");
  for (const std::filesystem::path& place : places) {
    if (std::filesystem::exists(place / kScript)) return place / kScript;
  }
  throw Error(ErrorCode::kNotFound, std::string("the peer's script is not at ") + (places.back() / kScript).string() +
                                        "; point ANNEAL_SOURCE at the source tree");
}

}  // namespace finetune
