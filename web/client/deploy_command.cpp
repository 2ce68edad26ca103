// `anneal deploy`: a model version on its way to the plant.
#include <chrono>
#include <cstdio>
#include <thread>

#include "platform/base/file.h"
#include "web/client/action_tables.h"
#include "web/client/server_connection.h"
#include "web/client/settings.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;
using platform::CommandLine;

namespace {

void id_only(CommandLine& line) {
  line.argument("ID", "id or number of the deployment; the first characters of the id will do");
}

void id_and_reason(CommandLine& line) {
  id_only(line);
  line.option("reason", "TEXT", "for the history");
}

std::string path_of(ServerConnection& server, const CommandLine& line) {
  return "/deployments/" + server.find_id("/deployments", line.text("ID"));
}

std::string waves_of(const json::object& deployment) {
  std::string text;
  const json::value* waves = platform::find(deployment, "waves");
  if (waves == nullptr) return text;
  for (const json::value& wave : platform::as_array(*waves, "waves"))
    text += (text.empty() ? "" : ", ") + short_number(wave.to_number<double>() * 100) + "%";
  return text;
}

void print_deployment(const json::object& deployment) {
  Details details;
  details.add("deployment", cell(deployment, "number"))
      .add("id", cell(deployment, "id"))
      .add("state", cell(deployment, "state"))
      .add("reason", cell(deployment, "reason"));
  details.add("model", cell(deployment, "model") + "/" + cell(deployment, "model_version"))
      .add("adapter", cell(deployment, "adapter_digest"));
  details.add("to", cell(deployment, "selector")).add("waves", waves_of(deployment));
  details.add("soak", length_of_time(std::chrono::seconds(platform::int_or(deployment, "soak_seconds", 0, ""))));
  details.add("created", short_time(cell(deployment, "created_at")) + " UTC by " + cell(deployment, "created_by"));
  details.print();
  if (const json::value* agents = platform::find(deployment, "agents")) {
    std::puts("");
    Table table({"AGENT", "WAVE", "PROGRESS", "STATE", "ATTEMPTS", "SINCE", "REASON"});
    table.right(1).states(2).right(4);
    for (const json::value& item : platform::as_array(*agents, "agents")) {
      const json::object& agent = item.as_object();
      table.add({cell(agent, "agent"), cell(agent, "wave"), cell(agent, "progress"), cell(agent, "state"),
                 cell(agent, "attempts"), age(cell(agent, "updated_at")), cell(agent, "reason")});
    }
    table.print("No agent matches " + cell(deployment, "selector") + " yet; one that appears later is offered it.");
  }
  if (const json::value* history = platform::find(deployment, "history")) {
    std::puts("");
    Table table({"AT (UTC)", "WHO", "WHAT", "DETAIL"});
    for (const json::value& item : platform::as_array(*history, "history")) {
      const json::object& event = item.as_object();
      table.add({short_time(cell(event, "at")), cell(event, "actor"), cell(event, "what"), cell(event, "detail")});
    }
    table.print("Nothing happened yet.");
  }
}

int show_answer(const ServerConnection& server, const json::object& deployment) {
  if (server.json_wanted())
    print_json(deployment);
  else
    print_deployment(deployment);
  return 0;
}

void declare_create(CommandLine& line) {
  line.argument("MODEL", "name of the model");
  line.argument("VERSION", "number of the version, or an alias such as candidate");
  line.option("to", "SELECTOR", "which agents: labels such as line=3,site=ulsan; default every agent");
  line.option("waves", "SHARES", "shares of the agents, wave by wave", {.fallback = "10%,100%"});
  line.option("soak", "TIME", "how long a wave must do well before the next", {.fallback = "10m"});
  line.option("failure-threshold", "SHARE", "share of a wave that may fail before the rollout stops",
              {.fallback = "0"});
  line.flag("no-automatic-rollback", "pause at the threshold and leave the decision to a person");
}

int create(ServerConnection& server, const CommandLine& line) {
  json::object body{{"model", line.text("MODEL")},
                    {"version", line.text("VERSION")},
                    {"waves", shares_from(line.text("waves"), "--waves")},
                    {"soak_seconds", seconds_from(line.text("soak"), "--soak").count()},
                    {"failure_threshold", share_from(line.text("failure-threshold"), "--failure-threshold")},
                    {"automatic_rollback", !line.has("no-automatic-rollback")}};
  if (line.has("to")) body["to"] = line.text("to");
  return show_answer(server, server.post("/deployments", body));
}

int list(ServerConnection& server, const CommandLine&) {
  const json::array items = server.list("/deployments");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"NUMBER", "MODEL", "TO", "STATE", "CREATED (UTC)", "BY", "ID", "REASON"});
  table.right(0).states(3);
  for (const json::value& item : items) {
    const json::object& one = item.as_object();
    table.add({cell(one, "number"), cell(one, "model") + "/" + cell(one, "model_version"), cell(one, "selector"),
               cell(one, "state"), short_time(cell(one, "created_at")), cell(one, "created_by"),
               cell(one, "id").substr(0, 8), cell(one, "reason")});
  }
  table.print("No deployment yet. Create one with: anneal deploy create MODEL VERSION --to line=3");
  return 0;
}

int show(ServerConnection& server, const CommandLine& line) {
  return show_answer(server, server.get(path_of(server, line)));
}

int act(ServerConnection& server, const CommandLine& line, const char* verb) {
  json::object body;
  if (line.has("reason")) body["reason"] = line.text("reason");
  return show_answer(server, server.post(path_of(server, line) + "/" + verb, body));
}

int pause(ServerConnection& server, const CommandLine& line) { return act(server, line, "pause"); }
int back(ServerConnection& server, const CommandLine& line) { return act(server, line, "rollback"); }
int resume(ServerConnection& server, const CommandLine& line) {
  return show_answer(server, server.post(path_of(server, line) + "/resume"));
}

// Prints a line whenever an agent or the deployment itself moves on, until it is over.
int follow(ServerConnection& server, const CommandLine& line) {
  const std::string path = path_of(server, line);
  const auto deadline = std::chrono::steady_clock::now() + seconds_from(line.text("limit"), "--limit");
  std::string before;
  while (true) {
    const json::object deployment = server.get(path);
    std::string now = cell(deployment, "state");
    for (const json::value& item : platform::as_array(platform::require(deployment, "agents", ""), "agents")) {
      const json::object& agent = item.as_object();
      now += "  " + cell(agent, "agent") + ": " + cell(agent, "progress") +
             (cell(agent, "state").empty() ? "" : " (" + cell(agent, "state") + ")");
    }
    if (now != before && !server.json_wanted()) std::printf("%s\n", now.c_str());
    std::fflush(stdout);
    before = now;
    const std::string state = cell(deployment, "state");
    if (state != "running") {
      if (server.json_wanted())
        print_json(deployment);
      else if (state != "finished")
        std::printf("%s\n", cell(deployment, "reason").c_str());
      return state == "finished" ? 0 : 1;
    }
    if (std::chrono::steady_clock::now() > deadline)
      throw platform::Error(platform::ErrorCode::kUnavailable,
                            "the deployment still runs after " + line.text("limit") + ": " + before +
                                "; anneal deploy show says which agent it waits for");
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

void declare_follow(CommandLine& line) {
  id_only(line);
  line.option("limit", "TIME", "give up after", {.fallback = "1d"});
}

void declare_export(CommandLine& line) {
  id_only(line);
  line.option("out", "FILE", "where to write it", {.required = true});
  line.option("valid-days", "N", "how long agents take it, at most 30", {.fallback = "30"});
}

int export_bundle(ServerConnection& server, const CommandLine& line) {
  const std::string wanted = json::serialize(json::object{{"valid_days", line.integer("valid-days")}});
  const platform::HttpResponse answer =
      server.send(platform::Method::kPost, path_of(server, line) + "/bundle", wanted, "application/json");
  platform::write_file_atomically(line.text("out"), answer.checked().body);
  if (server.json_wanted())
    print_json(json::object{{"file", line.text("out")}, {"size_bytes", answer.body.size()}});
  else
    std::printf("Wrote %s, %s bytes. On the plant machine: anneal-agent --bundle %s ...\n", line.text("out").c_str(),
                with_separators(static_cast<std::int64_t>(answer.body.size())).c_str(), line.text("out").c_str());
  return 0;
}

}  // namespace

ClientCommand deploy_actions() {
  return {"deploy",
          "Brings model versions to the agents, wave by wave, and back.",
          {{"create",
            "Signs a bundle of a model version and begins its rollout",
            {"anneal deploy create tool-failure 3 --to line=3 --waves 10%,100% --soak 10m",
             "anneal deploy create tool-failure candidate --waves 100% --soak 0"},
            declare_create,
            create},
           {"list", "Lists deployments, newest first", {"anneal deploy list"}, [](CommandLine&) {}, list},
           {"show",
            "Shows a deployment with every agent's state and its history",
            {"anneal deploy show 12"},
            id_only,
            show},
           {"follow",
            "Prints what happens until the deployment is over; exit code 1 unless it finished",
            {"anneal deploy follow 12"},
            declare_follow,
            follow},
           {"pause",
            "Offers it to no further agent",
            {"anneal deploy pause 12 --reason \"night shift\""},
            id_and_reason,
            pause},
           {"resume", "Goes on; agents that failed are offered it again", {"anneal deploy resume 12"}, id_only, resume},
           {"back",
            "Brings the version before it back",
            {"anneal deploy back 12 --reason \"too many false alarms\""},
            id_and_reason,
            back},
           {"export",
            "Signs the bundle and writes it as one file for plants without a network",
            {"anneal deploy export 12 --out tool-failure.anneal"},
            declare_export,
            export_bundle}}};
}

}  // namespace web
