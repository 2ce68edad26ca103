#include "platform/base/clock.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"
#include "platform/base/id.h"

namespace platform {
namespace {

TEST(Time, ReadsWhatItWrites) {
  for (const char* text :
       {"2026-03-01T08:15:30Z", "1970-01-01T00:00:00Z", "2024-02-29T23:59:59.000001Z", "2099-12-31T00:00:00.100000Z"}) {
    EXPECT_EQ(format_time(parse_time(text)), text);
  }
}

TEST(Time, TakesAnyOffsetBlanksAndMoreDigitsThanItKeeps) {
  EXPECT_EQ(format_time(parse_time("2026-03-01T17:15:30+09:00")), "2026-03-01T08:15:30Z");
  EXPECT_EQ(format_time(parse_time("2026-03-01 08:15:30.123456789Z")), "2026-03-01T08:15:30.123456Z");
}

TEST(Time, RefusesWhatIsNoTime) {
  for (const char* text : {"", "2026-03-01", "2026-02-30T00:00:00Z", "2026-03-01T25:00:00Z", "2026-03-01T08:15:30",
                           "2026-03-01T08:15:30+9:00", "2026-03-01T08:15:30Zx", "2026-03-01T08:15:30.Z5"}) {
    EXPECT_THROW(parse_time(text), Error) << text;
  }
}

TEST(Time, TakesTheYearsOneToNineThousandOfUtc) {
  EXPECT_EQ(parse_time("0001-01-01T00:00:00Z"), kEarliestTime);
  EXPECT_EQ(parse_time("9999-12-31T23:59:59.999999Z"), kLatestTime);
  EXPECT_EQ(format_time(parse_time("0000-12-31T20:00:00-09:00")), "0001-01-01T05:00:00Z");
  for (const char* text :
       {"0000-06-01T00:00:00Z", "0001-01-01T08:00:00+09:00", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60Z"})
    EXPECT_THROW(parse_time(text), Error) << text;
}

TEST(Id, IsTimeOrderedAndUnique) {
  const std::string first = new_uuid(), second = new_uuid();
  EXPECT_NE(first, second);
  EXPECT_LE(first.substr(0, 13), second.substr(0, 13));
  EXPECT_TRUE(is_uuid(first));
  EXPECT_EQ(first[14], '7');
  EXPECT_FALSE(is_uuid("0190-nope"));
}

}  // namespace
}  // namespace platform
