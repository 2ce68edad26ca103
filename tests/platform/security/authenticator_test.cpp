#include "platform/security/authenticator.h"

#include <gtest/gtest.h>

#include <functional>

#include "platform/base/file.h"
#include "platform/security/token.h"
#include "platform/store/transaction.h"
#include "tests/support/temp_database.h"

namespace platform {
namespace {

class FakeClock final : public Clock {
 public:
  Time now() const override { return now_; }
  void advance(std::chrono::microseconds step) { now_ += step; }

 private:
  Time now_ = parse_time("2026-03-01T08:00:00Z");
};

class AuthenticatorDb : public tests::TempDatabase {
 protected:
  void SetUp() override {
    TempDatabase::SetUp();
    tokens_ = std::make_unique<TokenStore>(database());
    audit_ = std::make_unique<AuditStore>(database());
    door_ = another();
  }
  std::unique_ptr<Authenticator> another() {
    return std::make_unique<Authenticator>(*tokens_, *audit_, clock_, Log::silent());
  }
  std::string create(const std::string& name, Role role, std::optional<Time> expires_at = std::nullopt) {
    return door_->create("default", name, role, expires_at, "kim");
  }
  std::optional<ErrorCode> refusal(const std::string& token, const std::string& permission) {
    return code_of([&] { door_->authorize(token, permission, "/api/v1/models"); });
  }
  static std::optional<ErrorCode> code_of(const std::function<void()>& act) {
    try {
      act();
    } catch (const Error& error) {
      return error.code();
    }
    return std::nullopt;
  }
  DataFolder data() const { return {folder_.path() / "data"}; }

  TemporaryFolder folder_;
  FakeClock clock_;
  std::unique_ptr<TokenStore> tokens_;
  std::unique_ptr<AuditStore> audit_;
  std::unique_ptr<Authenticator> door_;
};

TEST_F(AuthenticatorDb, MakesTheAdminTokenAtTheFirstStartOnly) {
  const std::optional<std::string> made = door_->ensure_admin(data()).made;
  ASSERT_TRUE(made);
  EXPECT_EQ(read_file(data().token()), *made + "\n");
  EXPECT_EQ(std::filesystem::status(data().token()).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(door_->identify(*made)->role, "admin");
  EXPECT_FALSE(another()->ensure_admin(data()).made) << "it is printed once";
  EXPECT_EQ(another()->identify(*made)->name, "admin");
}

TEST_F(AuthenticatorDb, AStartThatWasCutShortIsMadeGoodByTheNext) {
  const std::string token = make_token();
  std::filesystem::create_directories(data().root);
  write_file_atomically(data().token(), token + "\n", 0644);
  EXPECT_FALSE(door_->ensure_admin(data()).made);
  EXPECT_EQ(door_->identify(token)->role, "admin");
  EXPECT_EQ(std::filesystem::status(data().token()).permissions() & std::filesystem::perms::others_read,
            std::filesystem::perms::none);
}

TEST_F(AuthenticatorDb, TheLastTokenOfAnAdminIsNotRevoked) {
  const std::string admin = *door_->ensure_admin(data()).made;
  create("lee", Role::kEngineer);
  EXPECT_EQ(code_of([&] { door_->revoke("default", "admin", "admin"); }), ErrorCode::kConflict);
  EXPECT_TRUE(door_->identify(admin));
  EXPECT_TRUE(another()->identify(admin));
  create("kim", Role::kAdmin);
  door_->revoke("default", "admin", "kim");
  EXPECT_FALSE(door_->identify(admin));
  EXPECT_EQ(code_of([&] { door_->revoke("default", "kim", "kim"); }), ErrorCode::kConflict);
}

TEST_F(AuthenticatorDb, AnAdminTokenThatWasReplacedDoesNotComeBackAtAStart) {
  const std::string old = *door_->ensure_admin(data()).made;
  create("kim", Role::kAdmin);
  door_->revoke("default", "admin", "kim");
  const std::string replaced = create("admin", Role::kAdmin);
  EXPECT_FALSE(another()->ensure_admin(data()).taken);
  EXPECT_FALSE(another()->identify(old));
  EXPECT_TRUE(another()->identify(replaced));
}

TEST_F(AuthenticatorDb, AStartMakesANewAdminTokenWhereNoAdminHasALiveOne) {
  const std::string old = *door_->ensure_admin(data()).made;
  create("kim", Role::kAdmin);
  door_->revoke("default", "admin", "kim");
  transact(database(), [](pqxx::work& work) { work.exec0("UPDATE tokens SET expires_at = now() WHERE name = 'kim'"); });
  const auto fresh = another()->ensure_admin(data()).made;
  ASSERT_TRUE(fresh);
  EXPECT_EQ(read_file(data().token()), *fresh + "\n");
  EXPECT_EQ(door_->identify(*fresh)->role, "admin");
  EXPECT_FALSE(door_->identify(old));
}

TEST_F(AuthenticatorDb, ARevokedAdminTokenStaysRevokedUntilItsFileIsRemoved) {
  const std::string old = *door_->ensure_admin(data()).made;
  create("kim", Role::kAdmin);
  door_->revoke("default", "admin", "kim");
  const AdminToken second = another()->ensure_admin(data());
  EXPECT_FALSE(second.made);
  EXPECT_FALSE(second.taken) << "the start does not name it as one that works";
  EXPECT_FALSE(another()->identify(old));
  std::filesystem::remove(data().token());
  const std::optional<std::string> fresh = door_->ensure_admin(data()).made;
  ASSERT_TRUE(fresh);
  EXPECT_TRUE(door_->identify(*fresh));
  EXPECT_FALSE(door_->identify(old));
}

TEST_F(AuthenticatorDb, AFileThatHoldsNoTokenIsNotOverwritten) {
  std::filesystem::create_directories(data().root);
  write_file_atomically(data().token(), "secret\n");
  EXPECT_EQ(code_of([&] { door_->ensure_admin(data()); }), ErrorCode::kCorrupt);
  EXPECT_EQ(read_file(data().token()), "secret\n");
}

TEST_F(AuthenticatorDb, ATokenMayDoWhatItsRoleAllows) {
  const std::string engineer = create("lee", Role::kEngineer), viewer = create("screen", Role::kViewer);
  EXPECT_EQ(refusal(engineer, "models.write"), std::nullopt);
  EXPECT_EQ(refusal(viewer, "models.read"), std::nullopt);
  EXPECT_EQ(refusal(viewer, "models.write"), ErrorCode::kForbidden);
  EXPECT_EQ(refusal("", "models.read"), ErrorCode::kUnauthenticated);
  EXPECT_EQ(refusal(make_token(), "models.read"), ErrorCode::kUnauthenticated);
  EXPECT_EQ(refusal("", ""), std::nullopt) << "public";
  const Identity identity = door_->authorize(engineer, "models.read", "/");
  EXPECT_EQ(identity.name, "lee");
  EXPECT_EQ(identity.project, "default");
}

TEST_F(AuthenticatorDb, RefusalsAreInTheAuditLogAndStrangersDoNotFillIt) {
  const std::string viewer = create("screen", Role::kViewer);
  refusal(viewer, "models.write");
  for (int i = 0; i < 5; ++i) refusal("wrong", "models.read");
  clock_.advance(std::chrono::seconds(61));
  refusal("wrong", "models.read");
  int strangers = 0;
  for (const AuditLine& line : audit_->list("default")) {
    if (line.actor == "unknown") ++strangers;
    if (line.actor == "screen") {
      EXPECT_EQ(line.action, "request.refused");
      EXPECT_EQ(line.subject, "/api/v1/models");
      EXPECT_EQ(line.details.at("permission"), "models.write");
    }
    EXPECT_EQ(canonical_json(line.details).find(viewer), std::string::npos) << "no token in the log";
  }
  EXPECT_EQ(strangers, 2);
  EXPECT_EQ(audit_->list("default").size(), 4u);
}

TEST_F(AuthenticatorDb, APathOfAnyBytesIsInTheAuditLog) {
  const std::string viewer = create("screen", Role::kViewer);
  const std::string path = std::string("/a\xff\n") + '\0' + std::string(500, 'x');
  EXPECT_EQ(code_of([&] { door_->authorize("wrong", "models.read", path); }), ErrorCode::kUnauthenticated);
  EXPECT_EQ(code_of([&] { door_->authorize(viewer, "models.write", path); }), ErrorCode::kForbidden);
  const auto lines = audit_->list("default");
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(lines.at(i).subject.starts_with("/a%FF%0A%00xxx")) << lines.at(i).subject;
}

TEST_F(AuthenticatorDb, AStrangerIsNotedOnceTheAuditLogTakesTheLineAgain) {
  transact(database(), [](pqxx::work& work) { work.exec0("ALTER TABLE audit RENAME TO away"); });
  EXPECT_EQ(refusal("wrong", "models.read"), ErrorCode::kInternal);
  transact(database(), [](pqxx::work& work) { work.exec0("ALTER TABLE away RENAME TO audit"); });
  EXPECT_EQ(refusal("wrong", "models.read"), ErrorCode::kUnauthenticated);
  EXPECT_EQ(audit_->list("default").size(), 1u);
}

TEST_F(AuthenticatorDb, NoTokenIsMadeOrRevokedWithoutItsLineInTheAuditLog) {
  const std::string kept = create("kept", Role::kViewer);
  transact(database(), [](pqxx::work& work) { work.exec0("ALTER TABLE audit RENAME TO away"); });
  EXPECT_EQ(code_of([&] { create("new", Role::kViewer); }), ErrorCode::kInternal);
  EXPECT_EQ(code_of([&] { door_->revoke("default", "kept", "kim"); }), ErrorCode::kInternal);
  EXPECT_EQ(door_->list("default").size(), 1u);
  EXPECT_TRUE(another()->identify(kept));
}

TEST_F(AuthenticatorDb, ARevocationCountsAtOnceHereAndSoonElsewhere) {
  const std::string token = create("lee", Role::kEngineer);
  const auto elsewhere = another();
  EXPECT_TRUE(door_->identify(token));
  EXPECT_TRUE(elsewhere->identify(token));
  door_->revoke("default", "lee", "kim");
  EXPECT_FALSE(door_->identify(token));
  clock_.advance(std::chrono::seconds(6));
  EXPECT_FALSE(elsewhere->identify(token));
  EXPECT_EQ(code_of([&] { door_->revoke("default", "lee", "kim"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { create("lee", Role::kViewer); }), ErrorCode::kConflict)
      << "the log must not mix two people of one name";
}

TEST_F(AuthenticatorDb, ATokenEndsWhenItExpires) {
  const std::string token = create("guest", Role::kViewer, clock_.now() + std::chrono::seconds(3));
  EXPECT_TRUE(door_->identify(token));
  clock_.advance(std::chrono::seconds(3));
  EXPECT_FALSE(door_->identify(token)) << "also while it is remembered";
  EXPECT_EQ(code_of([&] { create("late", Role::kViewer, clock_.now()); }), ErrorCode::kInvalidInput);
}

TEST_F(AuthenticatorDb, OnlyHashesAreStored) {
  const std::string token = create("lee", Role::kEngineer);
  const auto listed = door_->list("default");
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].hash, token_hash(token));
  EXPECT_EQ(code_of([&] { create("no/slashes", Role::kViewer); }), ErrorCode::kInvalidInput);
}

TEST_F(AuthenticatorDb, ARoleThatThisProgramDoesNotKnowMayDoNothing) {
  const std::string token = make_token();
  tokens_->create({token_hash(token), "default", "future", "wizard", {}, std::nullopt, std::nullopt});
  EXPECT_EQ(refusal(token, "models.read"), ErrorCode::kForbidden);
}

}  // namespace
}  // namespace platform
