// Records over a real HTTP connection while PostgreSQL is killed and restarted beneath: a sender gets 200 or 503, and
// what was answered with 200 is there once.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "platform/store/record_store.h"
#include "platform/store/source_store.h"
#include "tests/support/http_fixture.h"
#include "tests/support/temp_database.h"

namespace platform {
namespace {

RouteTable record_routes(RecordStore& records) {
  RouteTable table;
  table.add({Method::kPost, "/records", "Stores one record", "", [&](const Request& request) {
               Observation record;
               record.fields = request.json_object();
               record.key = require_string(record.fields, "key", "");
               const IngestResult result = records.ingest({.source = "line-3", .records = {record}});
               return json_response(json::object{{"accepted", result.accepted}, {"duplicates", result.duplicates}});
             }});
  return table;
}

// Sends record after record, each until it is acknowledged, as a plant gateway does.
class Sender {
 public:
  Sender(const std::string& address, std::string name) : client_(address), name_(std::move(name)) {}

  void run(const std::atomic<bool>& stop) {
    for (int i = 0; !stop; ++i) send(name_ + "-" + std::to_string(i), stop);
  }
  std::set<std::string> acknowledged;
  std::atomic<std::size_t> count{0};
  int refused = 0;

 private:
  void send(const std::string& key, const std::atomic<bool>& stop) {
    while (!stop) {
      const int status = client_.post("/records", json::serialize(json::object{{"key", key}})).status;
      if (status == 200) {
        acknowledged.insert(key);
        ++count;
        return;
      }
      EXPECT_EQ(status, 503);
      ++refused;
      ::usleep(2000);
    }
  }

  HttpClient client_;
  std::string name_;
};

// False if the senders do not get 50 more records acknowledged.
bool wait_for_more(const std::vector<std::unique_ptr<Sender>>& senders) {
  const auto all = [&] {
    std::size_t sum = 0;
    for (const auto& sender : senders) sum += sender->count;
    return sum;
  };
  const std::size_t wanted = all() + 50;
  for (int i = 0; i < 30'000 && all() < wanted; ++i) ::usleep(1000);
  return all() >= wanted;
}

TEST(IngestOverHttpKill, LosesNothingAndAnswers503WhilePostgresqlRestarts) {
  const TemporaryFolder folder;
  PrivateCluster cluster({folder.path()}, Log::silent());
  Database database({.connection = cluster.connection_string()});
  database.migrate();
  SourceStore(database).create({.name = "line-3", .connector = "rest_push"});
  RecordStore records(database);
  support::HttpFixture fixture(record_routes(records));
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<Sender>> senders;
  std::vector<std::thread> threads;
  for (const char* name : {"a", "b", "c"}) {
    senders.push_back(std::make_unique<Sender>(fixture.server.address(), name));
    threads.emplace_back([&stop, sender = senders.back().get()] { sender->run(stop); });
  }
  EXPECT_TRUE(wait_for_more(senders));
  cluster.stop();
  cluster.start();
  EXPECT_TRUE(wait_for_more(senders)) << "after a restart";
  ::kill(cluster.postmaster().value_or(0), SIGKILL);
  for (int i = 0; i < 2000 && !cluster.is_gone(); ++i) ::usleep(1000);
  cluster.start();
  EXPECT_TRUE(wait_for_more(senders)) << "after a kill";
  stop = true;
  for (std::thread& thread : threads) thread.join();
  std::multiset<std::string> stored;
  records.scan("default", "line-3", [&](Observation&& found) {
    stored.insert(found.key);
    return true;
  });
  int refused = 0;
  for (const auto& sender : senders) {
    refused += sender->refused;
    for (const std::string& key : sender->acknowledged) EXPECT_EQ(stored.count(key), 1u) << key;
  }
  EXPECT_GT(refused, 0) << "neither restart hit running work";
}

}  // namespace
}  // namespace platform
