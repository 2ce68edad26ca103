#include "connectors/supervisor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

namespace connectors {
namespace {

namespace json = platform::json;

// Keeps what a store would: records by key, and the cursor of the last batch. Fails now and then if asked.
class MemorySink final : public RecordSink {
 public:
  json::value cursor(const std::string&) override {
    const std::lock_guard lock(mutex);
    return saved;
  }
  void store(const std::string& name, const RecordBatch& batch) override {
    const std::lock_guard lock(mutex);
    source = name;
    if (fail_every > 0 && ++calls % fail_every == 0)
      throw platform::Error(platform::ErrorCode::kUnavailable, "the database is away");
    for (const auto& row : batch.records) keys.insert(row.key);
    saved = batch.cursor;
    changed.notify_all();
  }
  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return keys.size() >= count; });
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::string> keys;
  json::value saved;
  std::string source;
  int calls = 0, fail_every = 0;
};

// Counts upwards, two records a batch, up to a limit.
class Counter final : public Connector {
 public:
  Counter(std::int64_t limit, std::atomic<bool>& away) : limit_(limit), away_(away) {}
  CheckResult check() override { return {true, ""}; }
  std::vector<Stream> discover() override { return {}; }
  void read(const json::value& cursor, const BatchSink& sink) override {
    if (away_) throw platform::Error(platform::ErrorCode::kUnavailable, "the plant is away");
    for (std::int64_t at = cursor.is_int64() ? cursor.get_int64() : 0; at < limit_;) {
      RecordBatch batch;
      for (int i = 0; i < 2 && at < limit_; ++i) {
        batch.records.emplace_back();
        batch.records.back().key = std::to_string(at++);
      }
      batch.cursor = at;
      if (!sink(std::move(batch))) return;
    }
  }

 private:
  std::int64_t limit_;
  std::atomic<bool>& away_;
};

SourceConfig config_of(const std::string& name) {
  SourceConfig config;
  config.name = name;
  config.interval = std::chrono::milliseconds(1);
  return config;
}

TEST(Supervisor, StoresEveryRecordAlthoughTheStoreFailsNowAndThen) {
  MemorySink sink;
  sink.fail_every = 3;
  std::atomic<bool> away = false;
  Supervisor supervisor(sink, platform::Log::silent(),
                        {.first_pause = std::chrono::milliseconds(1), .longest_pause = std::chrono::milliseconds(4)});
  supervisor.start(config_of("s"), std::make_unique<Counter>(101, away));
  EXPECT_TRUE(sink.wait_for(101));
  supervisor.stop("s");
  EXPECT_EQ(supervisor.status("s")->state, "stopped");
}

TEST(Supervisor, WaitsForASourceThatIsAwayAndGoesOnWhenItIsBack) {
  MemorySink sink;
  std::atomic<bool> away = true;
  Supervisor supervisor(sink, platform::Log::silent(),
                        {.first_pause = std::chrono::milliseconds(1), .longest_pause = std::chrono::milliseconds(4)});
  supervisor.start(config_of("s"), std::make_unique<Counter>(4, away));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (supervisor.status("s")->failures < 3 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(supervisor.status("s")->state, "waiting");
  EXPECT_EQ(supervisor.status("s")->last_error, "the plant is away");
  away = false;
  EXPECT_TRUE(sink.wait_for(4));
}

TEST(Supervisor, GoesOnAtTheSavedCursorAfterARestart) {
  MemorySink sink;
  sink.saved = 90;
  std::atomic<bool> away = false;
  Supervisor supervisor(sink, platform::Log::silent());
  supervisor.start(config_of("s"), std::make_unique<Counter>(100, away));
  EXPECT_TRUE(sink.wait_for(10));
  supervisor.stop_all();
  EXPECT_EQ(sink.keys.size(), 10u);
  EXPECT_EQ(*sink.keys.begin(), "90");
  EXPECT_FALSE(supervisor.status("unknown").has_value());
}

TEST(Supervisor, TakesStartsAndStopsOfOneSourceThatComeTogetherInTurns) {
  MemorySink sink;
  std::atomic<bool> away = false;
  Supervisor supervisor(sink, platform::Log::silent());
  std::vector<std::thread> people;
  for (int person = 0; person < 4; ++person) {
    people.emplace_back([&, person] {
      for (int i = 0; i < 200; ++i) {
        if (person == 3)
          supervisor.stop("s");
        else
          supervisor.start(config_of("s"), std::make_unique<Counter>(1000, away));
        supervisor.status("s");
      }
    });
  }
  for (std::thread& person : people) person.join();
  supervisor.start(config_of("s"), std::make_unique<Counter>(1000, away));
  EXPECT_TRUE(sink.wait_for(1000));
  supervisor.stop("s");
  EXPECT_EQ(supervisor.status("s")->state, "stopped");
}

TEST(Supervisor, CallsASourceByItsIdInTheSinkAndByItsNameInTheStatus) {
  MemorySink sink;
  std::atomic<bool> away = false;
  Supervisor supervisor(sink, platform::Log::silent());
  SourceConfig config = config_of("mill");
  config.id = "default/mill";
  supervisor.start(config, std::make_unique<Counter>(2, away));
  EXPECT_TRUE(sink.wait_for(2));
  EXPECT_FALSE(supervisor.status("mill").has_value());
  EXPECT_EQ(supervisor.status("default/mill")->name, "mill");
  EXPECT_EQ(sink.source, "default/mill");
}

}  // namespace
}  // namespace connectors
