#include "platform/store/token_store.h"

#include <gtest/gtest.h>

#include "tests/support/temp_database.h"

namespace platform {
namespace {

using TokenStoreDb = tests::TempDatabase;

TokenRecord token(const std::string& hash, const std::string& name) {
  return {hash, "default", name, "viewer", {}, std::nullopt, std::nullopt};
}

TEST_F(TokenStoreDb, KeepsWhatItWasGiven) {
  TokenStore tokens(database());
  TokenRecord guest = token("h1", "guest");
  guest.expires_at = parse_time("2030-01-02T03:04:05.678901Z");
  tokens.create(guest);
  const TokenRecord found = tokens.find("h1").value();
  EXPECT_EQ(found.name, "guest");
  EXPECT_EQ(found.role, "viewer");
  EXPECT_EQ(found.expires_at, guest.expires_at);
  EXPECT_FALSE(found.revoked_at);
  EXPECT_FALSE(tokens.find("h2"));
}

TEST_F(TokenStoreDb, ANameIsTakenByALiveTokenAndFreeForANewOneAfterThat) {
  TokenStore tokens(database());
  tokens.create(token("h1", "lee"));
  try {
    tokens.create(token("h2", "lee"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConflict);
  }
  EXPECT_TRUE(tokens.revoke("default", "lee"));
  EXPECT_FALSE(tokens.revoke("default", "lee"));
  TokenRecord other = token("h5", "lee");
  other.role = "engineer";
  EXPECT_THROW(tokens.create(other), Error);
  TokenRecord expired = token("h2", "lee");
  expired.expires_at = parse_time("2020-01-02T03:04:05Z");
  tokens.create(expired);  // after a leak the same machine goes on under its own name
  EXPECT_FALSE(tokens.find("h1"));
  EXPECT_FALSE(tokens.find("h2")->revoked_at);
  tokens.create(token("h4", "lee"));
  EXPECT_FALSE(tokens.find("h4")->expires_at);
  tokens.replace(token("h3", "lee"));
  EXPECT_FALSE(tokens.find("h1"));
  EXPECT_FALSE(tokens.find("h3")->revoked_at);
  EXPECT_EQ(tokens.list("default").size(), 1u);
}

}  // namespace
}  // namespace platform
