// `anneal token`: who may speak to the server.
#include <cstdio>

#include "web/client/action_tables.h"
#include "web/client/server_connection.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;
using platform::CommandLine;

namespace {

int list(ServerConnection& server, const CommandLine&) {
  const json::array items = server.list("/tokens");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"NAME", "ROLE", "EXPIRES (UTC)", "REVOKED (UTC)"});
  for (const json::value& item : items) {
    const json::object& token = item.as_object();
    table.add({cell(token, "name"), cell(token, "role"), short_time(cell(token, "expires_at")),
               short_time(cell(token, "revoked_at"))});
  }
  table.print("No token.");
  return 0;
}

int create(ServerConnection& server, const CommandLine& line) {
  json::object body{{"name", line.text("NAME")}, {"role", line.text("role")}};
  if (line.has("expires")) body["expires_at"] = line.text("expires");
  const json::object made = server.post("/tokens", body);
  if (server.json_wanted()) return print_json(made), 0;
  std::fprintf(stderr, "Token of %s, shown this once:\n", line.text("NAME").c_str());
  std::printf("%s\n", cell(made, "token").c_str());
  return 0;
}

int revoke(ServerConnection& server, const CommandLine& line) {
  server.remove("/tokens/" + segment(line.text("NAME")));
  if (!server.json_wanted()) std::printf("The token of %s is refused from now on.\n", line.text("NAME").c_str());
  return 0;
}

int roles(ServerConnection& server, const CommandLine&) {
  const json::array items = server.list("/roles");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"ROLE", "WHAT IT IS FOR"});
  for (const json::value& item : items)
    table.add({cell(item.as_object(), "name"), cell(item.as_object(), "description")});
  table.print("No role.");
  return 0;
}

}  // namespace

ClientCommand token_actions() {
  return {"token",
          "Access tokens: one for each person, factory system and agent.",
          {{"list", "Lists who has tokens, revoked ones too", {"anneal token list"}, [](CommandLine&) {}, list},
           {"create",
            "Makes a token and prints it once",
            {"anneal token create mes-7 --role operator",
             "anneal token create edge-01 --role agent --expires 2027-12-31T00:00:00Z"},
            [](CommandLine& line) {
              line.argument("NAME", "of the person, system or agent");
              line.option("role", "ROLE", "what it may do; anneal token roles lists them", {.required = true});
              line.option("expires", "TIME", "when it ends, RFC 3339; default never");
            },
            create},
           {"revoke",
            "Refuses a token from now on",
            {"anneal token revoke mes-7"},
            [](CommandLine& line) { line.argument("NAME", "whose token"); },
            revoke},
           {"roles", "Lists the roles", {"anneal token roles"}, [](CommandLine&) {}, roles}}};
}

}  // namespace web
