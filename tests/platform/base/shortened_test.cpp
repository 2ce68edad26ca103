#include "platform/base/shortened.h"

#include <gtest/gtest.h>

namespace platform {
namespace {

TEST(Shortened, LeavesWhatFitsAsItIs) {
  EXPECT_EQ(shortened("", 3), "");
  EXPECT_EQ(shortened("torque 42", 9), "torque 42");
  EXPECT_EQ(shortened("토크", 6), "토크");
}

TEST(Shortened, CutsBetweenCharactersAndSaysSo) {
  EXPECT_EQ(shortened("torque 42", 8), "torqu...");
  const std::string korean = "삐걱거림삐걱거림";
  for (std::size_t limit = 3; limit < korean.size(); ++limit) {
    const std::string cut = shortened(korean, limit);
    EXPECT_LE(cut.size(), limit);
    EXPECT_TRUE(cut.ends_with("..."));
    EXPECT_EQ(korean.substr(0, cut.size() - 3), cut.substr(0, cut.size() - 3));
    EXPECT_EQ((cut.size() - 3) % 3, 0u) << "a character was cut";
  }
}

TEST(Shortened, HoldsNothingThatPostgresqlRefuses) {
  EXPECT_EQ(shortened(std::string_view("a\0b", 3), 9), "a?b");
  EXPECT_EQ(shortened("\xff\xc3", 9), "??");
  EXPECT_EQ(shortened("\xc0\xaf \xe0\x80\xaf \xed\xa0\x80 \xf4\x90\x80\x80", 40), "?? ??? ??? ????");
  EXPECT_EQ(shortened("\xf0\x9f\x94\xa7", 4), "\xf0\x9f\x94\xa7");
}

TEST(PlainText, IsUtf8WithoutNul) {
  for (const std::string& text : {std::string(), std::string("torque 42\n"), std::string("토크 \xf0\x9f\x94\xa7")})
    EXPECT_TRUE(is_plain_text(text)) << text;
  for (const std::string& text : {std::string("a\0b", 3), std::string("\xff"), std::string("\xed\x95"),
                                  std::string("\xc0\xaf"), std::string("\xed\xa0\x80")})
    EXPECT_FALSE(is_plain_text(text));
}

}  // namespace
}  // namespace platform
