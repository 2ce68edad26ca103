#include "platform/dataset/profile.h"

#include <gtest/gtest.h>

namespace platform {
namespace {

constexpr const char* kGood = R"(name: tool-failure
fields:
  torque: {kind: number, unit: Nm, minimum: 0, maximum: 200, from: "Torque [Nm]"}
  grade: {kind: category, values: [L, M, H]}
  S1..S3: number
  remark: text
  failure: category
target: {field: failure, task: classify, positive: "1"}
group: machine
split: {by: group, validation: 0.1, test: 0.2}
)";

TEST(Profile, ReadsFieldsRangesAndTheTarget) {
  const Profile profile = profile_from_yaml(kGood, "p.yaml");
  EXPECT_EQ(profile.fields.size(), 7u);
  EXPECT_EQ(profile.field("S2")->kind, FieldKind::kNumber);
  EXPECT_EQ(profile.field("torque")->from, std::vector<std::string>{"Torque [Nm]"});
  EXPECT_EQ(settle_prompt(profile),
            "torque {{ number:torque }} Nm, grade {{ category:grade }}, S1 {{ number:S1 }}, S2 {{ number:S2 }}, S3 {{ "
            "number:S3 }}\nremark {{ remark }} ->");
  EXPECT_EQ(to_json(profile_from_json(to_json(profile))), to_json(profile));
}

TEST(Profile, KeepsTheOrderOfItsFieldsThroughCanonicalJson) {
  const Profile profile =
      profile_from_yaml("name: p\nfields: {z: number, a: number, y: category}\ntarget: {field: y}\n", "p.yaml");
  const Profile again = profile_from_json(parse_json(canonical_json(to_json(profile)), "profile"));
  EXPECT_EQ(again.fields[0].name, "z");
  EXPECT_EQ(settle_prompt(again), settle_prompt(profile));
}

TEST(Profile, ReportsEveryMistakeWithItsPlace) {
  const std::string text = R"(name: p
feilds: {}
fields:
  torque: {kind: nmber, unti: Nm}
  S1..T4: number
target: {task: classfy}
window: {length: 0}
split: {by: grup}
prompt: "{{ number:torqe }}"
)";
  std::vector<Mistake> mistakes;
  const auto node = parse_yaml(text, "p.yaml", mistakes);
  ASSERT_TRUE(node.has_value());
  EXPECT_FALSE(parse_profile(*node, "p.yaml", mistakes).has_value());
  std::string all;
  for (const Mistake& mistake : mistakes) all += mistake.str() + "\n";
  for (const char* wanted :
       {"p.yaml:2:1: unknown key 'feilds'", "p.yaml:4:18: a field is", "unknown key 'unti'", "the range 'S1..T4'",
        "not 'classfy'", "needs a group", "length must be", "split.by must be",
        "names the field 'torqe', which is not declared (did you mean 'torque'?)"}) {
    EXPECT_NE(all.find(wanted), std::string::npos) << wanted << "\nin\n" << all;
  }
}

TEST(Profile, RefusesAPromptThatHoldsItsAnswer) {
  EXPECT_THROW(profile_from_yaml("name: p\nfields: {y: category}\ntarget: {field: y}\nprompt: \"{{ y }}\"\n", "p.yaml"),
               Error);
}

}  // namespace
}  // namespace platform
