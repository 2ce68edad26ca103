#include "web/api/sources.h"

#include <chrono>
#include <fstream>
#include <thread>

#include "connectors/registry.h"
#include "platform/base/digest.h"
#include "tests/web/api_fixture.h"
#include "web/api/datasets.h"
#include "web/api/models.h"

namespace {

namespace json = platform::json;
using platform::Role;

class SourceApiDb : public tests::ApiFixture {
 protected:
  void SetUp() override {
    ApiFixture::SetUp();
    sources_ = std::make_unique<platform::SourceStore>(database());
    records_ = std::make_unique<platform::RecordStore>(database());
    sink_ = std::make_unique<web::StoreSink>(*records_);
    supervisor_ = std::make_unique<connectors::Supervisor>(*sink_, platform::Log::silent());
    std::filesystem::create_directories(folder_.path() / "inbox");
    files_ = std::make_unique<connectors::FileAccess>(std::vector<std::filesystem::path>{}, data_);
    platform::RouteTable routes;
    web::add_source_routes(routes, {*sources_, *records_, *supervisor_, data_, *files_});
    serve(std::move(routes));
    asking_ = std::make_unique<platform::HttpClient>(client(Role::kAdmin));
  }
  void TearDown() override {
    supervisor_->stop_all();
    ApiFixture::TearDown();
  }

  platform::HttpResponse create(const json::object& body) {
    return asking_->post("/api/v1/sources", json::serialize(body));
  }
  static std::string address(const std::string& name) { return "/api/v1/sources/" + platform::percent_encode(name); }
  platform::HttpResponse push(const std::string& name, const std::string& body, const std::string& type,
                              const platform::Headers& headers = {}) {
    return asking_->post(address(name) + "/records", body, type, headers);
  }
  static std::int64_t number(const platform::HttpResponse& answer, std::string_view key) {
    return answer.checked().json().at(key).as_int64();
  }
  json::array latest(const std::string& name) {
    return asking_->get(address(name) + "/records").checked().json().at("items").as_array();
  }

  platform::TemporaryFolder folder_;
  platform::DataFolder data_{folder_.path()};
  std::unique_ptr<platform::SourceStore> sources_;
  std::unique_ptr<platform::RecordStore> records_;
  std::unique_ptr<web::StoreSink> sink_;
  std::unique_ptr<connectors::Supervisor> supervisor_;
  std::unique_ptr<connectors::FileAccess> files_;
  std::unique_ptr<platform::HttpClient> asking_;
};

TEST_F(SourceApiDb, AcknowledgesAPushedBodyAfterItsRecordsAreCommittedAndNamesTheLinesItDidNotTake) {
  create({{"name", "mill"}}).checked();
  std::string body;
  for (int i = 0; i < 1000; ++i) body += i == 417 ? "{\"n\": 4 17}\n" : "{\"n\": " + std::to_string(i) + "}\n";
  const platform::HttpResponse answer = push("mill", body, "application/x-ndjson");
  EXPECT_EQ(records_->count("default", "mill"), 999);
  EXPECT_EQ(number(answer, "accepted"), 999);
  EXPECT_EQ(number(answer, "duplicates"), 0);
  const json::array rejected = answer.json().at("rejected").as_array();
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(rejected[0].at("line"), json::value(418));
  EXPECT_EQ(rejected[0].at("code"), "invalid_json");
}

TEST_F(SourceApiDb, StoresAPushedBodyOnceHoweverOftenItComes) {
  create({{"name", "mill"}}).checked();
  const std::string table = "n,name\n1,part\n1,part\n2,part\n";
  EXPECT_EQ(number(push("mill", table, "text/csv"), "accepted"), 3);
  const platform::HttpResponse again = push("mill", table, "text/csv");
  EXPECT_EQ(number(again, "accepted"), 0);
  EXPECT_EQ(number(again, "duplicates"), 3);
  const platform::Headers once{{"Idempotency-Key", "batch-7"}};
  EXPECT_EQ(number(push("mill", "[{\"key\": \"k1\", \"fields\": {\"n\": 1}}]", "application/json", once), "accepted"),
            1);
  EXPECT_EQ(number(push("mill", "[{\"key\": \"k1\", \"fields\": {\"n\": 1}}]", "application/json", once), "accepted"),
            1);
  EXPECT_EQ(records_->count("default", "mill"), 4);
}

TEST_F(SourceApiDb, TellsThePlantWhereToPost) {
  create({{"name", "mill"}}).checked();
  create({{"name", "3호-라인"}}).checked();
  EXPECT_EQ(asking_->post(address("mill") + "/check", "").checked().json().at("message"),
            "ready: post records to /api/v1/sources/mill/records");
  const std::string message(
      asking_->post(address("3호-라인") + "/check", "").checked().json().at("message").as_string());
  const std::string target = message.substr(message.find("/api"));
  EXPECT_EQ(number(asking_->post(target, "[{\"n\": 1}]"), "accepted"), 1);
}

TEST_F(SourceApiDb, FillsTheSourcesNameIntoKeysAlikeByEveryDoor) {
  std::ofstream(folder_.path() / "inbox" / "a.csv") << "n,x\n7,a\n";
  const json::object input{{"key", "{{ source }}-{{ n }}"}};
  create({{"name", "pushed"}, {"settings", json::object{{"input", input}}}}).checked();
  const std::string path = (folder_.path() / "inbox" / "a.csv").string();
  create({{"name", "polled"},
          {"connector", "file"},
          {"settings", json::object{{"path", path}, {"settle_seconds", 0}, {"input", input}}}})
      .checked();
  push("pushed", "n,x\n7,a\n", "text/csv").checked();
  asking_->post(address("polled") + "/start", "").checked();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (records_->count("default", "polled") == 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_EQ(latest("pushed").at(0).at("key"), "pushed-7");
  EXPECT_EQ(latest("polled").at(0).at("key"), "polled-7");
  EXPECT_EQ(asking_->get(address("polled")).checked().json().at("reader").at("name"), "polled");
}

TEST_F(SourceApiDb, TakesNamesInTheLettersOfThePlant) {
  for (const std::string name : {"3호-라인", "línea_2", "설비.A", "ライン", "mill"}) {
    create({{"name", name}}).checked();
    EXPECT_EQ(number(push(name, "[{\"n\": 1}]", "application/json"), "accepted"), 1) << name;
    EXPECT_EQ(asking_->get(address(name)).checked().json().at("source").at("name").as_string(), name);
  }
  EXPECT_EQ(asking_->get("/api/v1/sources").checked().json().at("items").as_array().size(), 5u);
  std::string hundred;
  for (int i = 0; i < 100; ++i) hundred += "가";
  EXPECT_EQ(create({{"name", hundred}}).status, 201);
  for (const std::string name : {"", ".", "..", "a/b", "a b", "a\nb", "라인?", "😀", "\u3164", "a\u200bb"})
    EXPECT_EQ(create({{"name", name}}).status, 400) << name;
  EXPECT_EQ(create({{"name", hundred + "가"}}).status, 400);
  const platform::HttpResponse parts = create({{"name", "\u1100\u1161"}});
  EXPECT_EQ(parts.status, 400);
  EXPECT_NE(parts.body.find("normal form C"), std::string::npos) << parts.body;
}

TEST_F(SourceApiDb, DatasetsAndModelsAreFoundUnderNamesInTheLettersOfThePlant) {
  const std::string name = "공구-마모";
  platform::DatasetStore datasets(database());
  platform::BlobStore blobs(folder_.path() / "blobs");
  platform::ModelStore models(database());
  platform::ModelRegistry registry(models, datasets);
  platform::DatasetVersion dataset;
  dataset.dataset = name;
  dataset.blob = dataset.content_hash = blobs.put("{}\n");
  datasets.add_version(dataset);
  platform::ModelVersion model;
  model.model = name;
  model.base_digest = model.adapter_blob = model.adapter_digest = platform::digest_of("adapter");
  model.gate = json::object{{"passed", true}};
  registry.register_version(model);
  platform::RouteTable routes;
  web::add_dataset_routes(routes, {datasets, blobs});
  web::add_model_routes(routes, {models, registry, audit()});
  serve(std::move(routes));
  auto asking = client(Role::kEngineer);
  const std::string part = platform::percent_encode(name);
  EXPECT_EQ(asking.get("/api/v1/datasets/" + part + "/versions").checked().json().at("items").as_array().size(), 1u);
  EXPECT_EQ(asking.get("/api/v1/models/" + part).checked().json().at("name").as_string(), name);
  const std::string next(asking.get("/api/v1/models?limit=1").checked().json().at("next").as_string());
  EXPECT_EQ(asking.get("/api/v1/models?" + next).checked().json().at("items").as_array().size(), 0u);
}

TEST_F(SourceApiDb, TakesTheTimeBetweenTwoReadingsAsTheScheduleAndRefusesAnythingElse) {
  const std::string path = (folder_.path() / "inbox").string();
  const json::object file{{"name", "line"}, {"connector", "file"}, {"settings", json::object{{"path", path}}}};
  for (const char* schedule : {"0 2 * * *", "fast", "0s", "-5s", "5 m"}) {
    json::object body = file;
    body["schedule"] = schedule;
    const platform::HttpResponse answer = create(body);
    EXPECT_EQ(answer.status, 400) << schedule;
    EXPECT_NE(answer.body.find("30s, 5m or 1h"), std::string::npos) << answer.body;
  }
  json::object body = file;
  body["schedule"] = "5m";
  create(body).checked();
  const web::SourceServices services{*sources_, *records_, *supervisor_, data_, *files_};
  EXPECT_EQ(web::source_config(*sources_->find("default", "line"), services).interval, std::chrono::minutes(5));
}

TEST_F(SourceApiDb, ARunningSourceDoesNotReadALinkToTheServersOwnFilesAndNamesIt) {
  const std::filesystem::path inbox = folder_.path() / "inbox" / "d";
  std::filesystem::create_directories(inbox);
  std::ofstream(data_.token()) << "n,x\n666,anneal_admin\n";
  std::ofstream(inbox / "a.csv") << "n,x\n1,a\n";
  std::filesystem::create_symlink(data_.token(), inbox / "before.csv");
  create({{"name", "line"},
          {"connector", "file"},
          {"settings", json::object{{"path", inbox.string()}, {"settle_seconds", 0}}},
          {"schedule", "1s"}})
      .checked();
  const auto check = asking_->post(address("line") + "/check", "").checked().json();
  EXPECT_NE(std::string(check.at("message").as_string()).find("before.csv"), std::string::npos);
  asking_->post(address("line") + "/start", "").checked();
  std::filesystem::create_symlink(data_.token(), inbox / "b.csv");
  std::ofstream(inbox / "c.csv") << "n,x\n2,c\n";
  std::string told;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while ((records_->count("default", "line") < 2 || told.find("b.csv") == std::string::npos) &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    told = json::serialize(asking_->get(address("line")).checked().json().at("reader"));
  }
  EXPECT_EQ(records_->count("default", "line"), 2);
  EXPECT_NE(told.find("b.csv: a link leads out"), std::string::npos) << told;
  EXPECT_EQ(json::serialize(latest("line")).find("666"), std::string::npos);
}

TEST_F(SourceApiDb, RefusesAPathThatIsNone) {
  for (const std::string& path : {std::string(), std::string("a\0b", 3)}) {
    const auto answer = create({{"name", "line"}, {"connector", "file"}, {"settings", json::object{{"path", path}}}});
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_NE(answer.body.find("settings.path"), std::string::npos) << answer.body;
  }
}

TEST_F(SourceApiDb, SaysInPlainWordsThatANameIsTaken) {
  create({{"name", "mill"}}).checked();
  const auto answer = create({{"name", "mill"}});
  EXPECT_EQ(answer.status, 409);
  EXPECT_NE(answer.body.find("there is a source named mill already; choose another name or delete it"),
            std::string::npos)
      << answer.body;
  EXPECT_EQ(answer.body.find("sources_pkey"), std::string::npos) << answer.body;
}

TEST_F(SourceApiDb, TakesFeedbackOfAgentsOnlyAndLetsNobodyMakeSuchASourceByHand) {
  sources_->create({.name = "feedback-mill", .connector = "rest_push", .kind = platform::SourceKind::kFeedback});
  EXPECT_EQ(asking_->get(address("feedback-mill")).checked().json().at("source").at("kind"), "feedback");
  const auto refused = push("feedback-mill", "[{\"n\": 1}]", "application/json");
  EXPECT_EQ(refused.status, 403) << refused.body;
  EXPECT_NE(refused.body.find("POST /v1/feedback to the agent"), std::string::npos) << refused.body;
  EXPECT_EQ(records_->count("default", "feedback-mill"), 0);
  const auto made = create({{"name", "feedback-line-4"}});
  EXPECT_EQ(made.status, 400) << made.body;
  EXPECT_NE(made.body.find("choose another name"), std::string::npos) << made.body;
}

TEST_F(SourceApiDb, OnlyAnAdminMakesASourceThatCallsOut) {
  auto engineer = client(Role::kEngineer);
  for (const connectors::ConnectorKind& kind : connectors::connector_kinds()) {
    const std::string name = "by-" + std::string(kind.name);
    const std::string body = json::serialize(json::object{
        {"name", name},
        {"connector", kind.name},
        {"settings", kind.calls_out
                         ? json::object{{"url", "http://169.254.169.254"}, {"page", {{"param", "p"}, {"size", 10}}}}
                         : json::object()}});
    const auto answer = engineer.post("/api/v1/sources", body);
    EXPECT_EQ(answer.status == 403, kind.calls_out) << kind.name << answer.body;
    if (!kind.calls_out) continue;
    EXPECT_NE(answer.body.find("ask an admin"), std::string::npos) << answer.body;
    EXPECT_FALSE(sources_->find("default", name));
    EXPECT_EQ(asking_->post("/api/v1/sources", body).status, 201) << kind.name;
    EXPECT_EQ(engineer.post(address(name) + "/stop", "").status, 200) << "what an admin made is the engineers' to run";
  }
}

TEST_F(SourceApiDb, RefusesWhatTheDatabaseCannotHoldInOurWordsAndNamesThePlace) {
  const auto answer = create({{"name", "line"}, {"settings", {{"input", {{"key", std::string("a\0b", 3)}}}}}});
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.json().at("path"), "body.settings.input.key");
  create({{"name", "line"}}).checked();
  for (const std::string& key : {std::string(5000, 'k'), std::string("half a syllable \xED\x95")}) {
    const auto pushed = push("line", "[{\"n\": 1}]", "application/json", {{"Idempotency-Key", key}});
    EXPECT_EQ(pushed.status, 400) << pushed.body;
    EXPECT_EQ(pushed.json().at("path"), "Idempotency-Key");
  }
}

TEST_F(SourceApiDb, LetsOnlyThoseCallOutWhoMayChangeASource) {
  create({{"name", "mill"}}).checked();
  auto viewer = client(Role::kViewer);
  for (const char* verb : {"/check", "/discover"}) {
    EXPECT_EQ(viewer.post(address("mill") + verb, "").status, 403) << verb;
    EXPECT_EQ(asking_->post(address("mill") + verb, "").status, 200) << verb;
  }
}

}  // namespace
