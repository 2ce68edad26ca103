#include "deploy/agent/http_peer.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"
#include "platform/base/metrics.h"
#include "platform/http/server.h"

namespace {

namespace json = platform::json;

// A server that refuses every request in which "poison" stands.
class HttpPeer : public testing::Test {
 protected:
  void SetUp() override {
    platform::RouteTable routes;
    const auto take = [this](const platform::Request& request) {
      ++requests_;
      largest_ = std::max(largest_, request.body.size());
      if (answer_ != 200) return platform::json_response(json::object{}, answer_);
      if (request.body.find("poison") != std::string::npos) return platform::json_response(json::object{}, 400);
      const json::value body = request.json_body();
      if (body.is_array())
        for (const json::value& entry : body.as_array()) taken_.emplace_back(entry.as_object().at("key").as_string());
      else
        taken_.emplace_back(body.as_object().at("key").as_string());
      return platform::json_response(json::object{});
    };
    routes.add(
        {platform::Method::kPost, "/api/v1/agents/{name}/records", "Takes records", "", take, std::size_t{64} << 20});
    routes.add(
        {platform::Method::kPost, "/api/v1/agents/{name}/deploymentBase/{id}/feedback", "Takes a report", "", take});
    server_ = std::make_unique<platform::Server>(platform::ServerOptions{}, std::move(routes),
                                                 platform::allow_everything, metrics_, platform::Log::silent());
    peer_ = std::make_unique<deploy::HttpPeer>(server_->address(), "", "edge-01", outbox_, stopping_,
                                               platform::Log::silent());
  }
  void queue(const std::string& key, const std::string& kind, const json::value& body) {
    outbox_.append({key, kind, body}, deploy::Durability::kWritten);
  }

  platform::TemporaryFolder folder_;
  platform::Metrics metrics_;
  deploy::Outbox outbox_{folder_.path()};
  std::atomic<bool> stopping_{false};
  std::unique_ptr<platform::Server> server_;
  std::unique_ptr<deploy::HttpPeer> peer_;
  std::vector<std::string> taken_;
  std::size_t largest_ = 0;
  int requests_ = 0, answer_ = 200;
};

TEST_F(HttpPeer, LosesOneBadEntryAndNoneBesideIt) {
  std::vector<std::string> good;
  for (int i = 0; i < 100; ++i) {
    const std::string key = std::to_string(i);
    if (i != 37) good.push_back(key);
    queue(key, i % 2 == 0 ? "prediction" : "feedback", i == 37 ? "poison" : "fine");
  }
  queue("r-1", "report", json::object{{"deployment", "d"}, {"key", "r-1"}, {"detail", "poison"}});
  queue("r-2", "report", json::object{{"deployment", "d"}, {"key", "r-2"}});
  good.push_back("r-2");
  peer_->deliver();
  EXPECT_EQ(taken_, good);
  EXPECT_LT(requests_, 20);
  EXPECT_EQ(outbox_.backlog_bytes(), 0u);
  const std::string refused = platform::read_file(folder_.path() / "refused.jsonl");
  EXPECT_EQ(std::count(refused.begin(), refused.end(), '\n'), 2);
}

TEST_F(HttpPeer, SendsNoRequestLargerThanTheServerTakes) {
  for (int i = 0; i < 12; ++i) queue(std::to_string(i), "prediction", json::string(std::size_t{3} << 20, 'x'));
  peer_->deliver();
  EXPECT_EQ(taken_.size(), 12u);
  EXPECT_LE(largest_, (std::size_t{8} << 20) + 1024);
}

TEST_F(HttpPeer, KeepsEverythingWhileTheServerIsInTrouble) {
  queue("1", "feedback", "fine");
  for (const int trouble : {503, 401, 403, 429}) {
    answer_ = trouble;
    EXPECT_THROW(peer_->deliver(), platform::Error) << trouble;
  }
  answer_ = 500;
  peer_->deliver();  // there may be work for the agent all the same
  EXPECT_GT(outbox_.backlog_bytes(), 0u);
  answer_ = 200;
  peer_->deliver();
  EXPECT_EQ(taken_, std::vector<std::string>{"1"});
}

}  // namespace
