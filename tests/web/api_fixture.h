// A real server on an ephemeral port over a fresh database, with the real authenticator and the routes a test adds.
#pragma once

#include <memory>
#include <string>

#include "platform/http/client.h"
#include "platform/http/server.h"
#include "platform/security/authenticator.h"
#include "tests/support/temp_database.h"

namespace tests {

class ApiFixture : public TempDatabase {
 protected:
  void SetUp() override {
    TempDatabase::SetUp();
    tokens_ = std::make_unique<platform::TokenStore>(database());
    audit_ = std::make_unique<platform::AuditStore>(database());
    authenticator_ = std::make_unique<platform::Authenticator>(*tokens_, *audit_, clock_, platform::Log::silent());
  }
  void TearDown() override { server_.reset(); }

  platform::AuditStore& audit() { return *audit_; }
  platform::Authenticator& authenticator() { return *authenticator_; }

  void serve(platform::RouteTable routes) {
    server_ = std::make_unique<platform::Server>(
        platform::ServerOptions{.threads = 1, .handler_threads = 2}, std::move(routes),
        [this](const platform::Request& request, std::string_view permission) {
          return authenticator_->authorize(platform::bearer_token(request), permission, request.path);
        },
        metrics_, platform::Log::silent());
  }

  /// A client with a new token of that role; the token's name is the role's.
  platform::HttpClient client(platform::Role role) {
    return client_with(
        authenticator_->create("default", std::string(platform::to_string(role)), role, std::nullopt, "test"));
  }
  platform::HttpClient client_with(std::string token) {
    platform::HttpClientOptions options;
    options.token = std::move(token);
    return platform::HttpClient(server_->address(), options);
  }

 private:
  platform::SystemClock clock_;
  platform::Metrics metrics_;
  std::unique_ptr<platform::TokenStore> tokens_;
  std::unique_ptr<platform::AuditStore> audit_;
  std::unique_ptr<platform::Authenticator> authenticator_;
  std::unique_ptr<platform::Server> server_;
};

}  // namespace tests
