#include "platform/store/database.h"

#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

#include "platform/store/record_store.h"
#include "platform/store/source_store.h"
#include "platform/store/transaction.h"
#include "tests/support/temp_database.h"

namespace platform {
namespace {

using DatabaseDb = tests::TempDatabase;

TEST_F(DatabaseDb, MigratesOnceAndAgainWithoutChange) {
  EXPECT_NO_THROW(database().migrate());
  const int applied = transact(
      database(), [](pqxx::work& work) { return work.exec1("SELECT count(*) FROM schema_migrations")[0].as<int>(); });
  EXPECT_EQ(applied, static_cast<int>(migrations().size()));
}

TEST_F(DatabaseDb, EveryMigrationHasTheNextNumber) {
  int number = 0;
  for (const Migration& migration : migrations()) EXPECT_EQ(migration.number, ++number) << migration.name;
}

TEST_F(DatabaseDb, RefusesAMigrationThatWasChangedAfterwards) {
  transact(database(),
           [](pqxx::work& work) { work.exec0("UPDATE schema_migrations SET checksum = 'other' WHERE number = 1"); });
  EXPECT_THROW(database().migrate(), Error);
}

TEST_F(DatabaseDb, RefusesADatabaseFromTheFuture) {
  transact(database(), [](pqxx::work& work) {
    work.exec0("INSERT INTO schema_migrations (number, name, checksum) VALUES (9999, 'future', '')");
  });
  try {
    database().migrate();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_NE(std::string(error.what()).find("newer than this program"), std::string::npos) << error.what();
  }
}

TEST_F(DatabaseDb, RollsBackWhatThrows) {
  EXPECT_THROW(transact(database(),
                        [](pqxx::work& work) {
                          work.exec0("INSERT INTO projects (id) VALUES ('half')");
                          throw Error(ErrorCode::kConflict, "changed my mind");
                        }),
               Error);
  EXPECT_EQ(transact(database(),
                     [](pqxx::work& work) { return work.exec("SELECT 1 FROM projects WHERE id = 'half'").size(); }),
            0u);
}

TEST_F(DatabaseDb, TellsAConflictFromABugAndKeepsPostgresqlsWordsForTheLog) {
  const auto expect = [&](const std::string& sql, ErrorCode code, const char* cause) {
    try {
      transact(database(), [&](pqxx::work& work) { work.exec(sql); });
      ADD_FAILURE() << sql;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << sql;
      const std::string told = error.what();
      for (const char* theirs : {"ERROR", "DETAIL", "constraint", "_pkey", "_fkey", "nonsense", "INSERT", "SELECT"})
        EXPECT_EQ(told.find(theirs), std::string::npos) << told;
      EXPECT_NE(error.cause().find(cause), std::string::npos) << error.cause();
      EXPECT_NE(error.cause().find(sql.substr(0, 6)), std::string::npos) << "the statement: " << error.cause();
    }
  };
  expect("INSERT INTO projects (id) VALUES ('default')", ErrorCode::kConflict, "projects_pkey");
  expect("INSERT INTO sources (project_id, name, connector) VALUES ('nobody', 'a', 'b')", ErrorCode::kConflict,
         "sources_project_id_fkey");
  expect("SELECT 'x'::uuid", ErrorCode::kInvalidInput, "uuid");
  expect("SELECT 3000000000::int4", ErrorCode::kInvalidInput, "out of range");
  expect("SELECT nonsense", ErrorCode::kInternal, "nonsense");
  // Letters in no order, or the index would pack them.
  std::string key;
  for (unsigned i = 0, x = 7; i < 20'000; ++i)
    key += static_cast<char>('a' + (x = x * 1103515245u + 12345u) / 65536 % 26);
  expect("INSERT INTO projects (id) VALUES ('" + key + "')", ErrorCode::kTooLarge, "index");
}

TEST_F(DatabaseDb, RepeatsATransactionThatLostARace) {
  transact(database(),
           [](pqxx::work& work) { work.exec0("CREATE TABLE counter (value int); INSERT INTO counter VALUES (0)"); });
  int attempts = 0;
  transact(database(), [&](pqxx::work& work) {
    work.exec0("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    const int value = work.exec1("SELECT value FROM counter")[0].as<int>();
    if (++attempts == 1)  // another is faster
      transact(database(), [](pqxx::work& other) { other.exec0("UPDATE counter SET value = value + 10"); });
    work.exec_params("UPDATE counter SET value = $1", value + 1);
  });
  EXPECT_EQ(transact(database(), [](pqxx::work& work) { return work.exec1("SELECT value FROM counter")[0].as<int>(); }),
            11);
  EXPECT_EQ(attempts, 2);
}

TEST_F(DatabaseDb, ABusyPoolSaysSo) {
  Database one({.connection = database().connection_string(), .connections = 1, .wait = std::chrono::milliseconds(20)});
  Lease held(one);
  try {
    one.check();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_NE(std::string(error.what()).find("connections are busy"), std::string::npos);
  }
}

TEST_F(DatabaseDb, AConnectionThatTheServerCutIsReplaced) {
  Database one({.connection = database().connection_string(), .connections = 1});
  const int backend =
      transact(one, [](pqxx::work& work) { return work.exec1("SELECT pg_backend_pid()")[0].as<int>(); });
  transact(database(), [&](pqxx::work& work) { work.exec_params("SELECT pg_terminate_backend($1)", backend); });
  bool answered = false;
  for (int i = 0; i < 100 && !answered; ++i) {
    try {
      one.check();
      answered = true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.what();
    }
  }
  EXPECT_TRUE(answered);
}

// Stops every process of a cluster and lets them go on at the end.
class Frozen {
 public:
  explicit Frozen(const PrivateCluster& cluster) {
    const int postmaster = cluster.postmaster().value();
    processes_.push_back(postmaster);
    const std::string children = "/proc/" + std::to_string(postmaster) + "/task/" + std::to_string(postmaster);
    std::istringstream pids(read_file(children + "/children"));
    for (int pid = 0; pids >> pid;) processes_.push_back(pid);
    for (const int pid : processes_) ::kill(pid, SIGSTOP);
  }
  ~Frozen() {
    for (const int pid : processes_) ::kill(pid, SIGCONT);
  }

 private:
  std::vector<int> processes_;
};

TEST(DatabaseFrozen, IsUnavailableWithinTheLimitsAndServesAgainAfterwards) {
  const TemporaryFolder folder;
  PrivateCluster cluster({folder.path()}, Log::silent(), {.durable = false});
  Database database({.connection = cluster.connection_string(),
                     .connect_limit = std::chrono::seconds(2),
                     .limit = std::chrono::milliseconds(500)});
  database.migrate();
  SourceStore(database).create({.name = "line-3", .connector = "rest_push"});
  RecordStore records(database);
  const auto ingest = [&](const std::string& key) {
    Observation record;
    record.key = key;
    record.fields["torque"] = 1;
    records.ingest({.source = "line-3", .records = {record}});
  };
  ingest("before");
  const auto start = std::chrono::steady_clock::now();
  {
    const Frozen frozen(cluster);
    for (int i = 0; i < 2; ++i) {  // first on a connection of before, then on one that does not come about
      try {
        ingest("during");
        FAIL();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.what();
      }
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  ingest("after");
  EXPECT_GE(records.count("default", "line-3"), 2);
}

TEST_F(DatabaseDb, AStatementOverTheLimitIsUnavailable) {
  Database hasty({.connection = database().connection_string(), .limit = std::chrono::milliseconds(300)});
  try {
    transact(hasty, [](pqxx::work& work) { work.exec("SELECT pg_sleep(20)"); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.what();
  }
  EXPECT_NO_THROW(transact(
      hasty, [](pqxx::work& work) { work.exec("SELECT pg_sleep(0.6)"); }, TimeLimit::kNone));
}

TEST(DatabaseAway, IsUnavailableNotABug) {
  Database nowhere({.connection = "host=/nonexistent user=anneal dbname=anneal"});
  try {
    nowhere.check();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_EQ(std::string(error.what()).find("nonexistent"), std::string::npos) << "the address is the log's";
    EXPECT_NE(error.cause().find("nonexistent"), std::string::npos) << error.cause();
  }
}

}  // namespace
}  // namespace platform
