#include "web/api/users.h"

#include "tests/web/api_fixture.h"

namespace {

namespace json = platform::json;
using platform::Role;

class UserApiDb : public tests::ApiFixture {
 protected:
  void SetUp() override {
    ApiFixture::SetUp();
    platform::RouteTable routes;
    web::add_user_routes(routes, {authenticator(), audit()});
    serve(std::move(routes));
  }
};

TEST_F(UserApiDb, ATokenIsShownOnceUsedAndRevoked) {
  auto admin = client(Role::kAdmin);
  const auto answer = admin.post("/api/v1/tokens", R"({"name":"lee","role":"auditor"})").checked();
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.headers.at("Cache-Control"), "no-store");
  const std::string token(answer.json().at("token").as_string());
  auto lee = client_with(token);
  EXPECT_EQ(lee.get("/api/v1/tokens").status, 200);
  EXPECT_EQ(lee.post("/api/v1/tokens", R"({"name":"x","role":"admin"})").status, 403);
  const auto listed = admin.get("/api/v1/tokens").checked();
  EXPECT_EQ(listed.body.find(token), std::string::npos);
  EXPECT_EQ(listed.json().at("items").as_array().size(), 2u);
  EXPECT_EQ(admin.remove("/api/v1/tokens/lee").status, 204);
  EXPECT_EQ(lee.get("/api/v1/tokens").status, 401);
  EXPECT_EQ(admin.remove("/api/v1/tokens/lee").status, 404);
  EXPECT_TRUE(admin.get("/api/v1/tokens").checked().json().at("items").at(1).at("revoked_at").is_string());
}

TEST_F(UserApiDb, TheLastAdminIsNotLockedOut) {
  auto admin = client(Role::kAdmin);
  const auto refused = admin.remove("/api/v1/tokens/admin");
  EXPECT_EQ(refused.status, 409);
  EXPECT_NE(refused.body.find("under another name first"), std::string::npos) << refused.body;
  const std::string token(
      admin.post("/api/v1/tokens", R"({"name":"kim","role":"admin"})").checked().json().at("token").as_string());
  EXPECT_EQ(client_with(token).remove("/api/v1/tokens/admin").status, 204);
  EXPECT_EQ(admin.get("/api/v1/tokens").status, 401);
}

TEST_F(UserApiDb, SaysWhatIsWrongWithARequestForAToken) {
  auto admin = client(Role::kAdmin);
  const auto mistyped = admin.post("/api/v1/tokens", R"({"name":"lee","role":"enginer"})");
  EXPECT_EQ(mistyped.status, 400);
  EXPECT_NE(mistyped.body.find("did you mean 'engineer'?"), std::string::npos) << mistyped.body;
  for (const std::string body :
       {R"({"role":"viewer"})", R"({"name":"a/b","role":"viewer"})", R"({"name":"a","role":"viewer","until":1})",
        R"({"name":"a","role":"viewer","expires_at":"2020-01-01T00:00:00Z"})",
        R"({"name":"a","role":"viewer","expires_at":"soon"})"}) {
    EXPECT_EQ(admin.post("/api/v1/tokens", body).status, 400) << body;
  }
  EXPECT_EQ(admin.post("/api/v1/tokens", R"({"name":"admin","role":"viewer"})").status, 409);
  const auto expiring =
      admin.post("/api/v1/tokens", R"({"name":"guest","role":"viewer","expires_at":"2999-01-01T00:00:00Z"})")
          .checked()
          .json();
  EXPECT_EQ(expiring.at("expires_at"), "2999-01-01T00:00:00Z");
}

TEST_F(UserApiDb, TheAuditLogSaysWhoDidWhatAndVerifies) {
  auto admin = client(Role::kAdmin);
  admin.post("/api/v1/tokens", R"({"name":"screen","role":"viewer"})").checked();
  const auto page = admin.get("/api/v1/audit?limit=1").checked().json();
  EXPECT_EQ(page.at("items").at(0).at("action"), "token.create");
  EXPECT_EQ(page.at("items").at(0).at("actor"), "admin");
  EXPECT_EQ(page.at("items").at(0).at("subject"), "token/screen");
  EXPECT_EQ(page.at("next"), "before=2");
  EXPECT_EQ(admin.get("/api/v1/audit?before=2").checked().json().at("items").as_array().size(), 1u);
  const auto verdict = admin.get("/api/v1/audit/verify").checked().json();
  EXPECT_EQ(verdict.at("holds"), json::value(true));
  EXPECT_EQ(verdict.at("lines"), json::value(2));
  EXPECT_EQ(client(Role::kViewer).get("/api/v1/audit").status, 403);
}

TEST_F(UserApiDb, ListsWhatEachRoleMayDo) {
  const auto roles = client(Role::kAdmin).get("/api/v1/roles").checked().json().at("items").as_array();
  ASSERT_EQ(roles.size(), 7u);
  EXPECT_EQ(roles[1].at("name"), "agent");
  EXPECT_EQ(roles[1].at("permissions"), json::value({"agents.poll", "artifacts.read"}));
}

}  // namespace
