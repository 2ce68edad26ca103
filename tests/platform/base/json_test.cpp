#include "platform/base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace platform {
namespace {

std::string refusal(std::string_view text) {
  try {
    parse_json(text, "doc");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Json, CanonicalFormSortsKeysAndKeepsWholeDoublesDoubles) {
  EXPECT_EQ(canonical_json(parse_json(R"({"b":1,"a":[1.5,2.0,1e20,"\u00e9",null,true]})", "doc")),
            "{\"a\":[1.5,2.0,1e+20,\"\xc3\xa9\",null,true],\"b\":1}");
}

TEST(Json, CanonicalFormReadsBackToItself) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    double number = 0;
    const std::uint64_t bits = random();
    std::memcpy(&number, &bits, sizeof number);
    if (!std::isfinite(number)) continue;
    const std::string once = canonical_json(json::value(number));
    EXPECT_EQ(canonical_json(parse_json(once, "number")), once);
  }
}

TEST(Json, ReadsAnIntegerThatNoWordHoldsAsTheNearestDouble) {
  const json::value read =
      parse_json(R"(["9\"99999999999999999999",340282350000000000000000000000000000000,-100000000000000000000])"
                 "\n",
                 "doc");
  EXPECT_EQ(read.at(0).get_string(), "9\"99999999999999999999");
  EXPECT_EQ(read.at(1).get_double(), 3.4028235e38);
  EXPECT_EQ(read.at(2).get_double(), -1e20);
  EXPECT_EQ(parse_json("18446744073709551615", "doc").get_uint64(), 18446744073709551615u);
  EXPECT_EQ(parse_json("18446744073709551616", "doc").get_double(), 18446744073709551616.0);
  EXPECT_EQ(parse_json("-9223372036854775808", "doc").get_int64(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parse_json("-9223372036854775809", "doc").get_double(), -9223372036854775808.0);
  EXPECT_NE(refusal("[1" + std::string(400, '0') + "]"), "");
  EXPECT_NE(refusal("[0123456789012345678901234567890]"), "");
}

TEST(Json, RefusesDuplicateKeysAtAnyDepthTrailingTextAndDepth) {
  EXPECT_NE(refusal(R"({"a":{"x":1,"x":2}})").find("\"x\" stands twice"), std::string::npos);
  EXPECT_EQ(refusal(R"([{"a":1},{"a":1,"b":"a\"a"}])"), "");
  EXPECT_NE(refusal("{} {}"), "");
  EXPECT_NE(refusal("{\"a\":"), "");
  EXPECT_NE(refusal(std::string(100'000, '[')), "");
  EXPECT_NE(refusal("\"\xff\""), "");
}

TEST(Json, FieldErrorsNameThePath) {
  const json::value value = parse_json(R"({"rank":"x","whole":1.5})", "doc");
  try {
    require_int(value.get_object(), "rank", "with");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.path(), "with.rank");
    EXPECT_NE(std::string(error.what()).find("must be a whole number, not \"x\""), std::string::npos);
  }
  EXPECT_THROW(require_int(value.get_object(), "whole", ""), Error);
  EXPECT_THROW(refuse_unknown_keys(value.get_object(), {"rank"}, ""), Error);
}

}  // namespace
}  // namespace platform
