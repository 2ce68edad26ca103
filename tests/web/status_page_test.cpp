// The status page in a real browser: a person types the token and sees sources, runs with their loss, models and
// agents.
#include "platform/base/digest.h"
#include "platform/engine/run_control.h"
#include "platform/engine/worker.h"
#include "platform/registry/model_registry.h"
#include "platform/store/database.h"
#include "platform/store/dataset_store.h"
#include "platform/store/model_store.h"
#include "platform/store/private_cluster.h"
#include "tests/support/plant.h"
#include "tests/web/browser.h"

#include <gtest/gtest.h>

namespace tests {
namespace {

/// Draws a falling loss.
class CurveStep final : public platform::Step {
 public:
  platform::StepOutcome execute(platform::StepContext& context) override {
    for (int i = 1; i <= 40; ++i) context.report_metric("loss", 10 * i, 0.3 + 1.0 / i);
    return {platform::StepOutcome::Kind::kFailed,
            {},
            "macro_f1 is 0.4100, asked for at least 0.6000 <b>and</b> it was not better than the model in production, "
            "by a paired bootstrap of 2,000 resamples"};
  }
};

/// Asks for approval, as the step of that kind does.
class AskingStep final : public platform::Step {
 public:
  platform::StepOutcome execute(platform::StepContext&) override {
    return {platform::StepOutcome::Kind::kAsksApproval, {{"role", "approver"}}, ""};
  }
};

class StatusPageBrowser : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!Browser::program()) return;
    folder_ = std::make_unique<platform::TemporaryFolder>();
    std::filesystem::permissions(folder_->path(),
                                 std::filesystem::perms(0755));  // the database belongs to another user
    server_ = std::make_unique<ServerProcess>(folder_->path() / "server", std::vector<std::string>{"--no-worker"});
    server_->start();
    server_->client().post("/api/v1/sources",
                           json::object{{"name", "line-3"}, {"connector", "rest_push"}, {"settings", json::object()}});
    platform::Database database({.connection = platform::private_connection_string(server_->data())});
    platform::RunStore runs(database);
    for (int i = 0; i < 9; ++i) start(runs, "waits-for-a-person", "approval");
    ask_for_approval(runs);
    for (const char* workflow : {"tool-failure", "robot-navigation"}) draw_a_curve(runs, workflow);
    register_versions(database);
  }
  static void TearDownTestSuite() {
    server_.reset();
    folder_.reset();
  }
  void SetUp() override {
    if (!Browser::program()) GTEST_SKIP() << "no chromium on this machine";
  }

  static void start(platform::RunStore& runs, const std::string& workflow, const std::string& kind) {
    platform::Run run;
    run.id = platform::RunId::make();
    run.workflow = workflow;
    run.started_by = "admin";
    platform::RunStep step;
    step.definition.name = "tune";
    step.definition.kind = kind;
    run.steps.push_back(step);
    platform::start_run(runs, run);
  }
  static void ask_for_approval(platform::RunStore& runs) {
    platform::WorkerOptions options;
    options.kinds = {"approval"};
    const auto make = [](const std::string&) { return std::make_unique<AskingStep>(); };
    ASSERT_TRUE(platform::Worker(runs, make, {folder_->path() / "work"}, options, platform::Log::silent()).run_one());
  }
  static void draw_a_curve(platform::RunStore& runs, const std::string& workflow) {
    start(runs, workflow, "finetune.lora");
    platform::WorkerOptions options;
    options.kinds = {"finetune.lora"};
    const auto make = [](const std::string&) { return std::make_unique<CurveStep>(); };
    ASSERT_TRUE(platform::Worker(runs, make, {folder_->path() / "work"}, options, platform::Log::silent()).run_one());
  }
  static void register_versions(platform::Database& database) {
    platform::ModelStore models(database);
    platform::DatasetStore datasets(database);
    platform::ModelRegistry registry(models, datasets);
    for (const std::optional<bool>& passed : {std::optional<bool>(), std::optional(false), std::optional(true)}) {
      platform::ModelVersion version;
      version.model = "tool-failure";
      version.base = "anneal-nano";
      version.base_digest = platform::digest_of("base");
      version.run = "run-" + std::to_string(models.versions("default", "tool-failure").size());
      version.step = "model";
      version.adapter_blob = platform::digest_of("blob of " + version.run);
      version.adapter_digest = platform::digest_of("adapter of " + version.run);
      if (passed) version.gate = json::object{{"passed", *passed}};
      registry.register_version(version);
    }
  }

  static void sign_in(Browser& browser, const std::string& token) {
    browser.open(server_->address() + "/");
    ASSERT_TRUE(browser.becomes("!!document.getElementById('ask') && !document.getElementById('ask').hidden"));
    browser.evaluate("document.getElementById('token').focus()");
    browser.type_and_enter(token);
  }
  static std::string headings(Browser& browser) {
    return browser.text("[...document.querySelectorAll('h2')].map(h => h.textContent).join('|')");
  }
  static std::string page(Browser& browser) { return browser.text("document.getElementById('main').innerText"); }

  static std::unique_ptr<platform::TemporaryFolder> folder_;
  static std::unique_ptr<ServerProcess> server_;
};
std::unique_ptr<platform::TemporaryFolder> StatusPageBrowser::folder_;
std::unique_ptr<ServerProcess> StatusPageBrowser::server_;

TEST_F(StatusPageBrowser, ListsSourcesRunsAndTheLossInTheLanguageOfThePerson) {
  Browser browser("en-US");
  sign_in(browser, server_->token());
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('section').length === 5")) << page(browser);
  EXPECT_EQ(headings(browser), "Runs|Model versions|Models|Sources|Agents");
  for (const char* shown : {"line-3", "rest_push", "robot-navigation", "failed",
                            "robot-navigation, tune – Loss 1.3000 → 0.3250 (400)", "<b>and</b>", "Nothing here yet."}) {
    EXPECT_NE(page(browser).find(shown), std::string::npos) << shown << " in " << page(browser);
  }
  EXPECT_EQ(browser.evaluate("document.querySelector('#runs > svg polyline').points.numberOfItems"), json::value(40));
  EXPECT_EQ(
      browser.evaluate("[...document.querySelector('#runs > svg polyline').points].every((p, i, all) => !i || (p.x > "
                       "all[i-1].x && p.y > all[i-1].y))"),
      json::value(true))
      << "a falling loss falls";
  browser.evaluate("document.getElementById('language').click()");
  EXPECT_TRUE(browser.becomes("document.querySelector('h2').textContent === '실행'"));
  EXPECT_EQ(browser.evaluate("localStorage.getItem('language')"), "ko") << "it stays chosen";
  EXPECT_TRUE(browser.exceptions().empty()) << browser.exceptions().front();
}

TEST_F(StatusPageBrowser, ListsModelVersionsWithTheirGateDigestAndTime) {
  Browser browser("en-US");
  sign_in(browser, server_->token());
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('#versions tbody tr').length === 3")) << page(browser);
  const std::string cells = browser.text(
      "[...document.querySelectorAll('#versions tr')].map(r => [...r.cells].slice(0, 4).map(c => "
      "c.textContent).join(' ')).join('|')");
  const auto digest = [](const std::string& run) { return platform::digest_of("adapter of " + run).substr(0, 19); };
  EXPECT_EQ(cells, "model version gate adapter|tool-failure 3 passed " + digest("run-2") + "|tool-failure 2 failed " +
                       digest("run-1") + "|tool-failure 1 no gate " + digest("run-0"));
  EXPECT_EQ(browser.evaluate("[...document.querySelectorAll('#versions tbody tr')].every(r => "
                             "/\\d:\\d/.test(r.cells[4].textContent))"),
            json::value(true));
}

TEST_F(StatusPageBrowser, ShowsTheLossOfEveryRunAndDrawsTheOneThatIsAskedForLarge) {
  Browser browser("en-US");
  sign_in(browser, server_->token());
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('#runs .spark svg').length === 2")) << page(browser);
  const char* drawn = "document.querySelector('#runs > p:last-of-type').textContent.split(',')[0]";
  EXPECT_EQ(browser.text(drawn), "robot-navigation");
  browser.evaluate("document.querySelectorAll('#runs .spark')[1].click()");
  EXPECT_TRUE(browser.becomes(std::string(drawn) + " === 'tool-failure'")) << page(browser);
}

TEST_F(StatusPageBrowser, SaysThatThereIsMoreAndShowsIt) {
  Browser browser("en-US");
  sign_in(browser, server_->token());
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('#runs tbody tr').length === 10")) << page(browser);
  EXPECT_NE(page(browser).find("There are more than these"), std::string::npos) << page(browser);
  browser.evaluate("document.querySelector('#runs .note button').click()");
  EXPECT_TRUE(browser.becomes("document.querySelectorAll('#runs tbody tr').length === 11")) << page(browser);
  EXPECT_EQ(page(browser).find("There are more than these"), std::string::npos) << page(browser);
}

TEST_F(StatusPageBrowser, ARunThatWaitsSaysForWhatInBothLanguages) {
  Browser browser("en-US");
  sign_in(browser, server_->token());
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('#runs tbody tr').length >= 10")) << page(browser);
  browser.evaluate("document.querySelector('#runs .note button')?.click()");  // the oldest one asks
  EXPECT_TRUE(
      browser.becomes("document.querySelector('#runs td.waits')?.textContent === "
                      "'waits for approval (tune, approver)'"))
      << page(browser);
  EXPECT_NE(page(browser).find("running"), std::string::npos) << "the others do not wait";
  browser.evaluate("document.getElementById('language').click()");
  EXPECT_TRUE(
      browser.becomes("document.querySelector('#runs td.waits')?.textContent === "
                      "'승인 대기 중 (tune, approver)'"))
      << page(browser);
  EXPECT_TRUE(browser.exceptions().empty()) << browser.exceptions().front();
}

TEST_F(StatusPageBrowser, WhatATokenBroughtDoesNotComeBackAfterItWasForgotten) {
  Browser browser("en-US");
  sign_in(browser, server_->token());
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('section').length === 5"));
  browser.evaluate(
      "window.answers = 0; window.real = window.fetch; window.fetch = (...asked) => real(...asked).then(answer => new "
      "Promise(done => setTimeout(() => { ++answers; done(answer) }, asked[0] === '/readyz' ? 0 : 700)))");
  browser.evaluate("document.getElementById('language').click()");
  ASSERT_TRUE(browser.becomes("document.documentElement.lang === 'ko'"));
  ASSERT_TRUE(browser.becomes("answers >= 1")) << "after /readyz the sections are asked for";
  browser.evaluate("document.getElementById('leave').click()");
  EXPECT_EQ(browser.text("document.getElementById('main').innerText"), "");
  ASSERT_TRUE(browser.becomes("answers >= 6")) << "the answers to the forgotten token have come";
  EXPECT_FALSE(browser.becomes("document.querySelectorAll('section').length > 0", std::chrono::seconds(2)));
  EXPECT_EQ(browser.evaluate("document.getElementById('ask').hidden"), json::value(false));
  EXPECT_TRUE(browser.exceptions().empty()) << browser.exceptions().front();
}

TEST_F(StatusPageBrowser, SpeaksKoreanToAKoreanBrowserAndFitsItsWindow) {
  Browser browser("ko-KR");
  sign_in(browser, server_->token());
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('section').length === 5")) << page(browser);
  EXPECT_EQ(headings(browser), "실행|모델 버전|모델|데이터 소스|에이전트");
  EXPECT_EQ(browser.text("document.documentElement.lang"), "ko");
  EXPECT_NE(page(browser).find("손실 1.3000 → 0.3250 (400)"), std::string::npos) << page(browser);
  EXPECT_NE(page(browser).find("실패"), std::string::npos) << page(browser);
  for (const char* width : {"1280", "760", "390"}) {
    browser.call("Emulation.setDeviceMetricsOverride",
                 {{"width", std::atoi(width)}, {"height", 900}, {"deviceScaleFactor", 1}, {"mobile", false}});
    EXPECT_TRUE(browser.becomes("document.documentElement.scrollWidth <= document.documentElement.clientWidth",
                                std::chrono::seconds(5)))
        << "the page is wider than a window of " << width;
    EXPECT_TRUE(browser.becomes("[...document.querySelectorAll('section')].every(s => s.scrollWidth <= s.clientWidth)",
                                std::chrono::seconds(5)))
        << "a card is wider than itself at " << width;
  }
}

TEST_F(StatusPageBrowser, TheTokenLeavesTheTabInTheAuthorizationHeaderOnly) {
  Browser browser("en-US");
  const std::string token = server_->token();
  sign_in(browser, token);
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('section').length === 5"));
  int with_token = 0;
  for (json::object request : browser.requests()) {
    const std::string url(request.at("url").as_string());
    EXPECT_TRUE(url.empty() || url == "about:blank" || url.rfind(server_->address() + "/", 0) == 0)
        << "the page asks elsewhere: " << url;
    json::object& headers = request.at("headers").as_object();
    const json::value* sent = headers.if_contains("Authorization");
    if (sent != nullptr) {
      EXPECT_EQ(*sent, json::value("Bearer " + token));
      ++with_token;
    }
    headers.erase("Authorization");
    EXPECT_EQ(json::serialize(request).find(token), std::string::npos) << json::serialize(request);
  }
  EXPECT_GE(with_token, 4);
  EXPECT_EQ(browser.evaluate("sessionStorage.getItem('token')"), json::value(token))
      << "known to this tab, until it is closed";
  EXPECT_EQ(
      browser
          .text("JSON.stringify(localStorage) + document.cookie + document.documentElement.outerHTML + location.href")
          .find(token),
      std::string::npos);
  EXPECT_EQ(browser.text("document.getElementById('token').value"), "");
  browser.evaluate("document.getElementById('leave').click()");
  EXPECT_TRUE(
      browser.becomes("sessionStorage.getItem('token') === null && document.querySelectorAll('section').length === 0"));
}

TEST_F(StatusPageBrowser, ARefusedTokenIsAskedForAgain) {
  Browser browser("en-US");
  sign_in(browser, "anneal_wrong");
  EXPECT_TRUE(
      browser.becomes("document.getElementById('state').textContent === 'The token was refused.' && "
                      "!document.getElementById('ask').hidden"));
  EXPECT_EQ(browser.text("JSON.stringify(sessionStorage)"), "{}");
}

}  // namespace
}  // namespace tests
