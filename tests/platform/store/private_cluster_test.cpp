#include "platform/store/private_cluster.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "platform/base/file.h"
#include "platform/store/transaction.h"

namespace platform {
namespace {

std::int64_t rows(Database& database) {
  return transact(database,
                  [](pqxx::work& work) { return work.exec1("SELECT count(*) FROM kept")[0].as<std::int64_t>(); });
}

TEST(PrivateClusterDb, StartsStopsAndStartsAgainWithItsData) {
  const TemporaryFolder folder;
  const DataFolder data{folder.path() / "data"};
  {
    PrivateCluster cluster(data, Log::silent());
    Database database({.connection = cluster.connection_string()});
    transact(database, [](pqxx::work& work) { work.exec0("CREATE TABLE kept AS SELECT 1"); });
    ASSERT_TRUE(cluster.postmaster());
  }
  PrivateCluster again(data, Log::silent());
  Database database({.connection = again.connection_string()});
  EXPECT_EQ(rows(database), 1);
}

TEST(PrivateClusterDb, ListensOnNoNetworkAndItsSocketIsClosedToOthers) {
  const TemporaryFolder folder;
  PrivateCluster cluster({folder.path()}, Log::silent(), {.durable = false});
  Database database({.connection = cluster.connection_string()});
  EXPECT_EQ(
      transact(database, [](pqxx::work& work) { return work.exec1("SHOW listen_addresses")[0].as<std::string>(); }),
      "");
  struct stat facts {};
  ASSERT_EQ(::stat((folder.path() / "postgres").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0077, 0u);
}

TEST(PrivateClusterDb, WorksInAFolderTooDeepForASocket) {
  const TemporaryFolder folder;
  PrivateCluster cluster({folder.path() / std::string(60, 'a') / std::string(60, 'b')}, Log::silent(),
                         {.durable = false});
  Database database({.connection = cluster.connection_string()});
  EXPECT_NO_THROW(database.check());
}

TEST(PrivateClusterDb, DoesNotOpenFoldersThatAreNotItsOwn) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root's database runs as another user";
  const TemporaryFolder closed("/var/tmp");
  try {
    PrivateCluster cluster({closed.path() / "data"}, Log::silent(), {.durable = false});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    EXPECT_NE(std::string(error.what()).find("chmod o+x " + closed.path().string()), std::string::npos) << error.what();
  }
  struct stat facts {};
  ASSERT_EQ(::stat(closed.path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700u);
}

TEST(PrivateClusterDb, DoesNotUseASocketFolderThatSomebodyElsePutThere) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can play somebody else";
  const TemporaryFolder folder;
  const DataFolder data{folder.path() / std::string(60, 'a') / std::string(60, 'b')};
  const std::string connection = private_connection_string(data);
  const std::size_t begin = connection.find('\'') + 1;  // host='/tmp/...'
  const std::string socket = connection.substr(begin, connection.find('\'', begin) - begin);
  std::filesystem::create_directory(socket);
  ASSERT_EQ(::chown(socket.c_str(), 12345, 12345), 0);
  EXPECT_THROW(PrivateCluster(data, Log::silent(), {.durable = false}), Error);
  std::filesystem::remove(socket);
  std::filesystem::create_directory_symlink(folder.path(), socket);
  EXPECT_THROW(PrivateCluster(data, Log::silent(), {.durable = false}), Error);
  std::filesystem::remove(socket);
}

TEST(PrivateClusterDb, ItsLogDoesNotGrowForEver) {
  const TemporaryFolder folder;
  const DataFolder data{folder.path()};
  { PrivateCluster first(data, Log::silent(), {.durable = false}); }
  std::filesystem::resize_file(data.postgres() / "server.log", 17 << 20);
  PrivateCluster again(data, Log::silent(), {.durable = false});
  EXPECT_LT(std::filesystem::file_size(data.postgres() / "server.log"), 1u << 20);
  EXPECT_TRUE(std::filesystem::exists(data.postgres() / "server.log.old"));
}

TEST(PrivateClusterDb, ASecondProgramUsesTheServerThatRuns) {
  const TemporaryFolder folder;
  PrivateCluster first({folder.path()}, Log::silent(), {.durable = false});
  {
    PrivateCluster second({folder.path()}, Log::silent(), {.durable = false});
    EXPECT_EQ(second.postmaster(), first.postmaster());
  }
  Database database({.connection = first.connection_string()});
  EXPECT_NO_THROW(database.check()) << "the second one stopped a server that was not its own";
}

TEST(PrivateClusterDb, ConnectionsFromBeforeARestartAreReplacedUnseen) {
  const TemporaryFolder folder;
  PrivateCluster cluster({folder.path()}, Log::silent(), {.durable = false});
  Database database({.connection = cluster.connection_string()});
  EXPECT_NO_THROW(database.check());
  cluster.stop();
  cluster.start();
  EXPECT_NO_THROW(database.check());
}

TEST(PrivateClusterDb, ComesUpWhileTheOneBeforeIsStillGoingDown) {
  const TemporaryFolder folder;
  PrivateCluster first({folder.path()}, Log::silent(), {.durable = false});
  ASSERT_EQ(::kill(first.postmaster().value(), SIGINT), 0);
  PrivateCluster second({folder.path()}, Log::silent(), {.durable = false});
  Database database({.connection = second.connection_string()});
  EXPECT_NO_THROW(database.check());
}

TEST(PrivateClusterKill, EverythingCommittedIsThereAfterEachKill) {
  const TemporaryFolder folder;
  PrivateCluster cluster({folder.path()}, Log::silent());
  Database database({.connection = cluster.connection_string()});
  transact(database, [](pqxx::work& work) { work.exec0("CREATE TABLE kept (value int)"); });
  std::int64_t acknowledged = 0;
  constexpr int kKills = 10;
  for (int kill = 0; kill < kKills; ++kill) {
    const int postmaster = cluster.postmaster().value();
    for (int i = 0; i < 20; ++i) {
      transact(database, [&](pqxx::work& work) { work.exec_params("INSERT INTO kept VALUES ($1)", i); });
      ++acknowledged;
    }
    {
      // Killed in the middle of a transaction that nobody acknowledged.
      pqxx::connection connection(cluster.connection_string());
      pqxx::work open(connection);
      open.exec0("INSERT INTO kept VALUES (-1)");
      ASSERT_EQ(::kill(postmaster, SIGKILL), 0);
    }
    ASSERT_TRUE([&] {
      for (int i = 0; i < 2000; ++i) {
        if (cluster.is_gone()) return true;
        ::usleep(1000);
      }
      return false;
    }());
    EXPECT_THROW(
        {
          Database during({.connection = cluster.connection_string()});
          during.check();
        },
        Error);
    cluster.start();
    // Connections from before the kill are found broken one by one.
    std::int64_t found = -1;
    for (int i = 0; i < 20 && found < 0; ++i) {
      try {
        found = rows(database);
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), ErrorCode::kUnavailable) << error.what();
      }
    }
    ASSERT_EQ(found, acknowledged) << "after kill " << kill + 1;
  }
  std::cout << kKills << " kills, " << acknowledged << " commits\n";
}

}  // namespace
}  // namespace platform
