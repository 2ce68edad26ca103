#include "web/api/workflows.h"

#include <algorithm>

#include "tests/web/api_fixture.h"
#include "workflows/definitions.h"
#include "workflows/steps.h"

namespace {

namespace json = platform::json;
using platform::Role;

const std::string kAll = "/api/v1/workflows";

std::string flow(const std::string& name, const std::string& description) {
  return "name: " + name + "\ndescription: " + description +
         "\ninputs:\n  rows: {type: integer, default: 3, minimum: 1, maximum: 9}\nsteps:\n  ok: {uses: approval, with: "
         "{role: engineer}}\n";
}

class WorkflowApiDb : public tests::ApiFixture {
 protected:
  void SetUp() override {
    ApiFixture::SetUp();
    runs_ = std::make_unique<platform::RunStore>(database());
    platform::RouteTable routes;
    web::add_workflow_routes(routes, {*runs_});
    serve(std::move(routes));
    engineer_ = std::make_unique<platform::HttpClient>(client(Role::kEngineer));
  }
  void TearDown() override {
    engineer_.reset();  // a stopping server waits for open connections
    ApiFixture::TearDown();
  }
  json::object listed(const std::string& name) {
    const json::value answer = engineer_->get(kAll).checked().json();
    for (const json::value& item : answer.at("items").as_array()) {
      if (item.at("name") == json::value(name)) return item.as_object();
    }
    return {};
  }
  json::value shown(const std::string& name) { return engineer_->get(kAll + "/" + name).checked().json(); }
  platform::SavedWorkflow text_of_run(const std::string& name, const std::string& text, const std::string& by) {
    return {"default", name, workflows::workflow_from_text(text, name, workflows::step_kinds()).content_hash,
            text,      by,   {}};
  }

  std::unique_ptr<platform::RunStore> runs_;
  std::unique_ptr<platform::HttpClient> engineer_;
};

TEST_F(WorkflowApiDb, ListsTheReadyOnesAndShowsTheirTextInputsAndSteps) {
  const json::value answer = engineer_->get(kAll).checked().json();
  EXPECT_EQ(answer.at("items").as_array().size(), workflows::shipped_definition_names().size());
  for (const json::value& item : answer.at("items").as_array()) {
    EXPECT_EQ(item.at("ready"), json::value(true));
    EXPECT_EQ(item.at("valid"), json::value(true)) << json::serialize(item);
    EXPECT_TRUE(item.at("saved_at").is_null());
  }
  const json::value one = shown("adapt-table");
  EXPECT_EQ(one.at("text"), json::value(*workflows::shipped_definition("adapt-table")));
  EXPECT_EQ(one.at("inputs").at(0).at("name"), "source");
  EXPECT_EQ(one.at("inputs").at(0).at("required"), json::value(true));
  EXPECT_EQ(one.at("inputs").at(2).at("default"), "my-table");
  EXPECT_EQ(one.at("order").at(0), "data");
  EXPECT_EQ(one.at("steps").at(0).at("uses"), "dataset.snapshot");
  EXPECT_EQ(engineer_->get(kAll + "/adapt-tabel").status, 404);
}

TEST_F(WorkflowApiDb, OfTheTextsUnderOneNameTheOneSavedLastCounts) {
  const auto saved = engineer_->post(kAll, flow("line-3", "our own"), "application/yaml").checked();
  EXPECT_EQ(saved.status, 201);
  EXPECT_EQ(saved.json().at("saved_by"), "engineer");
  EXPECT_TRUE(saved.json().at("saved_at").is_string());
  EXPECT_EQ(listed("line-3").at("description"), "our own");
  EXPECT_EQ(listed("line-3").at("ready"), json::value(false));
  const json::value one = shown("line-3");
  EXPECT_EQ(one.at("text"), json::value(flow("line-3", "our own")));
  EXPECT_EQ(one.at("inputs").at(0).at("maximum"), json::value(9.0));
  engineer_->post(kAll, json::serialize(json::object{{"text", flow("line-3", "better")}})).checked();
  EXPECT_EQ(listed("line-3").at("description"), "better");
  engineer_->post(kAll, flow("line-3", "our own"), "application/yaml").checked();
  EXPECT_EQ(listed("line-3").at("description"), "our own") << "also when it is an older text saved again";
}

TEST_F(WorkflowApiDb, NobodySavesOverOrDeletesAWorkflowThatComesWithTheProgram) {
  const auto refused = engineer_->post(kAll, flow("adapt-table", "our own"), "application/yaml");
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.json().at("code"), "conflict");
  EXPECT_EQ(refused.json().at("path"), "name");
  EXPECT_NE(refused.body.find("give yours another `name:`"), std::string::npos) << refused.body;
  // Saved before the program brought a workflow of this name.
  runs_->save_workflow(text_of_run("adapt-table", flow("adapt-table", "older than the program's"), "lee"));
  for (const json::value& ready : {json::value(listed("adapt-table")), shown("adapt-table")}) {
    EXPECT_EQ(ready.at("ready"), json::value(true));
    EXPECT_EQ(ready.at("saved_by"), "anneal");
  }
  const auto kept = engineer_->remove(kAll + "/adapt-table");
  EXPECT_EQ(kept.status, 409);
  EXPECT_NE(kept.body.find("comes with the program"), std::string::npos) << kept.body;
  EXPECT_EQ(engineer_->get(kAll + "/adapt-table").status, 200);
}

TEST_F(WorkflowApiDb, ADeletedWorkflowIsGoneButTheTextsOfItsRunsAreShownByTheirHash) {
  const std::string text = flow("line-3", "our own");
  const std::string hash(
      engineer_->post(kAll, text, "application/yaml").checked().json().at("content_hash").as_string());
  engineer_->post(kAll, flow("line-3", "better"), "application/yaml").checked();
  EXPECT_EQ(client(Role::kViewer).remove(kAll + "/line-3").status, 403);
  EXPECT_EQ(engineer_->remove(kAll + "/line-3").status, 204);
  EXPECT_TRUE(listed("line-3").empty());
  EXPECT_EQ(engineer_->get(kAll + "/line-3").status, 404);
  EXPECT_EQ(engineer_->remove(kAll + "/line-3").status, 404);
  EXPECT_EQ(engineer_->get(kAll + "/line-3?content_hash=" + hash).checked().json().at("text"), json::value(text));
  web::keep_text_of_run(*runs_, text_of_run("line-3", text, "engineer"));
  EXPECT_EQ(shown("line-3").at("description"), "our own") << "the name was free again";
}

TEST_F(WorkflowApiDb, ATextThatARunKeptHidesNeitherTheReadyOneNorTheOneThatWasSaved) {
  const std::string trial = flow("adapt-table", "a trial");
  web::keep_text_of_run(*runs_, text_of_run("adapt-table", trial, "engineer"));
  EXPECT_EQ(listed("adapt-table").at("ready"), json::value(true));
  EXPECT_EQ(shown("adapt-table").at("saved_by"), "anneal");
  engineer_->post(kAll, flow("line-3", "our own"), "application/yaml").checked();
  web::keep_text_of_run(*runs_, text_of_run("line-3", flow("line-3", "another trial"), "engineer"));
  EXPECT_EQ(shown("line-3").at("description"), "our own");
  const std::string hash = text_of_run("adapt-table", trial, "").content_hash;
  EXPECT_EQ(engineer_->get(kAll + "/adapt-table?content_hash=" + hash).checked().json().at("text"), json::value(trial))
      << "the run's text can still be shown";
  web::keep_text_of_run(*runs_, text_of_run("new-one", flow("new-one", "first"), "engineer"));
  EXPECT_EQ(shown("new-one").at("description"), "first") << "a name that was free";
}

TEST_F(WorkflowApiDb, EveryMistakeIsNamedWithLineAndColumnAndNothingIsKept) {
  const std::string broken =
      "name: x\nsteps:\n  a: {uses: dataset.snapshot, wiht: {}}\n  b: {uses: model.gatee, needs: [c]}\n";
  const json::value verdict = engineer_->post(kAll + "/validate", broken, "application/yaml").checked().json();
  EXPECT_EQ(verdict.at("valid"), json::value(false));
  const json::array& mistakes = verdict.at("mistakes").as_array();
  ASSERT_GE(mistakes.size(), 3u) << json::serialize(verdict);
  const auto misspelt = std::find_if(mistakes.begin(), mistakes.end(), [](const json::value& mistake) {
    return mistake.at("line") == json::value(3) && mistake.at("column") == json::value(31);
  });
  ASSERT_NE(misspelt, mistakes.end()) << json::serialize(verdict);
  EXPECT_NE(std::string(misspelt->at("message").as_string()).find("did you mean 'with'?"), std::string::npos)
      << json::serialize(verdict);
  const auto refused = engineer_->post(kAll, broken, "application/yaml");
  EXPECT_EQ(refused.status, 400);
  for (const char* place : {"3:31", "4:13"})
    EXPECT_NE(refused.body.find(place), std::string::npos) << place << " in " << refused.body;
  EXPECT_EQ(engineer_->get(kAll + "/x").status, 404);
  const json::value whole =
      engineer_->post(kAll + "/validate", json::serialize(json::object{{"text", flow("x", "y")}})).checked().json();
  EXPECT_EQ(whole.at("valid"), json::value(true));
  EXPECT_EQ(whole.at("workflow").at("name"), "x");
  EXPECT_EQ(engineer_->get(kAll + "/x").status, 404) << "validate keeps nothing";
}

TEST_F(WorkflowApiDb, ATextOfAnOlderProgramThatIsNoLongerTakenIsListedWithItsMistakes) {
  runs_->save_workflow({"default", "old", "sha256:1", "name: old\nsteps:\n  a: {uses: forgotten}\n", "lee", {}});
  EXPECT_EQ(listed("old").at("valid"), json::value(false));
  EXPECT_EQ(shown("old").at("mistakes").at(0).at("line"), json::value(3));
}

TEST_F(WorkflowApiDb, AViewerReadsAndValidatesButSavesNothing) {
  auto viewer = client(Role::kViewer);
  EXPECT_EQ(viewer.get(kAll).status, 200);
  EXPECT_EQ(viewer.post(kAll + "/validate", flow("x", "y"), "application/yaml").status, 200);
  EXPECT_EQ(viewer.post(kAll, flow("x", "y"), "application/yaml").status, 403);
  EXPECT_EQ(engineer_->post(kAll, R"({"txt":"name: x"})").status, 400);
  EXPECT_EQ(client_with("").get(kAll).status, 401);
}

}  // namespace
