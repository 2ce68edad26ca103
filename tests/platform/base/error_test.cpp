#include "platform/base/error.h"

#include <gtest/gtest.h>

#include <set>

namespace platform {
namespace {

TEST(Error, EveryCodeHasANameOfItsOwnAndAStatus) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    const auto name = to_string(static_cast<ErrorCode>(code));
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_GE(http_status(static_cast<ErrorCode>(code)), 400) << name;
  }
}

TEST(Error, TellsTheUsersFaultFromOursByTheExitCode) {
  EXPECT_EQ(exit_code(ErrorCode::kInvalidInput), 2);
  EXPECT_EQ(exit_code(ErrorCode::kNotFound), 2);
  EXPECT_EQ(exit_code(ErrorCode::kUnavailable), 1);
  EXPECT_EQ(exit_code(ErrorCode::kCancelled), 1);
  EXPECT_TRUE(retryable(ErrorCode::kUnavailable));
  EXPECT_FALSE(retryable(ErrorCode::kInvalidInput));
}

TEST(Error, KeepsTheCauseApartFromTheMessage) {
  const Error error(ErrorCode::kConflict, "the name is taken; choose another", "name", "violates things_pkey");
  EXPECT_EQ(std::string(error.what()).find("things_pkey"), std::string::npos);
  EXPECT_EQ(in_full(error), "the name is taken; choose another (violates things_pkey)");
  EXPECT_EQ(in_full(std::runtime_error("broken")), "broken");
}

}  // namespace
}  // namespace platform
