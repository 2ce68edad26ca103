#include "platform/registry/model_registry.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <thread>

#include "platform/base/digest.h"
#include "tests/support/temp_database.h"

namespace platform {
namespace {

Error error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorCode::kInternal, "none");
}

AliasChange moved_to(std::int64_t number) { return {"production", number, std::nullopt, "kim", "", {}}; }

TEST(VersionBefore, GoesBackOneVersionAtATime) {
  EXPECT_EQ(version_before({}), std::nullopt);
  EXPECT_EQ(version_before({moved_to(1)}), std::nullopt);
  EXPECT_EQ(version_before({moved_to(1), moved_to(2), moved_to(3)}), 2);
  EXPECT_EQ(version_before({moved_to(1), moved_to(2), moved_to(3), moved_to(2)}), 1) << "3 is not what came before 2";
  EXPECT_EQ(version_before({moved_to(1), moved_to(2), moved_to(1), moved_to(4)}), 1) << "2 was left behind";
}

class ModelRegistryDb : public tests::TempDatabase {
 protected:
  void SetUp() override {
    TempDatabase::SetUp();
    models_ = std::make_unique<ModelStore>(database());
    datasets_ = std::make_unique<DatasetStore>(database());
    registry_ = std::make_unique<ModelRegistry>(*models_, *datasets_);
  }
  ModelVersion version(const std::string& run, std::optional<bool> passed = std::nullopt) const {
    ModelVersion made;
    made.model = "tool-failure";
    made.base = "anneal-nano";
    made.base_digest = digest_of("base");
    made.adapter_blob = digest_of("blob" + run);
    made.adapter_digest = digest_of("adapter" + run);
    made.run = run;
    made.step = run.empty() ? "" : "model";
    made.evaluation = {{"macro_f1", 0.91}};
    if (passed) made.gate = json::object{{"passed", *passed}, {"adapter_digest", made.adapter_digest}};
    return made;
  }
  void move(std::int64_t number, const std::string& alias = "production") {
    registry_->set_alias("default", "tool-failure", alias, number, "kim", "better");
  }

  std::unique_ptr<ModelStore> models_;
  std::unique_ptr<DatasetStore> datasets_;
  std::unique_ptr<ModelRegistry> registry_;
};

TEST_F(ModelRegistryDb, KeepsAVersionAsItWas) {
  const ModelVersion stored = registry_->register_version(version("run-1", true));
  EXPECT_EQ(stored.str(), "tool-failure/1");
  const ModelVersion back = registry_->resolve("default", "tool-failure", "1").value();
  EXPECT_EQ(back.id, stored.id);
  EXPECT_EQ(back.adapter_digest, digest_of("adapterrun-1"));
  EXPECT_EQ(canonical_json(back.evaluation), R"({"macro_f1":0.91})");
  EXPECT_EQ(back.gate->at("passed"), json::value(true));
  EXPECT_FALSE(registry_->register_version(version("run-2")).gate);
  EXPECT_EQ(models_->versions("default", "tool-failure").at(0).number, 2);
  EXPECT_EQ(models_->find_by_adapter("default", digest_of("adapterrun-1"))->number, 1);
}

TEST_F(ModelRegistryDb, TheSameStepOfTheSameRunIsOneVersion) {
  const ModelVersion first = registry_->register_version(version("run-1", true));
  ModelVersion changed = version("run-1", true);
  changed.evaluation = {{"macro_f1", 0.1}};
  const ModelVersion again = registry_->register_version(changed);
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(again.evaluation, first.evaluation) << "a registered version never changes";
  EXPECT_EQ(models_->find("default", "tool-failure")->versions, 1);
}

TEST_F(ModelRegistryDb, AStepThatWasRunAgainWithAnotherAdapterMakesAnotherVersion) {
  EXPECT_EQ(registry_->register_version(version("run-1", true)).number, 1);
  ModelVersion other = version("run-2", true);
  other.run = "run-1";
  const ModelVersion second = registry_->register_version(other);
  EXPECT_EQ(second.number, 2);
  EXPECT_EQ(second.adapter_digest, other.adapter_digest);
}

TEST_F(ModelRegistryDb, RegistrationsAtOnceGetOneNumberEach) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i)
        registry_->register_version(version("run-" + std::to_string(i % 3 == 0 ? i : 100 * t + i)));
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<std::int64_t> numbers;
  for (const ModelVersion& each : models_->versions("default", "tool-failure")) numbers.insert(each.number);
  EXPECT_EQ(numbers.size(), 2u + 4 * 3u) << "two runs were shared by the threads, three were each one's own";
  EXPECT_EQ(*numbers.rbegin(), static_cast<std::int64_t>(numbers.size()));
}

TEST_F(ModelRegistryDb, RefusesToMoveProductionWithoutAPassingGateReport) {
  registry_->register_version(version("run-1"));
  registry_->register_version(version("run-2", false));
  ModelVersion vague = version("run-3");
  vague.gate = json::object{{"passed", "true"}};
  registry_->register_version(vague);
  for (const std::int64_t number : {1, 2, 3}) {
    const Error error = error_of([&] { move(number); });
    EXPECT_EQ(error.code(), ErrorCode::kConflict) << number;
    EXPECT_NE(std::string(error.what()).find("model.gate"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(registry_->resolve("default", "tool-failure", "production"));
  EXPECT_TRUE(models_->history("default", "tool-failure", "production").empty());
  EXPECT_NO_THROW(move(2, "candidate")) << "only production asks for a gate";
}

TEST_F(ModelRegistryDb, RefusesAGateReportAboutAnotherAdapter) {
  ModelVersion borrowed = version("run-1", true);
  borrowed.gate->at("adapter_digest") = digest_of("another");
  EXPECT_EQ(error_of([&] { registry_->register_version(borrowed); }).code(), ErrorCode::kInvalidInput);
}

TEST_F(ModelRegistryDb, SaysWhatIsWrongWithNamesAndNumbers) {
  ModelVersion bad = version("run-1", true);
  bad.model = "../x";
  EXPECT_EQ(error_of([&] { registry_->register_version(bad); }).code(), ErrorCode::kInvalidInput);
  bad = version("run-1", true);
  bad.adapter_digest = "sha256:short";
  EXPECT_EQ(error_of([&] { registry_->register_version(bad); }).code(), ErrorCode::kInvalidInput);
  registry_->register_version(version("run-1", true));
  EXPECT_EQ(error_of([&] { move(7); }).code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([&] { move(1, "12"); }).code(), ErrorCode::kInvalidInput);
  EXPECT_FALSE(registry_->resolve("default", "nobody", "1"));
}

TEST_F(ModelRegistryDb, TellsWhatWasLiveAtAnyMomentAndWhoMovedItWhy) {
  for (const char* run : {"a", "b"}) registry_->register_version(version(run, true));
  const Time before = SystemClock().now() - std::chrono::hours(1);
  move(1);
  move(2);
  move(2);  // stands there already
  const auto history = models_->history("default", "tool-failure", "production");
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[1].previous, 1);
  EXPECT_EQ(history[1].actor, "kim");
  EXPECT_EQ(history[1].reason, "better");
  EXPECT_FALSE(registry_->alias_at("default", "tool-failure", "production", before));
  EXPECT_EQ(registry_->alias_at("default", "tool-failure", "production", history[0].moved_at)->number, 1);
  EXPECT_EQ(
      registry_->alias_at("default", "tool-failure", "production", history[1].moved_at - std::chrono::microseconds(1))
          ->number,
      1);
  EXPECT_EQ(registry_->alias_at("default", "tool-failure", "production", history[1].moved_at)->number, 2);
  EXPECT_EQ(models_->find("default", "tool-failure")->aliases.at("production"), json::value(2));
}

TEST_F(ModelRegistryDb, GoesBackStepByStepUntilNothingIsBefore) {
  for (const char* run : {"a", "b", "c"}) registry_->register_version(version(run, true));
  for (const std::int64_t number : {1, 2, 3}) move(number);
  EXPECT_EQ(registry_->roll_back("default", "tool-failure", "production", "lee", "scrap rate rose").number, 2);
  EXPECT_EQ(registry_->roll_back("default", "tool-failure", "production", "lee", "still").number, 1);
  EXPECT_EQ(error_of([&] { registry_->roll_back("default", "tool-failure", "production", "lee", ""); }).code(),
            ErrorCode::kConflict);
  EXPECT_EQ(registry_->resolve("default", "tool-failure", "production")->number, 1);
}

TEST_F(ModelRegistryDb, LineageReachesFromTheVersionToTheRecords) {
  DatasetVersion dataset;
  dataset.dataset = "cnc";
  dataset.content_hash = digest_of("lines");
  dataset.blob = digest_of("compressed lines");
  dataset.counts = {{"train", 70}, {"test", 20}};
  dataset.lineage = {{"sources", {"line-3"}}, {"records", 90}};
  dataset = datasets_->add_version(dataset);
  EXPECT_EQ(dataset.number, 1);
  EXPECT_EQ(datasets_->add_version(dataset).id, dataset.id) << "the same records are one version";
  ModelVersion made = version("run-1", true);
  made.dataset_version = dataset.id.str();
  const json::object lineage = registry_->lineage(registry_->register_version(made));
  EXPECT_EQ(lineage.at("run").at("id"), "run-1");
  EXPECT_EQ(lineage.at("dataset").at("name"), "cnc");
  EXPECT_EQ(lineage.at("dataset").at("lineage").at("records"), json::value(90));
  made = version("run-2", true);
  made.dataset_version = dataset.blob;
  EXPECT_EQ(registry_->lineage(registry_->register_version(made)).at("dataset").at("number"), json::value(1))
      << "also by the digest that a run hands on";
  EXPECT_TRUE(registry_->lineage(registry_->register_version(version("run-3"))).at("dataset").is_null());
}

TEST_F(ModelRegistryDb, DatasetsAreNumberedAndListed) {
  DatasetVersion version;
  version.dataset = "cnc";
  for (const char* lines : {"a", "b", "c"}) {
    version.content_hash = version.blob = digest_of(lines);
    datasets_->add_version(version);
  }
  EXPECT_EQ(datasets_->list("default").at(0).versions, 3);
  EXPECT_EQ(datasets_->versions("default", "cnc", 3).at(0).number, 2);
  EXPECT_EQ(datasets_->find_version("default", "cnc", 1)->content_hash, digest_of("a"));
  EXPECT_FALSE(datasets_->find_by_id(DatasetVersionId("not an id")));
}

}  // namespace
}  // namespace platform
