#include "web/api/routes.h"

#include <gtest/gtest.h>

#include "platform/base/file.h"
#include "platform/http/client.h"

namespace {

using platform::Request;

/// The whole server on a private database of its own.
class WebServerDb : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<platform::TemporaryFolder>();
    // The database belongs to another user when the tests run as root, so the folder must let it through.
    std::filesystem::permissions(folder_->path(), std::filesystem::perms(0755));
    services_ = std::make_unique<web::Services>(web::ServicesOptions{{folder_->path()}, "", {}}, platform::Log::silent());
    server_ = std::make_unique<platform::Server>(
        platform::ServerOptions{}, web::all_routes(*services_),
        [](const Request& request, std::string_view permission) { return services_->authorize(request, permission); },
        services_->metrics(), platform::Log::silent());
  }
  static void TearDownTestSuite() {
    server_.reset();
    services_.reset();
    folder_.reset();
  }
  static platform::HttpClient client(std::string token = {}) {
    platform::HttpClientOptions options;
    options.token = std::move(token);
    return platform::HttpClient(server_->address(), options);
  }

  static std::unique_ptr<platform::TemporaryFolder> folder_;
  static std::unique_ptr<web::Services> services_;
  static std::unique_ptr<platform::Server> server_;
};
std::unique_ptr<platform::TemporaryFolder> WebServerDb::folder_;
std::unique_ptr<web::Services> WebServerDb::services_;
std::unique_ptr<platform::Server> WebServerDb::server_;

TEST_F(WebServerDb, WantsATokenOnEveryRouteThatIsNotPublic) {
  const platform::RouteTable routes = web::all_routes(*services_);
  for (const platform::Route& route : routes.routes()) {
    auto asking = client("wrong");
    const int status = asking.request(route.method, route.pattern, "", "", {}).status;
    EXPECT_EQ(status == 401, !route.permission.empty()) << route.pattern << " " << status;
  }
}

TEST_F(WebServerDb, ServesThePageReadinessAndTheDescriptionOfEveryRoute) {
  auto asking = client();
  EXPECT_NE(asking.get("/").checked().body.find("<title>Anneal</title>"), std::string::npos);
  EXPECT_EQ(asking.get("/readyz").status, 200);
  const auto paths = asking.get("/openapi.json").json().at("paths").as_object();
  const platform::RouteTable routes = web::all_routes(*services_);
  for (const platform::Route& route : routes.routes()) EXPECT_TRUE(paths.contains(route.pattern)) << route.pattern;
}

TEST_F(WebServerDb, SendsTheRestOfAnArtifact) {
  const std::string digest = services_->blobs().put("0123456789");
  auto asking = client(*services_->new_token());
  EXPECT_EQ(asking.get("/api/v1/artifacts/" + digest, {{"Range", "bytes=4-"}}).checked().body, "456789");
  EXPECT_EQ(asking.get("/api/v1/artifacts/sha256:zz").status, 400);
}

}  // namespace
