#include "kernels/bench/cpu_description.h"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace kernels {
namespace {

// A machine is of the first class all of whose flags it has. The four flags behind avx512f are what the matrix library
// asks for before it uses 512 bits.
struct FeatureClass {
  const char* name;
  std::vector<std::string_view> flags;
  bool multiplies_bfloat16;
};

const std::vector<FeatureClass>& table() {
  static const std::vector<FeatureClass> classes{
      {"amx", {"amx_tile", "amx_bf16", "avx512f", "avx512bw", "avx512vl", "avx512dq"}, true},
      {"avx512-bf16", {"avx512_bf16", "avx512f", "avx512bw", "avx512vl", "avx512dq"}, true},
      {"avx512-vnni", {"avx512_vnni", "avx512f", "avx512bw", "avx512vl", "avx512dq"}, false},
      {"avx512", {"avx512f", "avx512bw", "avx512vl", "avx512dq"}, false},
      {"avx2", {"avx2", "fma"}, false},
      {"neon-bf16", {"asimd", "bf16"}, true},
      {"neon", {"asimd"}, false},
      {"plain", {}, false},
  };
  return classes;
}

std::string_view without_blanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// The first value of a line "key : value"; empty if there is none. All processors of a machine say the same.
std::string_view value_of(std::string_view text, std::string_view key) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || without_blanks(line.substr(0, colon)) != key) continue;
    return without_blanks(line.substr(colon + 1));
  }
  return {};
}

bool has_word(std::string_view words, std::string_view word) {
  for (std::size_t at = words.find(word); at != std::string_view::npos; at = words.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || words[at - 1] == ' ') && (end == words.size() || words[end] == ' ')) return true;
  }
  return false;
}

}  // namespace

CpuDescription describe_cpu(std::string_view cpuinfo) {
  CpuDescription cpu;
  if (const std::string_view model = value_of(cpuinfo, "model name"); !model.empty()) cpu.model = model;
  std::string_view flags = value_of(cpuinfo, "flags");
  if (flags.empty()) flags = value_of(cpuinfo, "Features");  // ARM
  for (const FeatureClass& each : table()) {
    const bool has_all =
        std::all_of(each.flags.begin(), each.flags.end(), [&](std::string_view flag) { return has_word(flags, flag); });
    if (!has_all) continue;
    cpu.feature_class = each.name;
    cpu.multiplies_bfloat16 = each.multiplies_bfloat16;
    break;
  }
  return cpu;
}

CpuDescription this_cpu() {
  std::ifstream file("/proc/cpuinfo");
  return describe_cpu(std::string(std::istreambuf_iterator<char>(file), {}));
}

const std::vector<std::string>& cpu_feature_classes() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const FeatureClass& each : table()) all.emplace_back(each.name);
    return all;
  }();
  return names;
}

}  // namespace kernels
