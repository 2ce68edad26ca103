#include "finetune/bench/speed_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace finetune {
namespace {

namespace json = platform::json;
using Row = std::vector<std::string>;

constexpr double kMebibyte = 1024.0 * 1024.0;
// Two measurements of the same peak that differ by more speak of a machine that did something else as well.
constexpr double kQuiet = 0.1;

std::string fixed(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}
std::string percent(double share) { return fixed(100 * share, 1) + " %"; }
std::string mebibytes(std::int64_t bytes) { return fixed(static_cast<double>(bytes) / kMebibyte, 0); }

// The first column to the left, all others to the right.
std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - row[i].size(), ' ');
      text += i == 0 ? row[i] + (row.size() > 1 ? blanks : "") : "  " + blanks + row[i];
    }
    text += '\n';
  }
  return text;
}

std::string machine(const kernels::CpuDescription& cpu, int threads) {
  return cpu.model + " (" + cpu.feature_class + "), " + std::to_string(threads) +
         (threads == 1 ? " thread" : " threads") + "\n";
}

std::string held_in(const std::string& dtype) {
  const std::string computed = kernels::name_of(computed_in(dtype));
  if (dtype == "fp32") return dtype;
  if (dtype == "bf16" && computed == "bfloat16") return dtype;
  return dtype + " (the weights are held so; products are computed in " + computed + ")";
}

std::string drift(double before, double after) {
  if (std::abs(before - after) <= kQuiet * std::max(before, after)) return "";
  return "The machine was not quiet: before and after differ by more than 10 %. Measure again when nothing else "
         "runs.\n";
}

json::object cpu_json(const kernels::CpuDescription& cpu) {
  return {{"model", cpu.model}, {"features", cpu.feature_class}};
}

json::value rates_json(const kernels::ProductRates& rates) {
  return json::object{{"plain", rates.plain}, {"packed", rates.packed}};
}

json::object peer_json(const PeerSpeed& peer, double ours) {
  if (!peer.failed.empty()) return {{"name", peer.name}, {"failed", peer.failed}};
  return {{"name", peer.name},
          {"version", peer.version},
          {"tokens_per_second", peer.tokens_per_second},
          {"slowest", peer.slowest},
          {"fastest", peer.fastest},
          {"steps", peer.steps},
          {"gemm_gflops", peer.gemm_gflops},
          {"fraction_of_gemm", peer.fraction_of_gemm},
          {"peak_bytes", peer.peak_bytes},
          {"start_seconds", peer.start_seconds},
          {"first_step_seconds", peer.first_step_seconds},
          {"ours_over_peer", ours / peer.tokens_per_second}};
}

Row peer_row(const PeerSpeed& peer, double ours) {
  return {peer.name,
          fixed(peer.tokens_per_second, 0),
          fixed(peer.slowest, 0) + " - " + fixed(peer.fastest, 0),
          fixed(peer.gemm_gflops, 0),
          percent(peer.fraction_of_gemm),
          mebibytes(peer.peak_bytes),
          fixed(peer.first_step_seconds, 2),
          fixed(ours / peer.tokens_per_second, 2)};
}

double slowest_of(const TrainSpeed& speed) { return static_cast<double>(speed.tokens_a_step()) / speed.step.slowest; }
double fastest_of(const TrainSpeed& speed) { return static_cast<double>(speed.tokens_a_step()) / speed.step.fastest; }

// What stands below the table: which versions it was, or why there is no row.
std::string remarks_on(const std::vector<PeerSpeed>& peers) {
  std::string text;
  for (const PeerSpeed& peer : peers) {
    if (!peer.failed.empty()) text += peer.name + " failed: " + peer.failed + "\n";
    if (peer.failed.empty()) text += peer.name + ": " + peer.version + "\n";
  }
  return text;
}

std::string energy(const TrainSpeed& speed) {
  if (!speed.energy_joules) return "energy: this machine does not let it be read\n";
  const auto tokens = static_cast<double>(speed.tokens_a_step() * speed.step.count);
  return "energy: " + fixed(*speed.energy_joules, 1) + " J, " + fixed(1000 * *speed.energy_joules / tokens, 2) +
         " J for 1,000 tokens\n";
}

json::object op_json(const KernelSpeed& speed, const kernels::OpRate& op) {
  const bool products = op.bound == kernels::OpRate::Bound::kProducts;
  return {{"op", op.op},
          {"bound", products ? "products" : "memory"},
          {"calls_a_step", op.calls_a_step},
          {"seconds", op.time.median},
          {products ? "gflops" : "gigabytes_per_second", op.rate() * 1e-9},
          {"fraction_of_peak", speed.fraction_of_peak(op)}};
}

}  // namespace

json::value to_json(const TrainSpeed& speed) {
  json::array peers;
  for (const PeerSpeed& peer : speed.peers) peers.push_back(peer_json(peer, speed.tokens_per_second()));
  json::object object{{"shape", speed.options.shape.name},
                      {"dtype", speed.options.dtype},
                      {"computed_in", kernels::name_of(computed_in(speed.options.dtype))},
                      {"sequence", speed.options.sequence},
                      {"batch", speed.options.batch},
                      {"rank", kSpeedRank},
                      {"threads", speed.threads},
                      {"cpu", cpu_json(speed.cpu)},
                      {"steps", speed.step.count},
                      {"tokens_per_second", speed.tokens_per_second()},
                      {"slowest", slowest_of(speed)},
                      {"fastest", fastest_of(speed)},
                      {"flop_per_token", speed.flop_per_token()},
                      {"gemm_gflops", speed.gemm_gflops()},
                      {"gemm", json::object{{"type", kernels::name_of(speed.product_type)},
                                            {"before", rates_json(speed.before)},
                                            {"after", rates_json(speed.after)}}},
                      {"fraction_of_gemm", speed.fraction_of_gemm()},
                      {"peak_bytes", speed.peak_bytes},
                      {"start_seconds", speed.start_seconds},
                      {"first_step_seconds", speed.first_step_seconds},
                      {"energy_joules", nullptr},
                      {"peers", std::move(peers)}};
  if (speed.energy_joules) object["energy_joules"] = *speed.energy_joules;
  return object;
}

json::value to_json(const GenerateSpeed& speed) {
  json::array decode;
  for (const DecodeSpeed& each : speed.decode) {
    decode.push_back(
        json::object{{"batch", each.batch},
                     {"sequences_a_pass", each.sequences_a_pass},
                     {"tokens_per_second", each.tokens_per_second()},
                     {"slowest", static_cast<double>(each.batch) / each.round.slowest},
                     {"fastest", static_cast<double>(each.batch) / each.round.fastest},
                     {"fraction_of_bandwidth", each.fraction_of_bandwidth(speed.weight_bytes, speed.bandwidth())}});
  }
  return json::object{{"shape", speed.options.shape.name},
                      {"dtype", speed.options.dtype},
                      {"computed_in", kernels::name_of(computed_in(speed.options.dtype))},
                      {"adapters", speed.options.adapters},
                      {"prompt", speed.options.prompt},
                      {"tokens", speed.options.tokens},
                      {"threads", speed.threads},
                      {"cpu", cpu_json(speed.cpu)},
                      {"load_seconds", speed.load_seconds},
                      {"prefill_tokens_per_second", speed.prefill_tokens_per_second()},
                      {"decode", std::move(decode)},
                      {"weight_bytes", speed.weight_bytes},
                      {"bandwidth_bytes_per_second", speed.bandwidth()},
                      {"bandwidth_before", speed.bandwidth_before},
                      {"bandwidth_after", speed.bandwidth_after},
                      {"peak_bytes", speed.peak_bytes}};
}

json::value to_json(const KernelSpeed& speed) {
  json::object products;
  for (const auto& [type, rates] : speed.products)
    products[kernels::name_of(type)] = rates ? rates_json(*rates) : json::value(nullptr);
  json::array shapes;
  for (const ShapeSpeed& each : speed.shapes) {
    json::array ops;
    for (const kernels::OpRate& op : each.ops) ops.push_back(op_json(speed, op));
    shapes.push_back(
        json::object{{"shape", each.shape.name}, {"seconds_a_step", each.seconds_a_step()}, {"ops", std::move(ops)}});
  }
  return json::object{{"dtype", speed.options.dtype},
                      {"threads", speed.threads},
                      {"cpu", cpu_json(speed.cpu)},
                      {"gemm_gflops", std::move(products)},
                      {"bandwidth_bytes_per_second", speed.bandwidth},
                      {"shapes", std::move(shapes)}};
}

std::string speed_text(const TrainSpeed& speed) {
  std::string text = "LoRA r=" + std::to_string(kSpeedRank) + " on all linear layers of " + speed.options.shape.name +
                     ", " + held_in(speed.options.dtype) + ", " + std::to_string(speed.options.batch) + " x " +
                     std::to_string(speed.options.sequence) + " tokens a step, " + std::to_string(speed.step.count) +
                     " steps\n" + machine(speed.cpu, speed.threads) + "\n";
  std::vector<Row> rows{
      {"", "tokens/s", "slowest - fastest", "GEMM GFLOP/s", "of GEMM", "peak MiB", "first step s", "anneal is x"},
      {"anneal", fixed(speed.tokens_per_second(), 0), fixed(slowest_of(speed), 0) + " - " + fixed(fastest_of(speed), 0),
       fixed(speed.gemm_gflops(), 0), percent(speed.fraction_of_gemm()), mebibytes(speed.peak_bytes),
       fixed(speed.first_step_seconds, 2), ""}};
  for (const PeerSpeed& peer : speed.peers) {
    if (peer.failed.empty()) rows.push_back(peer_row(peer, speed.tokens_per_second()));
  }
  text += table(rows) + remarks_on(speed.peers) + "\n";
  text += "2048^3 product in " + std::string(kernels::name_of(speed.product_type)) +
          ", plain and packed: " + fixed(speed.before.plain, 0) + " and " + fixed(speed.before.packed, 0) +
          " GFLOP/s before, " + fixed(speed.after.plain, 0) + " and " + fixed(speed.after.packed, 0) + " after\n" +
          "the first step began after " + fixed(speed.start_seconds, 2) + " s\n" + energy(speed);
  return text + drift(speed.before.best(), speed.after.best());
}

std::string speed_text(const GenerateSpeed& speed) {
  std::string text =
      "Generation by " + speed.options.shape.name + ", " + held_in(speed.options.dtype) + ", " +
      (speed.options.adapters == 0 ? std::string("no adapter")
                                   : std::to_string(speed.options.adapters) +
                                         (speed.options.adapters == 1 ? " live adapter" : " live adapters")) +
      "\n" + machine(speed.cpu, speed.threads) + "\n";
  const auto tokens = static_cast<double>(speed.options.prompt);
  std::vector<Row> rows{
      {"", "tokens/s", "slowest - fastest", "of read bandwidth"},
      {"prompt of " + std::to_string(speed.options.prompt), fixed(tokens / speed.prefill.median, 1),
       fixed(tokens / speed.prefill.slowest, 1) + " - " + fixed(tokens / speed.prefill.fastest, 1), "-"}};
  for (const DecodeSpeed& each : speed.decode) {
    const auto batch = static_cast<double>(each.batch);
    rows.push_back({"written to " + std::to_string(each.batch) + " at a time", fixed(each.tokens_per_second(), 1),
                    fixed(batch / each.round.slowest, 1) + " - " + fixed(batch / each.round.fastest, 1),
                    percent(each.fraction_of_bandwidth(speed.weight_bytes, speed.bandwidth()))});
  }
  text += table(rows) + "\n";
  text += fixed(static_cast<double>(speed.weight_bytes) / kMebibyte, 0) + " MiB of weights are read for a token; the " +
          "memory is read at " + fixed(speed.bandwidth_before * 1e-9, 1) + " GB/s before, " +
          fixed(speed.bandwidth_after * 1e-9, 1) + " after; loaded in " + fixed(speed.load_seconds, 2) + " s, peak " +
          mebibytes(speed.peak_bytes) + " MiB\n";
  return text + drift(speed.bandwidth_before, speed.bandwidth_after);
}

std::string speed_text(const KernelSpeed& speed) {
  std::string text = machine(speed.cpu, speed.threads) + "\n";
  std::vector<Row> peaks{{"2048^3 product", "plain", "packed"}};
  for (const auto& [type, rates] : speed.products) {
    peaks.push_back({kernels::name_of(type), rates ? fixed(rates->plain, 0) + " GFLOP/s" : "none",
                     rates ? fixed(rates->packed, 0) + " GFLOP/s" : "none"});
  }
  text += table(peaks) + "memory is read at " + fixed(speed.bandwidth * 1e-9, 1) + " GB/s\n";
  for (const ShapeSpeed& each : speed.shapes) {
    std::vector<Row> rows{{each.shape.name, "calls a step", "us a call", "of a step", "rate", "of its peak"}};
    for (const kernels::OpRate& op : each.ops) {
      const bool products = op.bound == kernels::OpRate::Bound::kProducts;
      rows.push_back({op.op, std::to_string(op.calls_a_step), fixed(op.time.median * 1e6, 1),
                      percent(op.seconds_a_step() / each.seconds_a_step()),
                      fixed(op.rate() * 1e-9, 1) + (products ? " GFLOP/s" : " GB/s   "),
                      percent(speed.fraction_of_peak(op))});
    }
    text += "\n" + table(rows) + "together " + fixed(each.seconds_a_step() * 1e3, 1) + " ms a step\n";
  }
  return text;
}

}  // namespace finetune
