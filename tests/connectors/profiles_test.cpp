#include "connectors/profiles.h"

#include <gtest/gtest.h>

#include "connectors/record_parser.h"

namespace connectors {
namespace {

TEST(Profiles, OfEveryShippedDomainAreReadAndSurviveJson) {
  for (const std::string& name : profile_names()) {
    const platform::Profile profile = load_profile(name);
    EXPECT_EQ(profile.name, name);
    EXPECT_EQ(platform::to_json(platform::profile_from_json(platform::to_json(profile))), platform::to_json(profile))
        << name;
    InputFormat::from_json(profile.input);
  }
  EXPECT_GE(profile_names().size(), 6u);
}

TEST(Profiles, SayWhichOnesThereAreWhenANameIsUnknown) {
  try {
    load_profile("machine-failur");
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'machine-failure'"), std::string::npos) << error.what();
  }
}

TEST(Profiles, OfATableTellNumbersCategoriesTextAndIdentifiersApart) {
  std::string csv = "id,torque,grade,site,remark,broken\n";
  for (int i = 0; i < 60; ++i) {
    csv += std::to_string(i + 1) + "," + std::to_string(i * 7 % 50) + ".5," + (i % 3 == 0 ? "L" : "H") +
           ",north,\"the spindle was loud today " + std::to_string(i) + "\"," + std::to_string(i % 2) + "\n";
  }
  const auto rows = parse_records(csv, "text/csv", {}, {}, "s").records;
  const platform::Profile profile = profile_from_table(rows, "broken");
  EXPECT_EQ(profile.field("id")->kind, platform::FieldKind::kIgnore);
  EXPECT_EQ(profile.field("site")->kind, platform::FieldKind::kIgnore);
  EXPECT_EQ(profile.field("torque")->kind, platform::FieldKind::kNumber);
  EXPECT_EQ(profile.field("grade")->kind, platform::FieldKind::kCategory);
  EXPECT_EQ(profile.field("remark")->kind, platform::FieldKind::kText);
  EXPECT_EQ(profile.target.task, platform::TargetTask::kClassify);
  EXPECT_EQ(profile_from_table(rows, "torque").target.task, platform::TargetTask::kRegress);
  EXPECT_EQ(platform::to_json(platform::profile_from_yaml(profile_to_yaml(profile), "t.yaml")),
            platform::to_json(profile));
  EXPECT_THROW(profile_from_table(rows, "borken"), platform::Error);
}

TEST(Profiles, OfATableTakeNumbersThatNoWholeNumberHolds) {
  std::vector<platform::Observation> rows(40);
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i].fields = {{"charge", 1e300 * static_cast<double>(i % 7)}, {"broken", i % 2}};
  EXPECT_EQ(profile_from_table(rows, "broken").field("charge")->kind, platform::FieldKind::kNumber);
}

TEST(Profiles, OfATableKeepANumericTargetNumericOverAFewCellsThatAreNone) {
  for (const std::string stray : {"측정불가", "NaN", "-", ""}) {
    std::string csv = "torque,wear\n";
    for (int i = 0; i < 600; ++i)
      csv += std::to_string(i * 7 % 50) + ".5," + (i == 417 ? stray : std::to_string(i * 3 % 97) + ".25") + "\n";
    const auto rows = parse_records(csv, "text/csv", {}, {}, "s").records;
    ASSERT_EQ(rows.size(), 600u);
    const platform::Profile profile = profile_from_table(rows, "wear");
    EXPECT_EQ(profile.target.task, platform::TargetTask::kRegress) << stray;
    EXPECT_EQ(platform::to_json(platform::profile_from_yaml(profile_to_yaml(profile), "t.yaml")),
              platform::to_json(profile));
    const auto strays = stray_cells(rows);
    if (stray.empty() || stray == "NaN") {
      EXPECT_TRUE(strays.empty()) << stray;
      continue;
    }
    ASSERT_EQ(strays.size(), 1u) << stray;
    EXPECT_EQ(strays[0].column + ":" + strays[0].first, "wear:" + stray);
    EXPECT_EQ(strays[0].count, 1);
  }
}

TEST(Profiles, OfATableClassifyWhereMoreThanATwentiethOfTheTargetIsNoNumber) {
  std::vector<platform::Observation> rows(100);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].fields["n"] = static_cast<double>(i % 30) + 0.5;
    if (i % 10 == 0) rows[i].fields["n"] = "off";
  }
  EXPECT_EQ(profile_from_table(rows, "n").target.task, platform::TargetTask::kClassify);
  EXPECT_TRUE(stray_cells(rows).empty());
}

}  // namespace
}  // namespace connectors
