#include "platform/security/token.h"

#include <gtest/gtest.h>

#include <set>

namespace platform {
namespace {

TEST(Token, EachIsANewOne) {
  std::set<std::string> made;
  for (int i = 0; i < 100; ++i) {
    const std::string token = make_token();
    EXPECT_TRUE(is_token(token)) << token;
    EXPECT_TRUE(made.insert(token).second);
  }
}

TEST(Token, OtherTextIsNone) {
  const std::string token = make_token();
  for (const std::string& text :
       {std::string(), std::string("anneal_"), token + "A", token.substr(0, token.size() - 1), "x" + token.substr(1),
        token.substr(0, token.size() - 1) + "/", token.substr(0, token.size() - 1) + std::string(1, '\0')}) {
    EXPECT_FALSE(is_token(text)) << text;
  }
}

// RFC 7693 gives BLAKE2b-512 only; this is the 256-bit digest of the empty text that `b2sum -l 256 /dev/null` prints.
TEST(Token, TheHashIsBlake2b) {
  EXPECT_EQ(token_hash(""), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  EXPECT_NE(token_hash("a"), token_hash("b"));
}

}  // namespace
}  // namespace platform
