#include "platform/store/record_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <limits>
#include <set>
#include <thread>

#include "platform/store/source_store.h"
#include "platform/store/transaction.h"
#include "tests/support/temp_database.h"

namespace platform {
namespace {

Observation record(const std::string& key, int value) {
  Observation made;
  made.key = key;
  made.event_time = parse_time("2026-03-01T08:15:30Z");
  made.fields = {{"torque", value}, {"note", "삐걱거림\twith tab \\ and \"quotes\""}};
  return made;
}

IngestRequest request(std::vector<Observation> records, std::string idempotency_key = {}) {
  IngestRequest made;
  made.source = "line-3";
  made.records = std::move(records);
  made.idempotency_key = std::move(idempotency_key);
  return made;
}

class RecordStoreDb : public tests::TempDatabase {
 protected:
  void SetUp() override {
    TempDatabase::SetUp();
    SourceStore(database()).create({.name = "line-3", .connector = "rest_push"});
    records_ = std::make_unique<RecordStore>(database());
  }
  void TearDown() override { records_.reset(); }
  std::unique_ptr<RecordStore> records_;
};

ErrorCode code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kCancelled;
}

TEST_F(RecordStoreDb, KeepsARecordAsItWas) {
  Observation sent = record("a", 42);
  sent.signals["vibration"] = Signal{1000, "g", {0.1f, std::numeric_limits<float>::quiet_NaN(), -2.5f}};
  sent.usable = false;
  records_->ingest(request({sent}));
  const Observation back = records_->latest("default", "line-3", 1).at(0);
  EXPECT_EQ(back.key, "a");
  EXPECT_EQ(back.event_time, sent.event_time);
  EXPECT_EQ(back.fields, sent.fields);
  EXPECT_FALSE(back.usable);
  ASSERT_EQ(back.signals.at("vibration").values.size(), 3u);
  EXPECT_EQ(back.signals.at("vibration").values[0], 0.1f);
  EXPECT_TRUE(std::isnan(back.signals.at("vibration").values[1]));
}

TEST_F(RecordStoreDb, GivesEveryFiniteNumberBack) {
  using Double = std::numeric_limits<double>;
  const float most = std::numeric_limits<float>::max();
  Observation sent = record("a", 1);
  sent.fields["numbers"] =
      json::array{1e20, most, -most, Double::max(), -Double::max(), Double::min(), Double::denorm_min(), 0.1};
  records_->ingest(request({sent}));
  const Observation back = records_->latest("default", "line-3", 1).at(0);
  EXPECT_EQ(canonical_json(back.fields), canonical_json(sent.fields));
}

TEST_F(RecordStoreDb, TheSameKeyTwiceIsOneRecordAndSaysSo) {
  const IngestResult first = records_->ingest(request({record("a", 1), record("b", 2), record("a", 3)}));
  EXPECT_EQ(first.accepted, 2);
  EXPECT_EQ(first.duplicates, 1);
  const IngestResult second = records_->ingest(request({record("b", 9), record("c", 9)}));
  EXPECT_EQ(second.accepted, 1);
  EXPECT_EQ(second.duplicates, 1);
  EXPECT_EQ(records_->count("default", "line-3"), 3);
}

TEST_F(RecordStoreDb, TheSameIdempotencyKeyGivesTheFirstAnswer) {
  EXPECT_EQ(records_->ingest(request({record("a", 1)}, "key-1")).accepted, 1);
  const IngestResult again = records_->ingest(request({record("a", 1)}, "key-1"));
  EXPECT_EQ(again.accepted, 1);
  EXPECT_EQ(again.duplicates, 0);
  EXPECT_EQ(records_->count("default", "line-3"), 1);
}

TEST_F(RecordStoreDb, AnIdempotencyKeyUnderOtherRecordsIsAConflict) {
  records_->ingest(request({record("a", 1)}, "key-1"));
  EXPECT_EQ(code_of([&] { records_->ingest(request({record("a", 2)}, "key-1")); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] {
              records_->ingest(request({record("a", 1), record("b", 1)}, "key-1"));
            }),
            ErrorCode::kConflict);
  EXPECT_EQ(records_->count("default", "line-3"), 1);
}

TEST_F(RecordStoreDb, ASourceMadeAnewStoresWhatWasSentToTheOldOne) {
  records_->ingest(request({record("a", 1)}, "key-1"));
  SourceStore(database()).remove("default", "line-3");
  SourceStore(database()).create({.name = "line-3", .connector = "rest_push"});
  EXPECT_EQ(records_->ingest(request({record("a", 1)}, "key-1")).accepted, 1);
  EXPECT_EQ(records_->count("default", "line-3"), 1);
}

TEST_F(RecordStoreDb, IdempotencyKeysAreForgottenAfterAWeek) {
  records_->ingest(request({record("a", 1)}, "key-1"));
  records_.reset();  // the writer has done its first round
  transact(database(),
           [](pqxx::work& work) { work.exec0("UPDATE idempotency_keys SET created_at = now() - interval '8 days'"); });
  records_ = std::make_unique<RecordStore>(database());
  records_->ingest(request({record("b", 1)}));
  records_.reset();
  EXPECT_EQ(transact(database(),
                     [](pqxx::work& work) { return work.exec1("SELECT count(*) FROM idempotency_keys")[0].as<int>(); }),
            0);
}

TEST_F(RecordStoreDb, ARecordThatTheDatabaseCannotHoldCostsItselfAlone) {
  std::vector<Observation> sent;
  for (int i = 0; i < 7; ++i) sent.push_back(record(std::to_string(i), i));
  const json::string nul(std::string_view("a\0b", 3));
  sent[0].fields["note"] = nul;
  sent[1].fields["deep"] = json::array{json::object{{nul, 1}}};
  sent[2].event_time = kLatestTime + std::chrono::hours(1);
  sent[3].key = "\xff";
  sent[4].key = std::string(2000, 'k');
  sent[5].fields["torque"] = std::numeric_limits<double>::quiet_NaN();
  const IngestResult result = records_->ingest(request(sent));
  EXPECT_EQ(result.accepted, 1);
  EXPECT_EQ(result.duplicates, 0);
  ASSERT_EQ(result.refused.size(), 6u);
  for (std::size_t i = 0; i < result.refused.size(); ++i)
    EXPECT_EQ(result.refused[i].place, static_cast<std::int64_t>(i)) << result.refused[i].reason;
  EXPECT_EQ(records_->latest("default", "line-3", 10).at(0).key, "6");
}

TEST_F(RecordStoreDb, HoldsTheFirstAndTheLastMomentItTakes) {
  Observation first = record("first", 1), last = record("last", 2);
  first.event_time = kEarliestTime;
  last.event_time = kLatestTime;
  EXPECT_EQ(records_->ingest(request({first, last})).accepted, 2);
  const auto back = records_->latest("default", "line-3", 2);
  EXPECT_EQ(back.at(0).event_time, kLatestTime);
  EXPECT_EQ(back.at(1).event_time, kEarliestTime);
}

TEST_F(RecordStoreDb, ABadRequestCostsTheOthersNothing) {
  EXPECT_EQ(code_of([&] {
              IngestRequest unknown = request({record("a", 1)});
              unknown.source = "nowhere";
              records_->ingest(std::move(unknown));
            }),
            ErrorCode::kNotFound);
  std::atomic<int> good{0}, bad{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        Observation made = record(std::to_string(t) + "-" + std::to_string(i), i);
        // PostgreSQL's jsonb cannot hold the NUL character.
        if (t == 0) made.fields["note"] = json::string(std::string_view("\0", 1));
        const ErrorCode code = code_of([&] { records_->ingest(request({made})); });
        ++(code == ErrorCode::kCancelled ? good : bad);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 70);
  EXPECT_EQ(bad, 10);
  EXPECT_EQ(records_->count("default", "line-3"), 70);
}

TEST_F(RecordStoreDb, ScansEveryRecordOnceInOrderOfKeyAcrossPortions) {
  std::vector<Observation> many;
  for (int i = 0; i < 4500; ++i) many.push_back(record("k" + std::to_string(100000 + i), i));
  EXPECT_EQ(records_->ingest(request(many)).accepted, 4500);
  std::vector<std::string> keys;
  records_->scan("default", "line-3", [&](Observation&& found) {
    keys.push_back(found.key);
    return true;
  });
  EXPECT_EQ(keys.size(), 4500u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), 4500u);
}

TEST_F(RecordStoreDb, SavesTheCursorAndTheGapsWithTheRecords) {
  IngestRequest made = request({record("a", 1)});
  made.cursor = json::value(json::object{{"offset", 17}});
  made.gaps = {{parse_time("2026-03-01T08:00:00Z"), parse_time("2026-03-01T08:10:00Z"), "the machine was away"}};
  EXPECT_TRUE(records_->cursor("default", "line-3").is_null());
  records_->ingest(std::move(made));
  EXPECT_EQ(canonical_json(records_->cursor("default", "line-3")), R"({"offset":17})");
  const auto gaps = SourceStore(database()).gaps("default", "line-3");
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].reason, "the machine was away");
}

TEST_F(RecordStoreDb, RecordsOfASourceThatIsRemovedWhileTheyComeAreRefusedInOurWords) {
  // The row is gone for the commit, though it was there when the request came.
  transact(database(), [](pqxx::work& work) {
    work.exec0(
        "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM sources; RETURN NEW; END $$;"
        "CREATE TRIGGER forget BEFORE INSERT ON records FOR EACH ROW EXECUTE FUNCTION forget()");
  });
  try {
    records_->ingest(request({record("a", 1)}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_STREQ(error.what(), "no source 'line-3'; create it before records are sent to it");
    EXPECT_NE(error.cause().find("_fkey"), std::string::npos) << error.cause();
  }
}

TEST_F(RecordStoreDb, AnIdempotencyKeyIsShortText) {
  for (const std::string& key : {std::string(256, 'k'), std::string("\xED\x95"), std::string("a\0b", 3)})
    EXPECT_EQ(code_of([&] { records_->ingest(request({record("a", 1)}, key)); }), ErrorCode::kInvalidInput) << key;
  EXPECT_EQ(records_->ingest(request({record("a", 1)}, std::string(255, 'k'))).accepted, 1);
}

TEST_F(RecordStoreDb, ASourceTakesRecordsOnlyFromThoseOfItsKind) {
  SourceStore sources(database());
  sources.create({.name = "feedback-mill", .connector = "rest_push", .kind = SourceKind::kFeedback});
  EXPECT_EQ(sources.find("default", "feedback-mill")->kind, SourceKind::kFeedback);
  EXPECT_EQ(sources.find("default", "line-3")->kind, SourceKind::kRecords);
  IngestRequest pushed = request({record("a", 1)}), reported = request({record("a", 1)});
  pushed.source = "feedback-mill";
  reported.from = SourceKind::kFeedback;
  EXPECT_EQ(code_of([&] { records_->ingest(pushed); }), ErrorCode::kForbidden);
  EXPECT_EQ(code_of([&] { records_->ingest(reported); }), ErrorCode::kConflict);
  reported.source = "feedback-mill";
  EXPECT_EQ(records_->ingest(reported).accepted, 1);
}

TEST_F(RecordStoreDb, PushedSourcesOfBeforeThatWereTheAgentsByNameAreTheirsByKind) {
  transact(database(), [](pqxx::work& work) {
    work.exec0(
        "ALTER TABLE sources DROP COLUMN kind; INSERT INTO sources (project_id, name, connector) VALUES "
        "('default', 'feedback-mill', 'rest_push'), ('default', 'feedback-files', 'file'); DELETE FROM "
        "schema_migrations WHERE number = 8");
  });
  database().migrate();
  SourceStore sources(database());
  EXPECT_EQ(sources.find("default", "feedback-mill")->kind, SourceKind::kFeedback);
  EXPECT_EQ(sources.find("default", "feedback-files")->kind, SourceKind::kRecords);
  EXPECT_EQ(sources.find("default", "line-3")->kind, SourceKind::kRecords);
}

TEST_F(RecordStoreDb, SourcesAreListedByNameAndRemovedWithTheirRecords) {
  SourceStore sources(database());
  EXPECT_EQ(code_of([&] { sources.create({.name = "line-3", .connector = "file"}); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { sources.create({.name = "no/slash", .connector = "file"}); }), ErrorCode::kInvalidInput);
  sources.create({.name = "line-4", .connector = "file"});
  EXPECT_EQ(sources.list("default").size(), 2u);
  EXPECT_EQ(sources.list("default", "line-3").at(0).name, "line-4");
  records_->ingest(request({record("a", 1)}));
  EXPECT_TRUE(sources.remove("default", "line-3"));
  EXPECT_FALSE(sources.find("default", "line-3"));
  EXPECT_EQ(records_->count("default", "line-3"), 0);
}

TEST(RecordStoreKill, EveryAcknowledgedRecordIsThereOnceAfterThePostmasterIsKilledUnderLoad) {
  const TemporaryFolder folder;
  PrivateCluster cluster({folder.path()}, Log::silent());
  Database database({.connection = cluster.connection_string()});
  database.migrate();
  SourceStore(database).create({.name = "line-3", .connector = "rest_push"});
  std::mutex mutex;
  std::set<std::string> acknowledged;
  std::atomic<bool> stop{false};
  std::atomic<int> refused{0};
  {
    RecordStore records(database);
    std::vector<std::thread> senders;
    for (int t = 0; t < 4; ++t) {
      senders.emplace_back([&, t] {
        for (int i = 0; !stop; ++i) {
          const std::string key = std::to_string(t) + "-" + std::to_string(i);
          // A sender repeats what was not acknowledged, as a plant gateway does.
          while (!stop) {
            const ErrorCode code = code_of([&] { records.ingest(request({record(key, i)})); });
            if (code == ErrorCode::kCancelled) {
              const std::lock_guard lock(mutex);
              acknowledged.insert(key);
              break;
            }
            EXPECT_EQ(code, ErrorCode::kUnavailable);
            ++refused;
            ::usleep(2000);
          }
        }
      });
    }
    const auto wait_for_more = [&](std::size_t more) {
      std::size_t before = 0;
      {
        const std::lock_guard lock(mutex);
        before = acknowledged.size();
      }
      for (int i = 0; i < 20000; ++i) {
        {
          const std::lock_guard lock(mutex);
          if (acknowledged.size() >= before + more) return true;
        }
        ::usleep(1000);
      }
      return false;
    };
    for (int kill = 0; kill < 3; ++kill) {
      ASSERT_TRUE(wait_for_more(50)) << "no records flowed before kill " << kill;
      ASSERT_EQ(::kill(cluster.postmaster().value(), SIGKILL), 0);
      for (int i = 0; i < 2000 && !cluster.is_gone(); ++i) ::usleep(1000);
      cluster.start();
    }
    ASSERT_TRUE(wait_for_more(50));
    stop = true;
    for (auto& sender : senders) sender.join();
    std::multiset<std::string> stored;
    records.scan("default", "line-3", [&](Observation&& found) {
      stored.insert(found.key);
      return true;
    });
    for (const std::string& key : acknowledged) EXPECT_EQ(stored.count(key), 1u) << key;
    EXPECT_LE(stored.size(), acknowledged.size() + 4) << "at most one record a sender was in flight at the end";
  }
  EXPECT_GT(refused.load(), 0) << "no kill hit running work";
  std::cout << "3 kills, " << acknowledged.size() << " acknowledged, " << refused << " refused\n";
}

}  // namespace
}  // namespace platform
