#include "web/api/models.h"

#include "platform/base/digest.h"
#include "tests/web/api_fixture.h"

namespace {

namespace json = platform::json;
using platform::digest_of;
using platform::Role;

const std::string kModel = "/api/v1/models/tool-failure";

class ModelApiDb : public tests::ApiFixture {
 protected:
  void SetUp() override {
    ApiFixture::SetUp();
    models_ = std::make_unique<platform::ModelStore>(database());
    datasets_ = std::make_unique<platform::DatasetStore>(database());
    registry_ = std::make_unique<platform::ModelRegistry>(*models_, *datasets_);
    platform::RouteTable routes;
    web::add_model_routes(routes, {*models_, *registry_, audit()});
    serve(std::move(routes));
  }
  void register_version(const std::string& run, std::optional<bool> passed) {
    platform::ModelVersion version;
    version.model = "tool-failure";
    version.base = "anneal-nano";
    version.base_digest = digest_of("base");
    version.adapter_blob = digest_of("blob" + run);
    version.adapter_digest = digest_of("adapter" + run);
    version.run = run;
    version.step = "model";
    version.evaluation = {{"macro_f1", 0.91}};
    if (passed) version.gate = json::object{{"passed", *passed}, {"metric", "macro_f1"}};
    registry_->register_version(version);
  }
  static std::string move(const json::value& version, const std::string& reason = "better on the held-out parts") {
    return json::serialize(json::object{{"version", version}, {"reason", reason}});
  }

  std::unique_ptr<platform::ModelStore> models_;
  std::unique_ptr<platform::DatasetStore> datasets_;
  std::unique_ptr<platform::ModelRegistry> registry_;
};

TEST_F(ModelApiDb, ShowsModelsVersionsAndLineage) {
  register_version("a", true);
  register_version("b", std::nullopt);
  auto asking = client(Role::kViewer);
  const auto models = asking.get("/api/v1/models").checked().json().at("items").as_array();
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].at("versions"), json::value(2));
  EXPECT_EQ(asking.get("/api/v1/models?limit=1").checked().json().at("next"), "after=tool-failure");
  EXPECT_EQ(asking.get(kModel).checked().json().at("name"), "tool-failure");
  const auto page = asking.get(kModel + "/versions?limit=1").checked().json();
  EXPECT_EQ(page.at("items").at(0).at("version"), json::value(2));
  EXPECT_TRUE(page.at("items").at(0).at("gate_passed").is_null());
  EXPECT_EQ(page.at("next"), "before=2");
  const auto rest = asking.get(kModel + "/versions?before=2").checked().json();
  EXPECT_EQ(rest.at("items").as_array().size(), 1u);
  EXPECT_FALSE(rest.as_object().contains("next"));
  const auto version = asking.get(kModel + "/versions/1").checked().json();
  EXPECT_EQ(version.at("adapter_digest").as_string(), digest_of("adaptera"));
  EXPECT_EQ(version.at("evaluation").at("macro_f1"), json::value(0.91));
  EXPECT_EQ(version.at("gate").at("passed"), json::value(true));
  const auto lineage = asking.get(kModel + "/versions/1/lineage").checked().json();
  EXPECT_EQ(lineage.at("run").at("id"), "a");
  EXPECT_EQ(lineage.at("base").at("name"), "anneal-nano");
  for (const std::string path : {"/api/v1/models/nobody", "/api/v1/models/nobody/versions"})
    EXPECT_EQ(asking.get(path).status, 404) << path;
  for (const std::string path : {"/versions/9", "/versions/99999999999", "/versions/production", "/aliases/production"})
    EXPECT_EQ(asking.get(kModel + path).status, 404) << path;
}

TEST_F(ModelApiDb, ProductionMovesOnlyBehindAPassedGateAndSaysWhatToDo) {
  register_version("a", std::nullopt);
  register_version("b", false);
  register_version("c", true);
  auto engineer = client(Role::kEngineer);
  for (const int number : {1, 2}) {
    const auto refused = engineer.put(kModel + "/aliases/production", move(number));
    EXPECT_EQ(refused.status, 409);
    EXPECT_EQ(refused.json().at("code"), "conflict");
    EXPECT_NE(std::string(refused.json().at("detail").as_string()).find("model.gate"), std::string::npos)
        << refused.body;
  }
  EXPECT_EQ(engineer.get(kModel + "/aliases/production").status, 404) << "nothing moved";
  EXPECT_EQ(engineer.put(kModel + "/aliases/production", move(3)).checked().json().at("version"), json::value(3));
  EXPECT_EQ(engineer.get(kModel + "/versions/production").checked().json().at("version"), json::value(3));
  EXPECT_EQ(engineer.get(kModel + "/versions/3").checked().json().at("aliases"), json::value({"production"}));
}

TEST_F(ModelApiDb, AMoveNeedsAReasonAVersionAndTheRight) {
  register_version("a", true);
  auto engineer = client(Role::kEngineer);
  const std::string alias = kModel + "/aliases/production";
  EXPECT_EQ(engineer.put(alias, R"({"version":1})").status, 400);
  EXPECT_EQ(engineer.put(alias, move(1, "")).status, 400);
  EXPECT_EQ(engineer.put(alias, R"({"reason":"x"})").status, 400);
  EXPECT_EQ(engineer.put(alias, R"({"version":1,"reason":"x","force":true})").status, 400);
  EXPECT_EQ(engineer.put(alias, move(7)).status, 404);
  EXPECT_EQ(engineer.put(kModel + "/aliases/12", move(1)).status, 400);
  auto viewer = client(Role::kViewer);
  EXPECT_EQ(viewer.put(alias, move(1)).status, 403);
  EXPECT_EQ(viewer.post(alias + "/rollback", R"({"reason":"x"})").status, 403);
  EXPECT_EQ(client_with("").get("/api/v1/models").status, 401);
}

TEST_F(ModelApiDb, TellsWhatWasLiveWhenWhoMovedItAndRollsBack) {
  for (const char* run : {"a", "b"}) register_version(run, true);
  auto engineer = client(Role::kEngineer);
  const std::string alias = kModel + "/aliases/production";
  engineer.put(kModel + "/aliases/candidate", move(1)).checked();
  engineer.put(alias, move("candidate")).checked();
  engineer.put(alias, move(2)).checked();
  engineer.put(alias, move(2)).checked();  // stands there already: no move
  const auto history = engineer.get(kModel + "/history?alias=production").checked().json().at("items").as_array();
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[1].at("actor"), "engineer");
  EXPECT_EQ(history[1].at("previous"), json::value(1));
  const std::string first(history[0].at("moved_at").as_string());
  EXPECT_EQ(engineer.get(alias + "?at=" + first).checked().json().at("version"), json::value(1));
  EXPECT_EQ(engineer.get(kModel + "/aliases?at=" + first).checked().json().at("aliases"),
            json::value({{"candidate", 1}, {"production", 1}}));
  EXPECT_EQ(engineer.get(alias + "?at=2020-01-01T00:00:00Z").status, 404);
  EXPECT_EQ(engineer.get(alias + "?at=yesterday").status, 400);
  EXPECT_EQ(engineer.post(alias + "/rollback", R"({"reason":"scrap rate rose"})").checked().json().at("version"),
            json::value(1));
  EXPECT_EQ(engineer.post(alias + "/rollback", R"({"reason":"again"})").status, 409);
  const auto log = audit().list("default");
  EXPECT_EQ(log.at(0).action, "alias.roll_back");
  EXPECT_EQ(log.at(0).subject, "model/tool-failure");
  EXPECT_EQ(log.at(0).details.at("reason"), "scrap rate rose");
  EXPECT_EQ(log.at(1).action, "alias.set");
  EXPECT_EQ(log.at(1).details.at("version"), json::value(2));
  EXPECT_EQ(log.at(3).details.at("alias"), "candidate") << "a move that moved nothing is not noted";
}

}  // namespace
