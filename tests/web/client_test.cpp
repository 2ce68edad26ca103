#include <gtest/gtest.h>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/base/process.h"
#include "web/client/client_command.h"
#include "web/client/commands.h"
#include "web/client/portions.h"
#include "web/client/progress_bar.h"
#include "web/client/run_view.h"
#include "web/client/settings.h"
#include "web/client/table.h"

namespace web {
namespace {

namespace json = platform::json;
using namespace std::chrono_literals;

TEST(ClientTable, LinesUpAlsoForKorean) {
  Table table({"NAME", "ROWS", "STATE"});
  table.right(1);
  table.add({"3호 라인", "12", "running"});
  table.add({"line-4", "1,234", ""});
  table.add({"two\nlines", "", "x"});
  EXPECT_EQ(table.text(false),
            "NAME        ROWS  STATE\n3호 라인      12  running\nline-4     1,234\ntwo lines         x\n");
  EXPECT_EQ(display_width("3호 라인"), 8u);
  EXPECT_EQ(display_width("é–"), 2u);
}

TEST(ClientTable, ColoursStatesOnATerminalOnly) {
  Table table({"STATE"});
  table.states(0);
  table.add({"failed"});
  EXPECT_EQ(table.text(false).find('\033'), std::string::npos);
  EXPECT_NE(table.text(true).find("\033[31mfailed"), std::string::npos);
}

TEST(ClientTable, NumbersAndTimesAreShort) {
  EXPECT_EQ(short_number(0.92314), "0.9231");
  EXPECT_EQ(short_number(17.0), "17");
  EXPECT_EQ(short_number(1234567), "1234567");
  EXPECT_EQ(short_number(-3.5), "-3.5");
  EXPECT_EQ(short_number(std::nan("")), "nan");
  EXPECT_EQ(with_separators(1234567), "1,234,567");
  EXPECT_EQ(with_separators(-1234), "-1,234");
  EXPECT_EQ(with_separators(999), "999");
  EXPECT_EQ(length_of_time(4s), "4 s");
  EXPECT_EQ(length_of_time(11100s), "3 h 5 min");
  EXPECT_EQ(length_of_time(86400s), "1 day");
  EXPECT_EQ(age("2026-11-24T04:00:00Z", platform::parse_time("2026-11-24T04:12:30Z")), "12 min ago");
  EXPECT_EQ(short_time("2026-11-24T04:40:19.123Z"), "2026-11-24 04:40:19");
  EXPECT_EQ(short_digest("sha256:1f2e3d4c5b6a7988"), "sha256:1f2e3d4c5b6a");
  EXPECT_EQ(cell(json::object{{"a", json::array{1, "b"}}}, "a"), "1, b");
  EXPECT_EQ(cell(json::object{{"a", json::object{{"b", nullptr}, {"c", 0.5}}}}, "a"), "b=, c=0.5");
}

TEST(ClientProgress, SaysHowFarAndWhenItWillBeDone) {
  EXPECT_EQ(progress_text("parts.csv", 1 << 20, 4 << 20, 3000ms, "7 accepted"),
            "parts.csv  [#####...............]  25 %  1.0 of 4.0 MiB  ETA 9 s  7 accepted");
  EXPECT_EQ(progress_text("-", 3 << 19, std::nullopt, 3000ms, ""), "-  1.5 MiB");
  EXPECT_EQ(progress_text("x", 4 << 20, 4 << 20, 3000ms, ""), "x  [####################]  100 %  4.0 of 4.0 MiB");
}

TEST(ClientProgress, ShowsWhatATrainingStepReports) {
  const json::value said = {
      {"step", 120}, {"total_steps", 600}, {"loss", 0.42971}, {"tokens_per_second", 3439.4}, {"seconds_left", 37.2}};
  EXPECT_EQ(progress_of(said), "step 120/600  loss 0.4297  3,439 tokens/s  ETA 37 s");
  EXPECT_EQ(progress_of({{"agents", 3}}), "agents=3");
  EXPECT_EQ(progress_of(nullptr), "working");
}

TEST(ClientRuns, ALostWorkerIsTold) {
  const auto event = [](const char* what) {
    return json::object{{"what", what}, {"step", "tune"}, {"data", {{"worker", "plant-2/18560"}, {"fence", 1}}}};
  };
  EXPECT_EQ(web::loss_of(event("lease_expired")), "worker plant-2/18560 was lost; the step is ready for another one");
  EXPECT_EQ(web::loss_of(event("leased")), "");
}

TEST(ClientRuns, ARunSaysWhatItWaitsFor) {
  const json::object waiting{
      {"waiting_for",
       json::array{json::object{{"step", "ok"}, {"uses", "approval"}, {"details", {{"role", "approver"}}}},
                   json::object{{"step", "out"}, {"uses", "deploy.rollout"}, {"details", nullptr}}}}};
  EXPECT_EQ(waits_for(waiting), "approval of ok (approver), rollout of out");
  EXPECT_EQ(waits_for({{"waiting_for", json::array()}}), "");
  EXPECT_EQ(waits_for(json::object()), "") << "an older server";
}

TEST(ClientDatasets, PreviewOfAFileNeedsNoServer) {
  const platform::TemporaryFolder folder;
  const std::string file = (folder.path() / "examples.jsonl").string();
  platform::write_file_atomically(
      file,
      R"({"id":"a","split":"train","messages":[{"role":"user","content":"state?"},{"role":"assistant","content":"ok"}]})"
      "\n"
      R"({"id":"b","split":"test","prompt":"torque {{ number:torque }}","numbers":{"torque":1},"label":"hot"})"
      "\n");
  const auto shown = [&](std::vector<std::string> options) {
    std::vector<std::string> arguments{"preview", "--data", file};
    arguments.insert(arguments.end(), options.begin(), options.end());
    testing::internal::CaptureStdout();
    const int code = datasets_command(arguments);
    const std::string text = testing::internal::GetCapturedStdout();
    EXPECT_EQ(code, 0);
    return text;
  };
  const std::string both = shown({});
  EXPECT_NE(both.find("<|user|>state?<|end|><|assistant|>\u27E6ok<|end|>\u27E7\n"), std::string::npos) << both;
  EXPECT_NE(both.find("example b, test: "), std::string::npos) << both;
  EXPECT_NE(both.find("(label hot)"), std::string::npos) << both;
  EXPECT_EQ(shown({"--split", "test"}).find("example a"), std::string::npos);
  const json::value items = json::parse(shown({"--id", "b", "--json"})).at("items");
  ASSERT_EQ(items.as_array().size(), 1u);
  EXPECT_EQ(items.at(0).at("target"), "label hot");
  EXPECT_THROW(datasets_command({"preview", "--data", file, "--id", "c"}), platform::Error);
  EXPECT_THROW(datasets_command({"preview", "--data", file, "--base", "no-such-base"}), platform::Error);
  EXPECT_THROW(datasets_command({"preview"}), platform::Error);
}

TEST(ClientSettings, PairsBecomeNestedValuesOfTheirType) {
  EXPECT_EQ(settings_from({"url=http://x?a=b", "input.header=true", "input.columns=[\"a\",\"b\"]", "rank=16",
                           "quoted=\"16\"", "empty="},
                          "--set"),
            (json::object{{"url", "http://x?a=b"},
                          {"input", {{"header", true}, {"columns", json::array{"a", "b"}}}},
                          {"rank", 16},
                          {"quoted", "16"},
                          {"empty", ""}}));
  for (const char* bad : {"rank", "=16", "input."}) EXPECT_THROW(settings_from({bad}, "--set"), platform::Error) << bad;
  EXPECT_THROW(settings_from({"a=1", "a.b=2"}, "--set"), platform::Error);
}

TEST(ClientSettings, TimesAndSharesAreReadStrictly) {
  EXPECT_EQ(seconds_from("1h30m", "--soak"), 5400s);
  EXPECT_EQ(seconds_from("90", "--soak"), 90s);
  EXPECT_EQ(seconds_from("2d", "--soak"), 172800s);
  for (const char* bad : {"", "m", "10x", "-5s", "1.5h", "99999999999s"})
    EXPECT_THROW(seconds_from(bad, "--soak"), platform::Error) << bad;
  EXPECT_EQ(shares_from("10%,50%,100%", "--waves"), (json::array{0.1, 0.5, 1.0}));
  EXPECT_EQ(shares_from("0.1,1", "--waves"), (json::array{0.1, 1.0}));
  for (const char* bad : {"", "10%,", "ten", "10%%"}) EXPECT_THROW(shares_from(bad, "--waves"), platform::Error) << bad;
}

class ClientPortions : public testing::Test {
 protected:
  std::vector<Portion> portions_of(const std::string& name, const std::string& text, std::size_t bytes,
                                   connectors::InputFormat input = {}) {
    platform::write_file_atomically(folder_.path() / name, text);
    PortionReader reader(folder_.path() / name, std::move(input), bytes);
    std::vector<Portion> all;
    while (auto portion = reader.next()) all.push_back(*std::move(portion));
    return all;
  }
  platform::TemporaryFolder folder_;
};

TEST_F(ClientPortions, ASmallFileGoesAsItIs) {
  const auto all = portions_of("a.csv", "a;b\n1;2\n", 1 << 20);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].body, "a;b\n1;2\n");
  EXPECT_EQ(all[0].content_type, "text/csv");
  EXPECT_TRUE(all[0].query.empty()) << "the server finds out itself";
}

TEST_F(ClientPortions, ALargeTableIsCutBetweenRecordsWithItsHeadingAndItsLines) {
  std::string text = "name;value\n";
  for (int i = 0; i < 30; ++i) text += "\"part\n" + std::to_string(i) + "\";1,5\n";  // two lines a record
  const auto all = portions_of("a.csv", text, 100);
  ASSERT_GT(all.size(), 3u);
  std::string joined = "name;value\n";
  std::int64_t rows = 0, lines = 1;
  std::uint64_t bytes = 0;
  for (const Portion& portion : all) {
    ASSERT_EQ(portion.body.rfind("name;value\n", 0), 0u);
    const std::string rest = portion.body.substr(11);
    EXPECT_EQ(rest.front(), '"') << "no record is cut";
    EXPECT_EQ(portion.line_shift, lines - 1) << "line 2 of the body is this line of the file, less one";
    EXPECT_EQ(portion.query.at("first_row"), std::to_string(connectors::InputFormat{}.first_row + rows));
    EXPECT_EQ(portion.query.at("delimiter"), ";");
    EXPECT_EQ(portion.query.at("header"), "true");
    EXPECT_EQ(portion.query.at("decimal_comma"), "true");
    const std::int64_t own = std::count(rest.begin(), rest.end(), '\n');
    rows += own / 2;
    lines += own;
    bytes += portion.file_bytes;
    joined += rest;
  }
  EXPECT_EQ(joined, text);
  EXPECT_EQ(bytes, text.size());
}

TEST_F(ClientPortions, TheHeadingIsToldByTheRulesOfTheServer) {
  std::string rows;
  for (int i = 0; i < 30; ++i) rows += "part " + std::to_string(i) + ";1,5\n";
  connectors::InputFormat input;
  input.columns = {"name", "value"};
  for (const Portion& portion : portions_of("a.csv", " name ;value \n" + rows, 100, input))
    EXPECT_EQ(portion.query.at("header"), "true") << "blanks around names do not count: they are no record";
  EXPECT_THROW(portions_of("a.csv", "name;name\n" + rows, 100), platform::Error) << "a name that is said twice";
  const std::string open_quote = "\"oops;1\n", heading = "n\"ame;value\n";
  const auto broken = portions_of("a.csv", open_quote + heading + rows, 100);
  ASSERT_GT(broken.size(), 2u);
  EXPECT_TRUE(broken[0].body.starts_with(open_quote + heading)) << broken[0].body;
  EXPECT_TRUE(broken[1].body.starts_with(heading + "part")) << "a row that is broken is sent once: " << broken[1].body;
  EXPECT_EQ(broken[1].query.at("first_row"),
            std::to_string(1 + std::count(broken[0].body.begin(), broken[0].body.end(), '\n') - 1));
  EXPECT_EQ(broken[0].line_shift, 0);
}

TEST_F(ClientPortions, LinesOfJsonAreCutAtTheirEndsAndAnArrayGoesWhole) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "{\"a\":" + std::to_string(i) + "}\n";
  std::string joined;
  for (const Portion& portion : portions_of("a.jsonl", text, 40)) {
    EXPECT_EQ(portion.body.front(), '{');
    EXPECT_EQ(portion.body.back(), '\n');
    EXPECT_EQ(portion.content_type, "application/x-ndjson");
    joined += portion.body;
  }
  EXPECT_EQ(joined, text);
  EXPECT_EQ(portions_of("a.json", "[" + std::string(200, ' ') + "]", 40).size(), 1u);
}

TEST_F(ClientPortions, SaysWhatToDoWithACompressedFileOrAFolder) {
  EXPECT_THROW(portions_of("a.csv.gz", "\x1F\x8B\x08", 40), platform::Error);
  EXPECT_THROW(PortionReader(folder_.path(), {}, 40), platform::Error);
  EXPECT_THROW(PortionReader(folder_.path() / "none.csv", {}, 40), platform::Error);
}

class Completion : public testing::Test {
 protected:
  // What bash offers at the end of these words.
  static std::vector<std::string> offered(const std::vector<std::string>& words) {
    platform::TemporaryFolder folder;
    std::string script = bash_completion({"bench", "runs", "serve", "sources", "token"},
                                         {{"bench", {"adaptation", "kernels", "train"}}}) +
                         "anneal() { echo \"  --of-$1-$2 X  what it is\"; }\nCOMP_WORDS=(";
    for (const std::string& word : words) script += "'" + word + "' ";
    script += ")\nCOMP_CWORD=" + std::to_string(words.size() - 1) + "\n_anneal\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
    platform::write_file_atomically(folder.path() / "script", script);
    platform::ProcessOptions options;
    options.working_folder = folder.path();
    const auto output = platform::run_command({"/bin/bash", "--norc", (folder.path() / "script").string()}, options);
    EXPECT_EQ(output.exit_code, 0) << output.text;
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < output.text.size();) {
      const std::size_t end = output.text.find('\n', at);
      if (end > at) lines.push_back(output.text.substr(at, end - at));
      at = end + 1;
    }
    return lines;
  }
};

TEST_F(Completion, OffersCommandsActionsAndOptionsByTheirFirstLetters) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(offered({"anneal", "s"}), (Words{"serve", "sources"}));
  EXPECT_EQ(offered({"anneal", "runs", "re"}), (Words{"retry", "reject"}));
  EXPECT_EQ(offered({"anneal", "workflows", "d"}), (Words{"delete"}));
  EXPECT_EQ(offered({"anneal", "runs", "retry", "--st"}), (Words{"--step"}));
  EXPECT_EQ(offered({"anneal", "token", "create", "lee", "--ro"}), (Words{"--role"}));
  EXPECT_EQ(offered({"anneal", "ingest", "line-3", "--tol"}), (Words{"--tolerate-rejected"}));
  EXPECT_EQ(offered({"anneal", "serve", "sc"}), (Words{"script"})) << "file names where nothing else fits";
}

TEST_F(Completion, AsksWhatACommandMeasuresForItsOptions) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(offered({"anneal", "bench", ""}), (Words{"adaptation", "kernels", "train"}));
  EXPECT_EQ(offered({"anneal", "bench", "tr"}), (Words{"train"}));
  EXPECT_EQ(offered({"anneal", "bench", "train", "--"}), (Words{"--of-bench-train"}));
  EXPECT_EQ(offered({"anneal", "serve", "--"}), (Words{"--of-serve---help"}));
}

TEST_F(Completion, KnowsEveryActionOfEveryCommandWithItsOptions) {
  for (const ClientCommand& command : client_commands()) {
    for (const ClientAction& action : command.actions) {
      std::vector<std::string> words{"anneal", std::string(command.name)};
      if (!action.name.empty()) words.emplace_back(action.name);
      words.emplace_back("--");
      EXPECT_EQ(offered(words), command_line_of(command, action).option_names()) << command.name << " " << action.name;
    }
  }
}

}  // namespace
}  // namespace web
