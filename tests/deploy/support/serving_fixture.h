// What an agent serves on its port, over a real server on loopback and with a real, tiny model.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "deploy/serving/routes.h"
#include "deploy/serving/serving.h"
#include "platform/http/client.h"
#include "platform/http/server.h"
#include "tests/deploy/support/tiny_adapter.h"

namespace tests {

namespace json = platform::json;

class ServingFixture : public testing::Test {
 protected:
  void SetUp() override {
    deploy::add_predict_routes(routes_, serving_);
    deploy::add_openai_routes(routes_, serving_);
    deploy::add_description_route(routes_);
    server_ = std::make_unique<platform::Server>(platform::ServerOptions{}, routes_, platform::allow_everything,
                                                 metrics_, platform::Log::silent());
    client_ = std::make_unique<platform::HttpClient>(server_->address());
  }
  deploy::Release stage(std::int64_t version) {
    const auto& tiny = tests::TinyAdapter::instance();
    return stage(version, tiny.base(), tiny.adapter());
  }
  deploy::Release stage(std::int64_t version, const std::filesystem::path& base, const std::filesystem::path& adapter) {
    deploy::Targets targets;
    targets.version = version;
    targets.deployment = "d";
    targets.model = "bearing";
    targets.model_version = std::to_string(version);
    targets.adapter_digest = platform::digest_of_file(adapter / "anneal.json");
    targets.base_digest =
        std::string(platform::read_json_file(adapter / "anneal.json").as_object().at("base").as_string());
    targets.selector = "*";
    add(targets, "adapter/", adapter);
    add(targets, "base/", base);
    return releases_.stage(targets);
  }
  void add(deploy::Targets& targets, const std::string& prefix, const std::filesystem::path& folder) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string bytes = platform::read_file(entry.path()), digest = platform::digest_of(bytes);
      targets.files[prefix + entry.path().filename().string()] = {digest, bytes.size()};
      if (releases_.blobs().has(digest)) continue;
      platform::write_file_atomically(releases_.blobs().partial(digest), bytes);
      releases_.blobs().admit(digest, bytes.size());
    }
  }
  void serve(std::int64_t version) {
    serving_.prepare(stage(version));
    serving_.activate();
  }
  /// A model of another task, see TinyAdapter::adapter_of.
  void serve(std::int64_t version, finetune::Task task) {
    const auto& tiny = tests::TinyAdapter::instance();
    serving_.prepare(stage(version, tiny.base(), tiny.adapter_of(task)));
    serving_.activate();
  }
  json::object post(const std::string& path, const json::value& body, int status = 200) {
    const auto response = client_->post(path, json::serialize(body));
    EXPECT_EQ(response.status, status) << response.body;
    return response.json().as_object();
  }
  std::vector<deploy::OutboxEntry> queued() {
    std::vector<deploy::OutboxEntry> all;
    outbox_.deliver(1000, std::uint64_t{1} << 30, [&](const auto& entries) { all = entries; });
    return all;
  }

  platform::TemporaryFolder folder_;
  platform::SystemClock clock_;
  platform::Metrics metrics_;
  deploy::ReleaseFolder releases_{folder_.path() / "agent"};
  deploy::Outbox outbox_{folder_.path() / "queue"};
  deploy::Serving serving_{outbox_, metrics_, clock_, {.agent = "edge-01", .threads = 1}};
  platform::RouteTable routes_;
  std::unique_ptr<platform::Server> server_;
  std::unique_ptr<platform::HttpClient> client_;
};

}  // namespace tests
