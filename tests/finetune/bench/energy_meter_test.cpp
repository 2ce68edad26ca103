#include "finetune/bench/energy_meter.h"

#include <gtest/gtest.h>

#include "platform/base/file.h"

namespace finetune {
namespace {

// The files of powercap in a folder of the test.
class EnergyMeterFiles : public testing::Test {
 protected:
  void package(const std::string& name, std::int64_t microjoules, std::int64_t range = 1'000'000'000) {
    std::filesystem::create_directories(folder_.path() / name);
    platform::write_file_atomically(folder_.path() / name / "energy_uj", std::to_string(microjoules) + "\n");
    platform::write_file_atomically(folder_.path() / name / "max_energy_range_uj", std::to_string(range) + "\n");
  }
  platform::TemporaryFolder folder_;
};

TEST_F(EnergyMeterFiles, AddsThePackagesAndNotTheirParts) {
  package("intel-rapl:0", 1'000'000);
  package("intel-rapl:1", 5'000'000);
  package("intel-rapl:0:0", 7);
  EnergyMeter meter(folder_.path());
  meter.begin();
  package("intel-rapl:0", 3'500'000);
  package("intel-rapl:1", 6'000'000);
  package("intel-rapl:0:0", 900'000'000);
  EXPECT_DOUBLE_EQ(meter.joules().value(), 3.5);
}

TEST_F(EnergyMeterFiles, ACounterMayStartAgainFromZero) {
  package("intel-rapl:0", 9'000'000, 10'000'000);
  EnergyMeter meter(folder_.path());
  meter.begin();
  package("intel-rapl:0", 500'000, 10'000'000);
  EXPECT_DOUBLE_EQ(meter.joules().value(), 1.5);
}

TEST_F(EnergyMeterFiles, SaysNothingWhereNothingCanBeRead) {
  EnergyMeter none(folder_.path() / "absent");
  none.begin();
  EXPECT_FALSE(none.joules().has_value());
  package("intel-rapl:0", 1);
  EnergyMeter gone(folder_.path());
  gone.begin();
  std::filesystem::remove(folder_.path() / "intel-rapl:0/energy_uj");
  EXPECT_FALSE(gone.joules().has_value());
}

}  // namespace
}  // namespace finetune
