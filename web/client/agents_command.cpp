// `anneal agents`: the programs on the plant machines.
#include "web/client/action_tables.h"
#include "web/client/server_connection.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;
using platform::CommandLine;

namespace {

int list(ServerConnection& server, const CommandLine&) {
  const json::array items = server.list("/agents");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"NAME", "MODEL", "VERSION", "ADAPTER", "LABELS", "LAST SEEN"});
  for (const json::value& item : items) {
    const json::object& agent = item.as_object();
    table.add({cell(agent, "name"), cell(agent, "model"), cell(agent, "model_version"),
               short_digest(cell(agent, "adapter_digest")), cell(agent, "labels"), age(cell(agent, "last_seen"))});
  }
  table.print("No agent yet. Start one on a plant machine with anneal-agent; it registers by itself.");
  return 0;
}

int show(ServerConnection& server, const CommandLine& line) {
  const std::string name = line.text("NAME");
  for (const json::value& item : server.list("/agents")) {
    const json::object& agent = item.as_object();
    if (cell(agent, "name") != name) continue;
    if (server.json_wanted()) return print_json(agent), 0;
    Details details;
    details.add("name", name)
        .add("model", cell(agent, "model"))
        .add("version", cell(agent, "model_version"))
        .add("adapter", cell(agent, "adapter_digest"));
    details.add("labels", cell(agent, "labels"))
        .add("registered", short_time(cell(agent, "registered_at")))
        .add("last seen", age(cell(agent, "last_seen")))
        .add("notice", cell(agent, "notice"));
    details.print();
    return 0;
  }
  throw platform::Error(platform::ErrorCode::kNotFound,
                        "there is no agent '" + name + "'; anneal agents list shows those that have registered");
}

}  // namespace

ClientCommand agents_actions() {
  return {"agents",
          "The programs on the plant machines and what they answer with.",
          {{"list", "Lists the agents", {"anneal agents list", "anneal agents list --json"}, [](CommandLine&) {}, list},
           {"show",
            "Shows one agent",
            {"anneal agents show edge-01"},
            [](CommandLine& line) { line.argument("NAME", "name of the agent"); },
            show}}};
}

}  // namespace web
