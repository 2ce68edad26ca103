#include "deploy/agent/outbox.h"

#include <gtest/gtest.h>

#include <fstream>

#include "platform/base/error.h"

namespace {

using deploy::Durability;
using deploy::Outbox;
using deploy::OutboxEntry;

constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 40;

std::vector<std::string> drain(Outbox& outbox, std::size_t most = 2) {
  std::vector<std::string> keys;
  while (outbox.deliver(most, kNoLimit, [&](const std::vector<OutboxEntry>& entries) {
    for (const auto& entry : entries) keys.push_back(entry.key);
  }) > 0) {
  }
  return keys;
}

TEST(Outbox, KeepsOrderAcrossRestartsAndDeliversOnce) {
  const platform::TemporaryFolder folder;
  {
    Outbox outbox(folder.path());
    for (const char* key : {"a", "b", "c"}) outbox.append({key, "report", nullptr}, Durability::kSynced);
    outbox.deliver(1, kNoLimit, [](const auto&) {});
  }
  Outbox outbox(folder.path());
  outbox.append({"d", "report", nullptr}, Durability::kWritten);
  outbox.sync();
  EXPECT_EQ(drain(outbox), (std::vector<std::string>{"b", "c", "d"}));
  EXPECT_EQ(outbox.backlog_bytes(), 0u);
}

TEST(Outbox, KeepsWhatCouldNotBeDelivered) {
  const platform::TemporaryFolder folder;
  Outbox outbox(folder.path());
  outbox.append({"a", "report", nullptr}, Durability::kSynced);
  EXPECT_THROW(outbox.deliver(9, kNoLimit,
                              [](const auto&) { throw platform::Error(platform::ErrorCode::kUnavailable, "away"); }),
               platform::Error);
  EXPECT_EQ(drain(outbox), std::vector<std::string>{"a"});
}

TEST(Outbox, CutsOffALineThatAPowerCutLeftHalf) {
  const platform::TemporaryFolder folder;
  { Outbox(folder.path()).append({"a", "report", nullptr}, Durability::kSynced); }
  std::ofstream(folder.path() / "outbox-1.jsonl", std::ios::app) << "{\"key\":\"b";
  Outbox outbox(folder.path());
  outbox.append({"c", "report", nullptr}, Durability::kSynced);
  EXPECT_EQ(drain(outbox), (std::vector<std::string>{"a", "c"}));
}

TEST(Outbox, RefusesMoreThanItsLimitAndBeginsANewFileWhenAllWasDelivered) {
  const platform::TemporaryFolder folder;
  Outbox outbox(folder.path(), std::uint64_t{5} << 20);
  const std::string large(1 << 20, 'x');
  for (int i = 0; i < 4; ++i)
    outbox.append({std::to_string(i), "report", platform::json::string(large)}, Durability::kWritten);
  EXPECT_THROW(outbox.append({"5", "report", platform::json::string(large)}, Durability::kWritten), platform::Error);
  EXPECT_EQ(drain(outbox).size(), 4u);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "outbox-1.jsonl"));
  outbox.append({"6", "report", nullptr}, Durability::kSynced);
  Outbox again(folder.path());
  EXPECT_EQ(drain(again), std::vector<std::string>{"6"});
}

TEST(Outbox, KeepsRoomForReportsAndFeedbackWhenPredictionsFillIt) {
  const platform::TemporaryFolder folder;
  Outbox outbox(folder.path(), 1 << 16);
  const auto fill = [&](const char* kind) {
    int taken = 0;
    try {
      for (; taken < 1000; ++taken)
        outbox.append({std::to_string(taken), kind, platform::json::string(900, 'x')}, Durability::kWritten);
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kDiskFull);
    }
    return taken;
  };
  EXPECT_GT(fill("prediction"), 50);
  EXPECT_GT(fill("feedback"), 2);
  EXPECT_GT(fill("report"), 2);
  EXPECT_EQ(fill("feedback"), 0);
}

TEST(Outbox, HandsOverNoMoreBytesAtATimeThanAskedForButAlwaysOneEntry) {
  const platform::TemporaryFolder folder;
  Outbox outbox(folder.path());
  for (const std::size_t size : {5000, 10, 10, 5000})
    outbox.append({"k", "prediction", platform::json::string(size, 'x')}, Durability::kWritten);
  std::vector<std::size_t> batches;
  while (outbox.deliver(100, 1000, [&](const auto& entries) { batches.push_back(entries.size()); }) > 0) {
  }
  EXPECT_EQ(batches, (std::vector<std::size_t>{1, 2, 1}));
}

TEST(Outbox, SkipsALineThatTheDiskHasSpoiled) {
  const platform::TemporaryFolder folder;
  Outbox outbox(folder.path());
  outbox.append({"a", "report", nullptr}, Durability::kSynced);
  std::fstream(folder.path() / "outbox-1.jsonl", std::ios::in | std::ios::out) << "####";
  outbox.append({"b", "report", nullptr}, Durability::kSynced);
  EXPECT_EQ(drain(outbox), std::vector<std::string>{"b"});
}

TEST(Outbox, KeepsWhatTheServerNeverTakesForAPerson) {
  const platform::TemporaryFolder folder;
  Outbox outbox(folder.path());
  outbox.set_aside({"a", "feedback", "what really happened"});
  EXPECT_NE(platform::read_file(folder.path() / "refused.jsonl").find("what really happened"), std::string::npos);
  EXPECT_EQ(outbox.backlog_bytes(), 0u);
}

}  // namespace
