// `anneal workflows`: the texts that the server knows.
#include <cstdio>

#include "platform/base/file.h"
#include "web/client/action_tables.h"
#include "web/client/server_connection.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;
using platform::CommandLine;

namespace {

constexpr std::size_t kLargestText = std::size_t{1} << 20;

void name_only(CommandLine& line) { line.argument("NAME", "name of the workflow"); }

int list(ServerConnection& server, const CommandLine&) {
  const json::array items = server.list("/workflows");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"NAME", "DESCRIPTION", "SAVED BY", "SAVED (UTC)"});
  for (const json::value& item : items) {
    const json::object& workflow = item.as_object();
    table.add({cell(workflow, "name"), cell(workflow, "description"), cell(workflow, "saved_by"),
               short_time(cell(workflow, "saved_at"))});
  }
  table.print("No workflow.");
  return 0;
}

int show(ServerConnection& server, const CommandLine& line) {
  const json::object workflow = server.get("/workflows/" + segment(line.text("NAME")));
  if (server.json_wanted())
    print_json(workflow);
  else
    std::fputs(cell(workflow, "text").c_str(), stdout);
  return 0;
}

int save(ServerConnection& server, const CommandLine& line) {
  const std::string file = line.text("FILE");
  const platform::HttpResponse answer = server.send(platform::Method::kPost, "/workflows?file=" + segment(file),
                                                    platform::read_file(file, kLargestText), "application/yaml");
  const json::value saved = answer.checked().json();
  if (server.json_wanted())
    print_json(saved);
  else
    std::printf("Workflow %s is kept. Start it with: anneal runs start %s\n", cell(saved.as_object(), "name").c_str(),
                cell(saved.as_object(), "name").c_str());
  return 0;
}

void declare_remove(CommandLine& line) {
  name_only(line);
  line.flag("yes", "do it: the saved text goes");
}

int remove(ServerConnection& server, const CommandLine& line) {
  const std::string path = "/workflows/" + segment(line.text("NAME"));
  if (!line.has("yes")) {
    server.get(path);  // a name that is not there is told first
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "this deletes the saved workflow " + line.text("NAME") +
                              "; runs that were started from it stay; say --yes if that is meant");
  }
  server.remove(path);
  if (!server.json_wanted()) std::printf("Workflow %s is deleted.\n", line.text("NAME").c_str());
  return 0;
}

}  // namespace

ClientCommand workflows_actions() {
  return {"workflows",
          "Workflows that the server knows: those saved and those that come with the program.",
          {{"list", "Lists the workflows", {"anneal workflows list"}, [](CommandLine&) {}, list},
           {"show", "Prints a workflow's YAML", {"anneal workflows show tool-failure > my-flow.yaml"}, name_only, show},
           {"save",
            "Keeps a workflow file on the server",
            {"anneal workflows save my-flow.yaml"},
            [](CommandLine& line) { line.argument("FILE", "workflow file"); },
            save},
           {"delete",
            "Deletes a saved workflow; runs that were started from it stay",
            {"anneal workflows delete my-flow --yes"},
            declare_remove,
            remove}}};
}

}  // namespace web
