// `anneal sources`: where records come from.
#include <cstdio>
#include <filesystem>

#include "web/client/action_tables.h"
#include "web/client/server_connection.h"
#include "web/client/settings.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;
using platform::CommandLine;
using platform::Error;
using platform::ErrorCode;

namespace {

void name_only(CommandLine& line) { line.argument("NAME", "name of the source"); }
std::string path_of(const CommandLine& line) { return "/sources/" + segment(line.text("NAME")); }

void print_status(const json::object& status) {
  const json::object& source = platform::as_object(platform::require(status, "source", ""), "source");
  Details details;
  details.add("name", cell(source, "name"))
      .add("state", cell(source, "state"))
      .add("connector", cell(source, "connector"))
      .add("profile", cell(source, "profile"));
  details.add("records", with_separators(platform::int_or(status, "records", 0, "")));
  details.add("settings", cell(source, "settings"))
      .add("location", cell(source, "location"))
      .add("owner", cell(source, "owner"));
  details.add("created", short_time(cell(source, "created_at")));
  if (const json::value* reader = platform::find(status, "reader")) {
    const json::object& state = platform::as_object(*reader, "reader");
    details.add("reader", cell(state, "state"))
        .add("rejected", cell(state, "rejected"))
        .add("gaps", cell(state, "gaps"))
        .add("last error", cell(state, "last_error"));
  }
  details.print();
}

int show_status(ServerConnection& server, const json::object& status) {
  if (server.json_wanted())
    print_json(status);
  else
    print_status(status);
  return 0;
}

int list(ServerConnection& server, const CommandLine&) {
  const json::array items = server.list("/sources");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"NAME", "CONNECTOR", "STATE", "PROFILE", "LOCATION", "CREATED (UTC)"});
  table.states(2);
  for (const json::value& item : items) {
    const json::object& source = item.as_object();
    table.add({cell(source, "name"), cell(source, "connector"), cell(source, "state"), cell(source, "profile"),
               cell(source, "location"), short_time(cell(source, "created_at"))});
  }
  table.print("No source yet. Create one with: anneal sources create NAME --profile PROFILE");
  return 0;
}

void declare_create(CommandLine& line) {
  name_only(line);
  line.option("connector", "K", "how records come: rest_push, rest_poll or file", {.fallback = "rest_push"});
  line.option("setting", "KEY=VALUE", "setting of the connector; a dot leads into an object; may stand several times",
              {.repeated = true});
  line.option("profile", "P",
              "domain profile: a name, or a YAML file that the server may read (anneal serve --files-from)");
  line.option("location", "PATH", "enterprise/site/area/line/cell");
  line.option("owner", "NAME", "who answers for it; default the token's name");
  line.flag("start", "start reading at once");
  line.flag("if-absent", "leave a source of that name as it is");
}

json::object new_source(const ServerConnection& server, const CommandLine& line) {
  json::object body{{"name", line.text("NAME")},
                    {"connector", line.text("connector")},
                    {"settings", settings_from(line.all("setting"), "--setting")}};
  for (const char* key : {"location", "owner"})
    if (line.has(key)) body[key] = line.text(key);
  if (line.has("profile")) {
    std::string profile = line.text("profile");
    // The server works in another folder.
    if (server.local() && (profile.find('/') != std::string::npos || profile.ends_with(".yaml")))
      profile = std::filesystem::absolute(profile).string();
    body["profile"] = profile;
  }
  return body;
}

int create(ServerConnection& server, const CommandLine& line) {
  const platform::HttpResponse made =
      server.send(platform::Method::kPost, "/sources", json::serialize(new_source(server, line)), "application/json");
  const bool stood = made.status == 409 && line.has("if-absent");
  if (!stood) made.checked();
  const json::object status = line.has("start") ? server.post(path_of(line) + "/start") : server.get(path_of(line));
  if (server.json_wanted()) return print_json(status), 0;
  std::printf(stood ? "Source %s is there already.\n" : "Source %s is created.\n", line.text("NAME").c_str());
  print_status(status);
  return 0;
}

int show(ServerConnection& server, const CommandLine& line) { return show_status(server, server.get(path_of(line))); }
int start(ServerConnection& server, const CommandLine& line) {
  return show_status(server, server.post(path_of(line) + "/start"));
}
int stop(ServerConnection& server, const CommandLine& line) {
  return show_status(server, server.post(path_of(line) + "/stop"));
}

int check(ServerConnection& server, const CommandLine& line) {
  const json::object result = server.post(path_of(line) + "/check");
  const bool ok = platform::require_bool(result, "ok", "");
  if (server.json_wanted())
    print_json(result);
  else
    std::printf("%s: %s\n", ok ? "ok" : "failed", cell(result, "message").c_str());
  return ok ? 0 : 1;
}

int discover(ServerConnection& server, const CommandLine& line) {
  const json::object result = server.post(path_of(line) + "/discover");
  if (server.json_wanted()) return print_json(result), 0;
  Table table({"STREAM", "FIELDS"});
  for (const json::value& item : platform::as_array(platform::require(result, "streams", ""), "streams"))
    table.add({cell(item.as_object(), "name"), cell(item.as_object(), "fields")});
  table.print("Nothing can be read from this source; a pushed source gets its records with anneal ingest.");
  return 0;
}

int gaps(ServerConnection& server, const CommandLine& line) {
  const json::array items = server.list(path_of(line) + "/gaps");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"FROM (UTC)", "TO (UTC)", "LENGTH", "REASON"});
  for (const json::value& item : items) {
    const json::object& gap = item.as_object();
    const auto length = platform::parse_time(cell(gap, "to")) - platform::parse_time(cell(gap, "from"));
    table.add({short_time(cell(gap, "from")), short_time(cell(gap, "to")),
               length_of_time(std::chrono::duration_cast<std::chrono::seconds>(length)), cell(gap, "reason")});
  }
  table.print("No gap is known: nothing is known to be lost.");
  return 0;
}

void declare_remove(CommandLine& line) {
  name_only(line);
  line.flag("yes", "do it: the records go as well");
}

int remove(ServerConnection& server, const CommandLine& line) {
  if (!line.has("yes")) {
    const std::int64_t records = platform::int_or(server.get(path_of(line)), "records", 0, "");
    throw Error(ErrorCode::kInvalidInput, "this removes source " + line.text("NAME") + " with its " +
                                              with_separators(records) + " records; say --yes if that is meant");
  }
  server.remove(path_of(line));
  if (!server.json_wanted()) std::printf("Source %s is removed.\n", line.text("NAME").c_str());
  return 0;
}

}  // namespace

ClientCommand sources_actions() {
  return {
      "sources",
      "Where records come from: create, start, watch and remove sources.",
      {{"list", "Lists the sources", {"anneal sources list", "anneal sources list --json"}, [](CommandLine&) {}, list},
       {"create",
        "Creates a source",
        {"anneal sources create line-3 --profile machine-failure",
         "anneal sources create mill-7 --connector rest_poll --setting url=http://10.0.3.7:8080 --setting "
         "target=/records --setting cursor.param=after --setting cursor.field=id --profile machine-failure --start",
         "anneal sources create parts --connector file --setting path=/srv/parts --setting input.delimiter=';'"},
        declare_create,
        create},
       {"show", "Shows a source, its records and how its reader does", {"anneal sources show line-3"}, name_only, show},
       {"start", "Starts reading", {"anneal sources start mill-7"}, name_only, start},
       {"stop", "Stops reading after the batch under way", {"anneal sources stop mill-7"}, name_only, stop},
       {"check",
        "Tries the source without taking anything; exit code 1 if it does not answer",
        {"anneal sources check mill-7"},
        name_only,
        check},
       {"discover", "Says what can be read from the source", {"anneal sources discover mill-7"}, name_only, discover},
       {"gaps", "Lists what the source is known to have lost", {"anneal sources gaps mill-7"}, name_only, gaps},
       {"delete",
        "Removes a source with its records",
        {"anneal sources delete line-3 --yes"},
        declare_remove,
        remove}}};
}

}  // namespace web
