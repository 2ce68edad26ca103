#include "finetune/train/unread_fields.h"

#include <gtest/gtest.h>

namespace finetune {
namespace {

platform::Example example_with(const std::string& prompt) {
  platform::Example example;
  example.prompt = prompt;
  example.numbers = {{"torque", 1.0}, {"presure", 2.0}};
  example.categories = {{"grade", "A"}};
  example.signals["flow"] = {.values = {1, 2, 3}};
  return example;
}

std::vector<UnreadField> unread_of(const platform::Example& example, const HeadForm& form = {}) {
  const std::vector<const platform::Example*> examples{&example, &example};
  return unread_fields(learn_sensor_schema(examples, 32), form, examples);
}

TEST(UnreadFields, AreThoseThatNoSlotNamesWithTheirExamples) {
  const auto fields = unread_of(example_with("{{ number:torque }} {{ category:grade }}"));
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].slot, "number:presure");
  EXPECT_EQ(fields[0].examples, 2);
  EXPECT_EQ(fields[1].slot, "signal:flow");
  const std::string notice = *unread_fields_notice(fields);
  for (const char* part : {"number:presure (2 examples)", "signal:flow", "{{ number:presure }}"})
    EXPECT_NE(notice.find(part), std::string::npos) << notice;
}

TEST(UnreadFields, AreNotWhatAForecastContinues) {
  const HeadForm form{.continues = "flow"};
  const auto fields = unread_of(example_with("{{ number:torque }} {{ number:presure }} {{ category:grade }}"), form);
  EXPECT_TRUE(fields.empty());
  EXPECT_EQ(unread_fields_notice(fields), std::nullopt);
}

TEST(UnreadFields, AreNamedUpToTen) {
  platform::Example example;
  example.prompt = "{{ number:a }}";
  example.numbers["a"] = 1.0;
  for (int i = 0; i < 25; ++i) example.numbers["b" + std::to_string(i)] = 1.0;
  const std::string notice = *unread_fields_notice(unread_of(example));
  EXPECT_NE(notice.find("and 15 more"), std::string::npos) << notice;
  EXPECT_LT(notice.size(), 700u);
}

}  // namespace
}  // namespace finetune
