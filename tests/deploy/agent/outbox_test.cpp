#include "deploy/agent/outbox.h"

#include <gtest/gtest.h>

#include <fstream>

#include "platform/base/error.h"

namespace {

using deploy::Durability;
using deploy::Outbox;
using deploy::OutboxEntry;

std::vector<std::string> drain(Outbox& outbox, std::size_t most = 2) {
  std::vector<std::string> keys;
  while (outbox.deliver(most, [&](const std::vector<OutboxEntry>& entries) {
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
    outbox.deliver(1, [](const auto&) {});
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
  EXPECT_THROW(outbox.deliver(9, [](const auto&) { throw platform::Error(platform::ErrorCode::kUnavailable, "away"); }),
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

}  // namespace
