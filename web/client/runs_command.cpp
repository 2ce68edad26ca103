// `anneal runs`: starting, watching and deciding on runs.
#include <cstdio>

#include "platform/base/file.h"
#include "web/client/action_tables.h"
#include "web/client/run_view.h"
#include "web/client/server_connection.h"
#include "web/client/table.h"
#include "workflows/input_rules.h"

namespace web {

namespace json = platform::json;
using platform::CommandLine;

namespace {

void id_only(CommandLine& line) { line.argument("ID", "id of the run; its first characters will do"); }
std::string path_of(ServerConnection& server, const CommandLine& line) {
  return "/runs/" + server.find_id("/runs", line.text("ID"));
}

int show_answer(const ServerConnection& server, const json::object& run) {
  if (server.json_wanted()) return print_json(run), 0;
  print_run(run);
  print_scores(run);
  return 0;
}

int list(ServerConnection& server, const CommandLine& line) {
  const json::array items =
      platform::as_array(platform::require(server.get("/runs?limit=" + line.text("limit")), "items", ""), "items");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"ID", "WORKFLOW", "STATE", "WAITS FOR", "STARTED (UTC)", "BY", "INPUTS", "ERROR"});
  table.states(2);
  for (const json::value& item : items) {
    const json::object& run = item.as_object();
    table.add({cell(run, "id"), cell(run, "workflow"), cell(run, "state"), waits_for(run),
               short_time(cell(run, "created_at")), cell(run, "started_by"), cell(run, "inputs"), cell(run, "error")});
  }
  table.print("No run yet. Start one with: anneal runs start WORKFLOW --set source=NAME");
  return 0;
}

int start(ServerConnection& server, const CommandLine& line) {
  const json::object run = server.post(
      "/runs", {{"workflow", line.text("WORKFLOW")}, {"inputs", workflows::inputs_from(line.all("set"), "--set")}});
  if (!line.has("follow")) return show_answer(server, run);
  const json::object last = follow_run(server, cell(run, "id"));
  show_answer(server, last);
  return exit_code_of(last);
}

int show(ServerConnection& server, const CommandLine& line) {
  return show_answer(server, server.get(path_of(server, line)));
}

int follow(ServerConnection& server, const CommandLine& line) {
  const json::object last = follow_run(server, server.find_id("/runs", line.text("ID")));
  show_answer(server, last);
  return exit_code_of(last);
}

int log(ServerConnection& server, const CommandLine& line) {
  std::string path = path_of(server, line) + "/log?limit=5000";
  if (line.has("step")) path += "&step=" + segment(line.text("step"));
  const json::object answer = server.get(path);
  if (server.json_wanted()) return print_json(answer), 0;
  for (const json::value& item : platform::as_array(platform::require(answer, "items", ""), "items")) {
    const json::object& said = item.as_object();
    std::printf("%s  %s  %s\n", short_time(cell(said, "at")).c_str(), cell(said, "step").c_str(),
                cell(said, "line").c_str());
  }
  return 0;
}

int cancel(ServerConnection& server, const CommandLine& line) {
  return show_answer(server, server.post(path_of(server, line) + "/cancel"));
}

int retry(ServerConnection& server, const CommandLine& line) {
  json::object body;
  if (line.has("step")) body["step"] = line.text("step");
  return show_answer(server, server.post(path_of(server, line) + "/retry", body));
}

int decide(ServerConnection& server, const CommandLine& line, const char* verb) {
  json::object body;
  if (line.has("comment")) body["comment"] = line.text("comment");
  return show_answer(server,
                     server.post(path_of(server, line) + "/steps/" + segment(line.text("STEP")) + "/" + verb, body));
}
int approve(ServerConnection& server, const CommandLine& line) { return decide(server, line, "approve"); }
int reject(ServerConnection& server, const CommandLine& line) { return decide(server, line, "reject"); }

void declare_start(CommandLine& line) {
  line.argument("WORKFLOW", "name of a workflow; anneal workflows list shows them");
  line.option("set", "KEY=VALUE", "an input of the workflow; may stand several times", {.repeated = true});
  line.flag("follow", "print what happens until it is over");
}

void declare_decision(CommandLine& line) {
  id_only(line);
  line.argument("STEP", "name of the step that waits");
  line.option("comment", "TEXT", "kept in the run's journal");
}

void with_step(CommandLine& line) {
  id_only(line);
  line.option("step", "NAME", "this step; default all, for retry the first that failed");
}

}  // namespace

ClientCommand runs_actions() {
  return {"runs",
          "Runs of workflows: start, watch, decide.",
          {{"list",
            "Lists runs, newest first",
            {"anneal runs list"},
            [](CommandLine& line) { line.option("limit", "N", "at most so many", {.fallback = "20"}); },
            list},
           {"start",
            "Starts a run of a workflow that the server knows",
            {"anneal runs start tool-failure --set source=line-3 --follow"},
            declare_start,
            start},
           {"show", "Shows a run with its steps and scores", {"anneal runs show 01a20c66"}, id_only, show},
           {"follow",
            "Prints what happens until the run is over or waits for a person; exit code 1 if it failed",
            {"anneal runs follow 01a20c66"},
            id_only,
            follow},
           {"log", "Prints what the steps said", {"anneal runs log 01a20c66 --step tune"}, with_step, log},
           {"cancel", "Asks a run to stop", {"anneal runs cancel 01a20c66"}, id_only, cancel},
           {"retry",
            "Runs a step and all that follow it again",
            {"anneal runs retry 01a20c66", "anneal runs retry 01a20c66 --step tune"},
            with_step,
            retry},
           {"approve",
            "Says yes to a step that waits for approval",
            {"anneal runs approve 01a20c66 ok --comment \"seen on line 3\""},
            declare_decision,
            approve},
           {"reject",
            "Says no to a step that waits for approval",
            {"anneal runs reject 01a20c66 ok --comment \"too many false alarms\""},
            declare_decision,
            reject}}};
}

}  // namespace web
