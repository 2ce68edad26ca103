#include "platform/store/token_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

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
  EXPECT_TRUE(tokens.revoke("default", "lee", "admin"));
  EXPECT_FALSE(tokens.revoke("default", "lee", "admin"));
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

TEST_F(TokenStoreDb, TheLastLiveTokenOfARoleThatIsKeptIsNotRevoked) {
  TokenStore tokens(database());
  tokens.create(token("h1", "first"));
  TokenRecord expired = token("h2", "second");
  expired.expires_at = parse_time("2020-01-02T03:04:05Z");
  tokens.create(expired);
  TokenRecord other = token("h3", "third");
  other.role = "engineer";
  tokens.create(other);
  EXPECT_THROW(tokens.revoke("default", "first", "viewer"), Error);
  EXPECT_FALSE(tokens.find("h1")->revoked_at);
  EXPECT_TRUE(tokens.has_live("default", "viewer"));
  EXPECT_TRUE(tokens.revoke("default", "third", "viewer")) << "one of another role";
  EXPECT_TRUE(tokens.revoke("default", "second", "viewer")) << "it was not alive";
  tokens.create(token("h4", "fourth"));
  EXPECT_TRUE(tokens.revoke("default", "first", "viewer"));
  EXPECT_THROW(tokens.revoke("default", "fourth", "viewer"), Error);
  EXPECT_FALSE(tokens.has_live("default", "admin"));
}

TEST_F(TokenStoreDb, OneIsLeftWhenAllAreRevokedAtOnce) {
  TokenStore tokens(database());
  for (int round = 0; round < 10; ++round) {
    const std::string hash = "h" + std::to_string(round);
    tokens.replace(token(hash + "a", "a"));
    tokens.replace(token(hash + "b", "b"));
    std::atomic<int> refused{0};
    const auto revoke = [&](const char* name) {
      try {
        tokens.revoke("default", name, "viewer");
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kConflict) << error.what();
        ++refused;
      }
    };
    std::thread other(revoke, "a");
    revoke("b");
    other.join();
    EXPECT_EQ(refused, 1);
    EXPECT_TRUE(tokens.has_live("default", "viewer"));
  }
}

}  // namespace
}  // namespace platform
