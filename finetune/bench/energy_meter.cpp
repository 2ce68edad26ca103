#include "finetune/bench/energy_meter.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace finetune {
namespace {

std::optional<std::int64_t> number_in(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::int64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

// intel-rapl:0 is a package (AMD's have the same name); intel-rapl:0:0 is a part of it.
bool is_package(const std::string& name) {
  return name.starts_with("intel-rapl:") && std::count(name.begin(), name.end(), ':') == 1;
}

}  // namespace

EnergyMeter::EnergyMeter(std::filesystem::path powercap) {
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(powercap, absent)) {
    if (is_package(entry.path().filename().string())) packages_.push_back({entry.path(), std::nullopt});
  }
}

void EnergyMeter::begin() {
  for (Package& package : packages_) package.begin = number_in(package.folder / "energy_uj");
}

std::optional<double> EnergyMeter::joules() const {
  if (packages_.empty()) return std::nullopt;
  std::int64_t microjoules = 0;
  for (const Package& package : packages_) {
    const auto now = number_in(package.folder / "energy_uj");
    if (!package.begin || !now) return std::nullopt;
    std::int64_t taken = *now - *package.begin;
    if (taken < 0) taken += number_in(package.folder / "max_energy_range_uj").value_or(0);
    microjoules += taken;
  }
  return static_cast<double>(microjoules) * 1e-6;
}

}  // namespace finetune
