// Every route of the server, on a private database of its own, asked over HTTP with tokens of any role and project.
#pragma once

#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include <memory>
#include <string>

#include "platform/base/file.h"
#include "platform/http/client.h"
#include "platform/store/transaction.h"
#include "web/api/routes.h"

namespace tests {

class WholeServer : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<platform::TemporaryFolder>();
    // The database belongs to another user when the tests run as root, so the folder must let it through.
    std::filesystem::permissions(folder_->path(), std::filesystem::perms(0755));
    services_ =
        std::make_unique<web::Services>(web::ServicesOptions{{folder_->path()}, "", {}}, platform::Log::silent());
    platform::transact(services_->database(), [](pqxx::work& work) {
      work.exec0("INSERT INTO projects (id) VALUES ('other'), ('empty'), ('paged')");
    });
    server_ = std::make_unique<platform::Server>(
        platform::ServerOptions{}, web::all_routes(*services_),
        [](const platform::Request& request, std::string_view permission) {
          return services_->authorize(request, permission);
        },
        services_->metrics(), platform::Log::silent());
  }
  static void TearDownTestSuite() {
    server_.reset();
    services_.reset();
    folder_.reset();
  }

  static web::Services& services() { return *services_; }
  static platform::HttpClient client_with(std::string token) {
    platform::HttpClientOptions options;
    options.token = std::move(token);
    return platform::HttpClient(server_->address(), options);
  }
  /// With a new token of that role and name.
  static platform::HttpClient client(platform::Role role, const std::string& name,
                                     const std::string& project = "default") {
    return client_with(services_->authenticator().create(project, name, role, std::nullopt, "test"));
  }

 private:
  inline static std::unique_ptr<platform::TemporaryFolder> folder_;
  inline static std::unique_ptr<web::Services> services_;
  inline static std::unique_ptr<platform::Server> server_;
};

}  // namespace tests
