#include "platform/dataset/storable.h"

#include <gtest/gtest.h>

#include <cmath>

#include "platform/base/error.h"

namespace platform {
namespace {

// The place that is named; empty if the document can be kept.
std::string refused_at(const json::value& value) {
  try {
    require_storable(value, "record");
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    EXPECT_NE(std::string(error.what()).find(error.path()), std::string::npos) << error.what();
    return error.path();
  }
}

const std::string kNul("a\0b", 3);

TEST(Storable, NamesThePlaceOfWhatNoDatabaseKeeps) {
  EXPECT_EQ(refused_at(json::parse(R"({"a":["b",{"c":"\\u0000"}]})")), "") << "the six characters of an escape";
  EXPECT_EQ(refused_at({{"rows", json::array{json::object{}, json::object{{"note", kNul}}}}}), "record.rows[1].note");
  EXPECT_EQ(refused_at({{"note", "half a syllable \xED\x95"}}), "record.note");
  EXPECT_EQ(refused_at({{"torque", std::nan("")}}), "record.torque");
  json::object named;
  named[kNul] = 1;
  EXPECT_EQ(refused_at({{"deep", named}}), "record.deep");
}

TEST(Storable, JudgesARecordByTheSameRule) {
  for (const json::value& value : {json::value(kNul), json::value("\xFF"), json::value(INFINITY),
                                   json::value(json::array{json::object{{"x", kNul}}})}) {
    Observation record;
    record.key = "k";
    record.fields["note"] = value;
    const auto why = what_cannot_be_stored(record);
    ASSERT_TRUE(why);
    EXPECT_NE(why->find("'note'"), std::string::npos) << *why;
  }
}

}  // namespace
}  // namespace platform
