// The energy that the processor packages take, as the kernel reads it from their counters (RAPL, powercap): of the
// whole machine, whatever runs on it. Many machines, virtual ones above all, keep it to themselves. One thread an
// object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace finetune {

class EnergyMeter {
 public:
  explicit EnergyMeter(std::filesystem::path powercap = "/sys/class/powercap");

  void begin();
  /// Joules since begin(), counters that started again from zero included; nullopt where they cannot be read.
  std::optional<double> joules() const;

 private:
  struct Package {
    std::filesystem::path folder;
    std::optional<std::int64_t> begin;  // microjoules
  };
  std::vector<Package> packages_;
};

}  // namespace finetune
