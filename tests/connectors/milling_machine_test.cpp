#include "connectors/simulators/milling_machine.h"

#include <gtest/gtest.h>

#include <map>

#include "connectors/profiles.h"
#include "connectors/record_parser.h"
#include "platform/dataset/snapshot.h"

namespace connectors {
namespace {

TEST(MillingMachine, SaysTheSameForTheSameSeed) {
  MillingMachine a, b, other({.seed = 2, .machine = "mill-3", .start = {}});
  bool differs = false;
  for (int i = 0; i < 200; ++i) {
    const auto record = a.next();
    EXPECT_EQ(record, b.next());
    differs = differs || record != other.next();
  }
  EXPECT_TRUE(differs);
}

TEST(MillingMachine, FailsByEachOfItsRulesAndNotTooOften) {
  MillingMachine machine;
  std::map<std::string, int> modes;
  for (int i = 0; i < 5000; ++i) ++modes[std::string(machine.next().at("fields").at("failure_mode").as_string())];
  for (const char* mode : {"heat", "power", "strain", "tool"}) EXPECT_GT(modes[mode], 10) << mode;
  EXPECT_GT(modes["none"], 4250);
  EXPECT_LT(modes["none"], 4900);
}

TEST(MillingMachine, IsReadByTheProfileOfMachineFailures) {
  const platform::Profile profile = load_profile("machine-failure");
  MillingMachine machine;
  const InputFormat input;
  RecordMaker maker(input, profile, "mill");
  std::vector<platform::Observation> rows;
  for (int i = 0; i < 500; ++i) rows.push_back(maker.from_object(machine.next(), i + 1));
  const platform::SnapshotResult result = platform::build_snapshot(profile, rows);
  EXPECT_EQ(result.examples.size(), 500u);
  EXPECT_TRUE(result.examples[0].numbers.at("torque").has_value());
  EXPECT_EQ(result.report.at("problems").as_object().size(), 0u);
}

}  // namespace
}  // namespace connectors
