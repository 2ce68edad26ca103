// `anneal datasets`: the versions that snapshots made.
#include <cstdio>

#include "platform/base/file.h"
#include "web/client/action_tables.h"
#include "web/client/dataset_distill.h"
#include "web/client/dataset_preview.h"
#include "web/client/server_connection.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;
using platform::CommandLine;

namespace {

void name_only(CommandLine& line) { line.argument("NAME", "name of the dataset"); }

int list(ServerConnection& server, const CommandLine&) {
  const json::array items = server.list("/datasets");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"NAME", "VERSIONS", "CREATED (UTC)"});
  table.right(1);
  for (const json::value& item : items) {
    const json::object& dataset = item.as_object();
    table.add({cell(dataset, "name"), cell(dataset, "versions"), short_time(cell(dataset, "created_at"))});
  }
  table.print("No dataset yet. A run with a dataset.snapshot step makes one.");
  return 0;
}

int versions(ServerConnection& server, const CommandLine& line) {
  const json::array items = server.list("/datasets/" + segment(line.text("NAME")) + "/versions");
  if (server.json_wanted()) return print_json(json::object{{"items", items}}), 0;
  Table table({"VERSION", "EXAMPLES", "CONTENT", "CREATED (UTC)"});
  table.right(0);
  for (const json::value& item : items) {
    const json::object& version = item.as_object();
    table.add({cell(version, "version"), cell(version, "examples"), short_digest(cell(version, "content_hash")),
               short_time(cell(version, "created_at"))});
  }
  table.print("No version.");
  return 0;
}

int export_examples(ServerConnection& server, const CommandLine& line) {
  const platform::HttpResponse answer = server.send(
      platform::Method::kGet,
      "/datasets/" + segment(line.text("NAME")) + "/versions/" + segment(line.text("version")) + "/examples", {}, {});
  platform::write_file_atomically(line.text("out"), answer.checked().body);
  if (server.json_wanted())
    print_json(json::object{{"file", line.text("out")}, {"size_bytes", answer.body.size()}});
  else
    std::printf("Wrote %s, %s bytes. Train on it: anneal train --base BASE --data %s --out ADAPTER\n",
                line.text("out").c_str(), with_separators(static_cast<std::int64_t>(answer.body.size())).c_str(),
                line.text("out").c_str());
  return 0;
}

}  // namespace

ClientCommand datasets_actions() {
  return {"datasets",
          "Immutable snapshots of records that models learned from.",
          {{"list", "Lists the datasets", {"anneal datasets list"}, [](CommandLine&) {}, list},
           {"versions",
            "Lists a dataset's versions, newest first",
            {"anneal datasets versions tool-failure"},
            name_only,
            versions},
           {"export",
            "Writes a version's examples as JSON lines, for anneal train and other tools",
            {"anneal datasets export tool-failure --out examples.jsonl"},
            [](CommandLine& line) {
              name_only(line);
              line.option("version", "N", "number of the version, or latest", {.fallback = "latest"});
              line.option("out", "FILE", "where to write them", {.required = true});
            },
            export_examples},
           {"preview",
            "Shows examples as a base will see them, with what it is taught marked",
            {"anneal datasets preview tool-failure --count 5",
             "anneal datasets preview --data examples.jsonl --base ~/bases/qwen3-4b --split test"},
            declare_preview,
            preview_version,
            preview_file},
           {"distill",
            "Asks a larger, served model for its answers to the prompts, for a student to learn from",
            {"anneal datasets distill --data prompts.jsonl --teacher http://127.0.0.1:8471 --out taught.jsonl",
             "anneal datasets distill tickets --teacher http://10.0.0.7:8000 --base ~/bases/qwen3-1.7b --out "
             "taught.jsonl"},
            declare_distill,
            distill_version,
            distill_file}}};
}

}  // namespace web
