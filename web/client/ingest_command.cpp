// `anneal ingest`: files of records through the door for pushed records.
#include <algorithm>
#include <cstdio>

#include "connectors/profiles.h"
#include "platform/base/did_you_mean.h"
#include "platform/base/digest.h"
#include "web/client/action_tables.h"
#include "web/client/portions.h"
#include "web/client/progress_bar.h"
#include "web/client/server_connection.h"
#include "web/client/settings.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;
using platform::CommandLine;
using platform::Error;
using platform::ErrorCode;

namespace {

constexpr std::size_t kShownRejections = 20;

struct Totals {
  std::int64_t accepted = 0, duplicates = 0;
  json::array rejected;  // {file, line, path, code, message}
};

std::map<std::string, std::string> query_settings(const CommandLine& line) {
  std::vector<std::string_view> known = connectors::input_format_keys();
  std::erase(known, "constants");  // an object has no place in a query
  std::map<std::string, std::string> query;
  for (const std::string& pair : line.all("set")) {
    auto [key, value] = key_and_value(pair, "--set");
    if (std::find(known.begin(), known.end(), key) == known.end())
      throw Error(ErrorCode::kInvalidInput,
                  "--set knows no '" + key + "'" + platform::did_you_mean(key, known) + "; see anneal ingest --help");
    query[key] = std::move(value);
  }
  return query;
}

// As the server reads these words of a query.
json::object input_of(const std::map<std::string, std::string>& query) {
  json::object input;
  for (const auto& [key, text] : query) {
    if (key == "header" || key == "decimal_comma" || key == "detect_types") {
      if (text != "true" && text != "false")
        throw Error(ErrorCode::kInvalidInput, "--set " + key + " is true or false, not '" + text + "'");
      input[key] = text == "true";
    } else if (key == "first_row") {
      input[key] = settings_from({key + "=" + text}, "--set")[key];  // a number, or refused with the others below
    } else if (key == "columns") {
      json::array columns;
      for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        columns.emplace_back(text.substr(at, comma - at));
        at = comma + 1;
      }
      input[key] = std::move(columns);
    } else {
      input[key] = text;
    }
  }
  return input;
}

// How the server will read the records: profile, source and --set, the later ones winning. A profile that only the
// server has is not known here; the server still applies it.
connectors::InputFormat effective_input(ServerConnection& server, const CommandLine& line,
                                        const std::map<std::string, std::string>& query) {
  const json::object status = server.get("/sources/" + segment(line.text("SOURCE")));
  const json::object& source = platform::as_object(platform::require(status, "source", ""), "source");
  json::object input;
  const std::string profile = platform::string_or(source, "profile", "", "source");
  try {
    if (!profile.empty())
      input = connectors::load_profile(profile, platform::data_folder(line.text("data-folder"))).input;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
  }
  const json::object settings = platform::find(source, "settings") == nullptr
                                    ? json::object{}
                                    : platform::as_object(source.at("settings"), "settings");
  if (const json::value* own = platform::find(settings, "input"))
    input = connectors::merged(std::move(input), platform::as_object(*own, "settings.input"));
  return connectors::InputFormat::from_json(connectors::merged(std::move(input), input_of(query)), "--set");
}

std::string target_of(const CommandLine& line, std::map<std::string, std::string> query, const Portion& portion) {
  for (const auto& [key, value] : portion.query) query[key] = value;
  std::string target = "/sources/" + segment(line.text("SOURCE")) + "/records";
  char mark = '?';
  for (const auto& [key, value] : query) {
    target += mark + key + "=" + platform::percent_encode(value);
    mark = '&';
  }
  return target;
}

void take_answer(Totals& totals, const json::object& answer, const std::string& file, const Portion& portion) {
  totals.accepted += platform::require_int(answer, "accepted", "");
  totals.duplicates += platform::require_int(answer, "duplicates", "");
  for (const json::value& each : platform::as_array(platform::require(answer, "rejected", ""), "rejected")) {
    json::object one = each.as_object();
    one["line"] = platform::int_or(one, "line", 0, "rejected") + portion.line_shift;
    one["file"] = file;
    totals.rejected.push_back(std::move(one));
  }
}

void send_file(ServerConnection& server, const CommandLine& line, const std::string& file,
               const std::map<std::string, std::string>& query, const connectors::InputFormat& input, Totals& totals) {
  const std::int64_t size = line.integer("portion-mib");
  if (size < 1 || size > 60)
    throw Error(ErrorCode::kInvalidInput, "--portion-mib lies between 1 and 60, not " + line.text("portion-mib"));
  PortionReader reader(file, input, static_cast<std::size_t>(size) << 20);
  ProgressBar bar(file, reader.total_bytes());
  std::uint64_t done = 0;
  bar.show(0, {});
  while (auto portion = reader.next()) {
    const std::string target = target_of(line, query, *portion);
    // The same portion again, after a break or by a second call, is answered as the first time.
    const platform::Headers headers{
        {"Idempotency-Key", platform::sha256_hex(target + "\n" + portion->body).substr(0, 40)}};
    const platform::HttpResponse answer =
        server.send(platform::Method::kPost, target, std::move(portion->body), portion->content_type, headers);
    take_answer(totals, answer.checked().json().as_object(), file, *portion);
    done += portion->file_bytes;
    bar.show(done, with_separators(totals.accepted) + " accepted");
  }
}

void print_totals(const Totals& totals, const std::string& source) {
  std::printf("%s: accepted %s, duplicates %s, rejected %s\n", source.c_str(), with_separators(totals.accepted).c_str(),
              with_separators(totals.duplicates).c_str(),
              with_separators(static_cast<std::int64_t>(totals.rejected.size())).c_str());
  for (std::size_t i = 0; i < std::min(kShownRejections, totals.rejected.size()); ++i) {
    const json::object& one = totals.rejected[i].as_object();
    const std::string path = cell(one, "path");
    std::printf("%s:%s: %s%s\n", cell(one, "file").c_str(), cell(one, "line").c_str(),
                path.empty() ? "" : (path + ": ").c_str(), cell(one, "message").c_str());
  }
  if (totals.rejected.size() > kShownRejections)
    std::printf("... and %s more; --json lists them all\n",
                with_separators(static_cast<std::int64_t>(totals.rejected.size() - kShownRejections)).c_str());
}

void declare(CommandLine& line) {
  line.argument("SOURCE", "name of the source");
  line.arguments("FILE", "CSV, JSON lines or a JSON array; - is standard input");
  line.option("set", "KEY=VALUE",
              "how the file is read: columns=a,b,c; header, delimiter, decimal_comma, row_number=FIELD, first_row=N, "
              "time=FIELD, key=TEMPLATE, format, split_last, detect_types; may stand several times",
              {.repeated = true});
  line.option("portion-mib", "N",
              "larger files go in portions of this size; records without a key of their own that are equal in two "
              "portions count as one",
              {.fallback = "8"});
  line.flag("tolerate-rejected", "exit code 0 even if records were rejected; else it is 2");
}

int ingest(ServerConnection& server, const CommandLine& line) {
  const std::map<std::string, std::string> query = query_settings(line);
  const connectors::InputFormat input = effective_input(server, line, query);
  Totals totals;
  for (const std::string& file : line.all("FILE")) send_file(server, line, file, query, input, totals);
  if (server.json_wanted()) {
    print_json(json::object{{"source", line.text("SOURCE")},
                            {"accepted", totals.accepted},
                            {"duplicates", totals.duplicates},
                            {"rejected", totals.rejected}});
  } else {
    print_totals(totals, line.text("SOURCE"));
  }
  return totals.rejected.empty() || line.has("tolerate-rejected") ? 0 : 2;
}

}  // namespace

ClientCommand ingest_actions() {
  return {
      "ingest",
      "Sends files of records to a source.",
      {{"",
        "Sends files of records to a source; every line that is acknowledged is stored, and sending a file twice "
        "stores it once",
        {"anneal ingest line-3 parts.csv",
         "anneal ingest engines train.txt --set columns=unit,cycle,s1,s2 --set delimiter=space --set row_number=row",
         "gzip -dc log.jsonl.gz | anneal ingest line-3 -"},
        declare,
        ingest}}};
}

}  // namespace web
