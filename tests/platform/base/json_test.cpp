#include "platform/base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
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
