#include "platform/store/audit_store.h"

#include <gtest/gtest.h>

#include <thread>

#include "platform/store/transaction.h"
#include "tests/support/temp_database.h"

namespace platform {
namespace {

class AuditStoreDb : public tests::TempDatabase {
 protected:
  AuditLine append(const std::string& subject) {
    return AuditStore(database())
        .append(
            {0, "default", {}, "kim", "alias.set", subject, {{"version", 3}, {"share", 0.5}, {"이유", "더 좋음"}}, {}});
  }
  void change(const std::string& sql) {
    transact(database(), [&](pqxx::work& work) { work.exec0(sql); });
  }
};

TEST_F(AuditStoreDb, LinesAreKeptInOrderAndTheChainHolds) {
  AuditStore audit(database());
  EXPECT_EQ(audit.verify().lines, 0);
  for (const char* subject : {"a", "b", "c"}) append(subject);
  const auto lines = audit.list("default");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].subject, "c");
  EXPECT_EQ(lines[0].id, 3);
  EXPECT_EQ(lines[0].details.at("이유"), "더 좋음");
  EXPECT_EQ(audit.list("default", 3, 1).at(0).subject, "b");
  EXPECT_TRUE(audit.list("another").empty());
  const AuditVerdict verdict = audit.verify();
  EXPECT_EQ(verdict.lines, 3);
  EXPECT_FALSE(verdict.broken_at);
  EXPECT_EQ(verdict.last_hash, lines[0].hash);
}

TEST_F(AuditStoreDb, AppendersAtOnceMakeOneChain) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) append("x");
    });
  for (auto& thread : threads) thread.join();
  const AuditVerdict verdict = AuditStore(database()).verify();
  EXPECT_EQ(verdict.lines, 40);
  EXPECT_FALSE(verdict.broken_at);
}

TEST_F(AuditStoreDb, FindsEveryKindOfTampering) {
  const struct {
    const char* what;
    const char* sql;
    std::int64_t broken_at;
  } cases[] = {
      {"an actor was changed", "UPDATE audit SET actor = 'lee' WHERE id = 2", 2},
      {"the time was changed", "UPDATE audit SET at = at + interval '1 microsecond' WHERE id = 3", 3},
      {"details were changed", "UPDATE audit SET details = '{}' WHERE id = 4", 4},
      {"a line was taken out", "DELETE FROM audit WHERE id = 2", 2},
      {"two lines changed places",
       "UPDATE audit SET id = 9 WHERE id = 2; UPDATE audit SET id = 2 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = "
       "9",
       2},
      {"a line was put behind", "INSERT INTO audit VALUES (6, 'default', now(), 'lee', 'x', 'y', '{}', 'ff')", 6},
  };
  for (int i = 0; i < 5; ++i) append("x");
  change("CREATE TABLE kept AS SELECT * FROM audit");
  for (const auto& tampering : cases) {
    change(tampering.sql);
    EXPECT_EQ(AuditStore(database()).verify().broken_at, tampering.broken_at) << tampering.what;
    change("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept");
  }
  EXPECT_FALSE(AuditStore(database()).verify().broken_at);
}

TEST_F(AuditStoreDb, ACutTailIsFoundByTheHashThatWasNoted) {
  for (int i = 0; i < 3; ++i) append("x");
  const std::string noted = AuditStore(database()).verify().last_hash;
  change("DELETE FROM audit WHERE id = 3");
  const AuditVerdict verdict = AuditStore(database()).verify();
  EXPECT_FALSE(verdict.broken_at);
  EXPECT_NE(verdict.last_hash, noted);
}

}  // namespace
}  // namespace platform
