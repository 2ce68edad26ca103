// The status page in a real browser: a person types the token and sees sources, runs with their loss, models and
// agents.
#include "platform/engine/run_control.h"
#include "platform/engine/worker.h"
#include "platform/store/database.h"
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

class StatusPageEndToEnd : public testing::Test {
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
    draw_a_curve();
  }
  static void TearDownTestSuite() {
    server_.reset();
    folder_.reset();
  }
  void SetUp() override {
    if (!Browser::program()) GTEST_SKIP() << "no chromium on this machine";
  }

  static void draw_a_curve() {
    platform::Database database({.connection = platform::private_connection_string(server_->data())});
    platform::RunStore runs(database);
    platform::Run run;
    run.id = platform::RunId::make();
    run.workflow = "robot-navigation";
    run.started_by = "admin";
    platform::RunStep step;
    step.definition.name = "tune";
    step.definition.kind = "finetune.lora";
    run.steps.push_back(step);
    platform::start_run(runs, run);
    platform::WorkerOptions options;
    options.kinds = {"finetune.lora"};
    const auto make = [](const std::string&) { return std::make_unique<CurveStep>(); };
    ASSERT_TRUE(platform::Worker(runs, make, {folder_->path() / "work"}, options, platform::Log::silent()).run_one());
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
std::unique_ptr<platform::TemporaryFolder> StatusPageEndToEnd::folder_;
std::unique_ptr<ServerProcess> StatusPageEndToEnd::server_;

TEST_F(StatusPageEndToEnd, ListsSourcesRunsAndTheLossInTheLanguageOfThePerson) {
  Browser browser("en-US");
  sign_in(browser, server_->token());
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('section').length === 4")) << page(browser);
  EXPECT_EQ(headings(browser), "Sources|Runs|Models|Agents");
  for (const char* shown : {"line-3", "rest_push", "robot-navigation", "failed",
                            "robot-navigation, tune – Loss 1.3000 → 0.3250 (400)", "<b>and</b>", "Nothing here yet."}) {
    EXPECT_NE(page(browser).find(shown), std::string::npos) << shown << " in " << page(browser);
  }
  EXPECT_EQ(browser.evaluate("document.querySelector('svg polyline').points.numberOfItems"), json::value(40));
  EXPECT_EQ(browser.evaluate("[...document.querySelector('svg polyline').points].every((p, i, all) => !i || (p.x > "
                             "all[i-1].x && p.y > all[i-1].y))"),
            json::value(true))
      << "a falling loss falls";
  browser.evaluate("document.getElementById('language').click()");
  EXPECT_TRUE(browser.becomes("document.querySelector('h2').textContent === '데이터 소스'"));
  EXPECT_EQ(browser.evaluate("localStorage.getItem('language')"), "ko") << "it stays chosen";
  EXPECT_TRUE(browser.exceptions().empty()) << browser.exceptions().front();
}

TEST_F(StatusPageEndToEnd, SpeaksKoreanToAKoreanBrowserAndFitsItsWindow) {
  Browser browser("ko-KR");
  sign_in(browser, server_->token());
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('section').length === 4")) << page(browser);
  EXPECT_EQ(headings(browser), "데이터 소스|실행|모델|에이전트");
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

TEST_F(StatusPageEndToEnd, TheTokenLeavesTheTabInTheAuthorizationHeaderOnly) {
  Browser browser("en-US");
  const std::string token = server_->token();
  sign_in(browser, token);
  ASSERT_TRUE(browser.becomes("document.querySelectorAll('section').length === 4"));
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

TEST_F(StatusPageEndToEnd, ARefusedTokenIsAskedForAgain) {
  Browser browser("en-US");
  sign_in(browser, "anneal_wrong");
  EXPECT_TRUE(
      browser.becomes("document.getElementById('state').textContent === 'The token was refused.' && "
                      "!document.getElementById('ask').hidden"));
  EXPECT_EQ(browser.text("JSON.stringify(sessionStorage)"), "{}");
}

}  // namespace
}  // namespace tests
