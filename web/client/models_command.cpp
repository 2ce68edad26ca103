// `anneal models` and `anneal alias`: versions with their proof, and where the aliases stand.
#include <cstdio>

#include "web/client/action_tables.h"
#include "web/client/server_connection.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;
using platform::CommandLine;

namespace {

void model_only(CommandLine& line) { line.argument("MODEL", "name of the model"); }
std::string path_of(const CommandLine& line) { return "/models/" + segment(line.text("MODEL")); }
std::string alias_path(const CommandLine& line) { return path_of(line) + "/aliases/" + segment(line.text("ALIAS")); }

void model_and_version(CommandLine& line) {
  model_only(line);
  line.argument("VERSION", "number of the version, or an alias such as production");
}

void model_and_alias(CommandLine& line) {
  model_only(line);
  line.argument("ALIAS", "name of the alias: production, candidate, ...");
}

std::string gate_word(const json::object& version) {
  const json::value* passed = platform::find(version, "gate_passed");
  if (passed == nullptr || !passed->is_bool()) return "none";
  return passed->get_bool() ? "passed" : "failed";
}

int list(ServerConnection& server, const CommandLine&) {
  const json::array items = server.list("/models");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"NAME", "VERSIONS", "ALIASES", "CREATED (UTC)"});
  table.right(1);
  for (const json::value& item : items) {
    const json::object& model = item.as_object();
    table.add(
        {cell(model, "name"), cell(model, "versions"), cell(model, "aliases"), short_time(cell(model, "created_at"))});
  }
  table.print("No model yet. A run with a model.register step makes one.");
  return 0;
}

int versions(ServerConnection& server, const CommandLine& line) {
  const json::array items = server.list(path_of(line) + "/versions");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"VERSION", "BASE", "GATE", "ADAPTER", "RUN", "CREATED (UTC)"});
  table.right(0).states(2);
  for (const json::value& item : items) {
    const json::object& version = item.as_object();
    table.add({cell(version, "version"), cell(version, "base"), gate_word(version),
               short_digest(cell(version, "adapter_digest")), cell(version, "run"),
               short_time(cell(version, "created_at"))});
  }
  table.print("No version.");
  return 0;
}

int show(ServerConnection& server, const CommandLine& line) {
  const json::object version = server.get(path_of(line) + "/versions/" + segment(line.text("VERSION")));
  if (server.json_wanted()) return print_json(version), 0;
  Details details;
  details.add("model", cell(version, "model") + "/" + cell(version, "version"))
      .add("aliases", cell(version, "aliases"))
      .add("gate", gate_word(version));
  details.add("base", cell(version, "base"))
      .add("base digest", cell(version, "base_digest"))
      .add("adapter", cell(version, "adapter_digest"));
  details.add("run", cell(version, "run")).add("created", short_time(cell(version, "created_at")));
  details.print();
  const json::value* evaluation = platform::find(version, "evaluation");
  const json::value* scores =
      evaluation != nullptr && evaluation->is_object() ? platform::find(evaluation->get_object(), "scores") : nullptr;
  if (scores == nullptr || !scores->is_array()) return 0;
  std::puts("");
  Table table({"METRIC", "VALUE", "LOW", "HIGH"});
  for (std::size_t column = 1; column < 4; ++column) table.right(column);
  for (const json::value& each : scores->get_array())
    table.add({cell(each.as_object(), "metric"), cell(each.as_object(), "value"), cell(each.as_object(), "low"),
               cell(each.as_object(), "high")});
  table.print("No scores.");
  return 0;
}

int lineage(ServerConnection& server, const CommandLine& line) {
  return print_json(server.get(path_of(line) + "/versions/" + segment(line.text("VERSION")) + "/lineage")), 0;
}

int show_alias(ServerConnection& server, const CommandLine& line) {
  const json::object found = server.get(alias_path(line));
  if (server.json_wanted())
    print_json(found);
  else
    std::printf("%s of %s is version %s\n", line.text("ALIAS").c_str(), line.text("MODEL").c_str(),
                cell(found, "version").c_str());
  return 0;
}

int set_alias(ServerConnection& server, const CommandLine& line) {
  const json::object moved =
      server.put(alias_path(line), {{"version", line.text("VERSION")}, {"reason", line.text("reason")}});
  if (server.json_wanted())
    print_json(moved);
  else
    std::printf("%s of %s is version %s now\n", line.text("ALIAS").c_str(), line.text("MODEL").c_str(),
                cell(moved, "version").c_str());
  return 0;
}

int alias_back(ServerConnection& server, const CommandLine& line) {
  const json::object moved = server.post(alias_path(line) + "/rollback", {{"reason", line.text("reason")}});
  if (server.json_wanted())
    print_json(moved);
  else
    std::printf("%s of %s is version %s again\n", line.text("ALIAS").c_str(), line.text("MODEL").c_str(),
                cell(moved, "version").c_str());
  return 0;
}

int history(ServerConnection& server, const CommandLine& line) {
  const json::object answer = server.get(path_of(line) + "/history");
  if (server.json_wanted()) return print_json(answer), 0;
  Table table({"AT (UTC)", "ALIAS", "VERSION", "BEFORE", "WHO", "WHY"});
  table.right(2).right(3);
  for (const json::value& item : platform::as_array(platform::require(answer, "items", ""), "items")) {
    const json::object& change = item.as_object();
    table.add({short_time(cell(change, "moved_at")), cell(change, "alias"), cell(change, "version"),
               cell(change, "previous"), cell(change, "actor"), cell(change, "reason")});
  }
  table.print("No alias was moved yet.");
  return 0;
}

void with_reason(CommandLine& line) { line.option("reason", "TEXT", "kept in the history", {.required = true}); }

}  // namespace

ClientCommand models_actions() {
  return {"models",
          "Registered models, their versions and their proof.",
          {{"list", "Lists the models", {"anneal models list"}, [](CommandLine&) {}, list},
           {"versions",
            "Lists a model's versions, newest first",
            {"anneal models versions tool-failure"},
            model_only,
            versions},
           {"show",
            "Shows a version with its scores",
            {"anneal models show tool-failure 3", "anneal models show tool-failure production"},
            model_and_version,
            show},
           {"lineage",
            "Prints what made a version, as JSON",
            {"anneal models lineage tool-failure 3"},
            model_and_version,
            lineage},
           {"history",
            "Lists who moved which alias when and why",
            {"anneal models history tool-failure"},
            model_only,
            history}}};
}

ClientCommand alias_actions() {
  return {"alias",
          "Names that stand at a model's version: production, candidate, ...",
          {{"show",
            "Says where an alias stands",
            {"anneal alias show tool-failure production"},
            model_and_alias,
            show_alias},
           {"set",
            "Moves an alias; production moves only to a version whose gate passed",
            {"anneal alias set tool-failure production 3 --reason \"beats version 2 on the night shift\""},
            [](CommandLine& line) {
              model_and_alias(line);
              line.argument("VERSION", "number of the version, or another alias");
              with_reason(line);
            },
            set_alias},
           {"back",
            "Moves an alias back to the version before",
            {"anneal alias back tool-failure production --reason \"false alarms\""},
            [](CommandLine& line) {
              model_and_alias(line);
              with_reason(line);
            },
            alias_back}}};
}

}  // namespace web
