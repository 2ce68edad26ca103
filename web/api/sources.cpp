#include "web/api/sources.h"

#include "connectors/profiles.h"
#include "connectors/registry.h"
#include "platform/security/roles.h"
#include "web/api/project_of.h"
#include "web/api/resource.h"
#include "workflows/duration.h"

namespace web {

using platform::Error;
using platform::ErrorCode;
using platform::Method;
using platform::Request;
using platform::Response;
using platform::Source;
namespace json = platform::json;

namespace {

constexpr std::size_t kRecordsLimit = std::size_t{64} << 20;
constexpr int kPage = 500;  // sources read at a time when the server starts

json::object to_json(const Source& source) {
  return {{"name", source.name},
          {"connector", source.connector},
          {"settings", source.settings},
          {"profile", source.profile},
          {"schedule", source.schedule},
          {"owner", source.owner},
          {"location", source.location},
          {"state", source.state},
          {"kind", platform::to_string(source.kind)},
          {"created_at", platform::format_time(source.created_at)}};
}

json::value to_json(const platform::SourceGap& gap) {
  return json::object{
      {"from", platform::format_time(gap.from)}, {"to", platform::format_time(gap.to)}, {"reason", gap.reason}};
}

// A setting of the query: true, false, whole numbers and comma-separated columns as what they mean.
json::object input_of_query(const Request& request) {
  json::object input;
  for (const std::string_view key : connectors::input_format_keys()) {
    const auto found = request.query.find(key);
    if (found == request.query.end()) continue;
    const std::string& text = found->second;
    if (key == "header" || key == "decimal_comma" || key == "detect_types") {
      input[key] = text == "true";
    } else if (key == "first_row") {
      input[key] = request.query_int("first_row", 1, 0, INT64_MAX / 2);
    } else if (key == "columns") {
      json::array columns;
      for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        columns.emplace_back(text.substr(at, comma - at));
        at = comma + 1;
      }
      input[key] = std::move(columns);
    } else if (key != "constants") {
      input[key] = text;
    }
  }
  return input;
}

// "30s" -> how long to wait between two readings.
std::chrono::milliseconds interval_of(const std::string& schedule) {
  const std::optional<std::chrono::seconds> interval = workflows::duration_from(schedule);
  if (interval && interval->count() > 0) return *interval;
  throw Error(ErrorCode::kInvalidInput,
              "the schedule of a source is the time between two readings, such as 30s, 5m or 1h, not '" + schedule +
                  "'; runs are what a workflow's own schedule starts",
              "schedule");
}

// What nobody makes by hand, and what an administrator alone makes.
void check_may_create(const Source& source, const platform::Identity& asking) {
  if (source.name.starts_with(platform::kFeedbackPrefix))
    throw Error(ErrorCode::kInvalidInput,
                "names that begin with '" + std::string(platform::kFeedbackPrefix) +
                    "' are for what agents report, not " + source.name + "; choose another name",
                "name");
  const auto role = platform::find_role(asking.role);
  if (!connectors::connector_kind(source.connector).calls_out || (role && platform::allows(*role, "sources.call_out")))
    return;
  throw Error(ErrorCode::kForbidden,
              "connector '" + source.connector + "' makes the server call the address that its settings name, which " +
                  "role '" + asking.role + "' of '" + asking.name +
                  "' may not choose; ask an admin to create the source, then start it yourself",
              "connector");
}

// The handlers; each takes what it needs from the request and answers.
class SourceRoutes {
 public:
  explicit SourceRoutes(SourceServices services) : services_(services) {}

  Source require(const Request& request) const {
    std::optional<Source> source = services_.sources.find(project_of(request), request.param("name"));
    if (!source)
      throw Error(ErrorCode::kNotFound,
                  "there is no source '" + request.param("name") + "'; create it with POST /api/v1/sources", "name");
    return *std::move(source);
  }

  Response create(const Request& request) const {
    const json::object body = body_of(request);
    platform::refuse_unknown_keys(body, {"name", "connector", "settings", "profile", "schedule", "owner", "location"},
                                  "");
    Source source;
    source.project = project_of(request);
    source.name = platform::require_string(body, "name", "");
    source.connector = platform::string_or(body, "connector", "rest_push", "");
    if (const json::value* settings = platform::find(body, "settings"))
      source.settings = platform::as_object(*settings, "settings");
    source.profile = platform::string_or(body, "profile", "", "");
    source.schedule = platform::string_or(body, "schedule", "", "");
    if (!source.schedule.empty()) interval_of(source.schedule);
    source.owner = platform::string_or(body, "owner", request.identity.name, "");
    source.location = platform::string_or(body, "location", "", "");
    check_may_create(source, request.identity);
    connectors::make_connector(source_config(source, services_));  // refuses settings that cannot work
    services_.sources.create(source);
    return platform::json_response(to_json(*services_.sources.find(source.project, source.name)), 201);
  }

  Response list(const Request& request) const {
    const auto limit = static_cast<int>(request.query_int("limit", 100, 1, 1000));
    json::array items;
    std::string last;
    for (const Source& source : services_.sources.list(project_of(request), request.query_or("after", ""), limit)) {
      items.push_back(to_json(source));
      last = source.name;
    }
    return platform::json_response(page(std::move(items), limit, "after", last));
  }

  Response remove(const Request& request) const {
    services_.supervisor.stop(source_id(require(request)));
    services_.sources.remove(project_of(request), request.param("name"));
    return platform::empty_response();
  }

  Response status(const Request& request) const {
    const Source source = require(request);
    json::object out{{"source", to_json(source)}, {"records", services_.records.count(source.project, source.name)}};
    if (const auto status = services_.supervisor.status(source_id(source)))
      out["reader"] = connectors::to_json(*status);
    return platform::json_response(out);
  }

  Response gaps(const Request& request) const {
    json::array items;
    for (const auto& gap : services_.sources.gaps(project_of(request), require(request).name))
      items.push_back(to_json(gap));
    return platform::json_response(json::object{{"items", std::move(items)}});
  }

  Response check(const Request& request) const {
    const connectors::CheckResult result =
        connectors::make_connector(source_config(require(request), services_))->check();
    return platform::json_response(json::object{{"ok", result.ok}, {"message", result.message}});
  }

  Response discover(const Request& request) const {
    json::array streams;
    for (const auto& stream : connectors::make_connector(source_config(require(request), services_))->discover()) {
      streams.push_back(json::object{{"name", stream.name}, {"fields", platform::to_json(stream.fields)}});
    }
    return platform::json_response(json::object{{"streams", std::move(streams)}});
  }

  Response start(const Request& request) const {
    const Source source = require(request);
    if (!connectors::connector_kind(source.connector).pushed)
      services_.supervisor.start(source_config(source, services_));
    services_.sources.set_state(source.project, source.name, "running");
    return status(request);
  }

  Response stop(const Request& request) const {
    const Source source = require(request);
    services_.supervisor.stop(source_id(source));
    services_.sources.set_state(source.project, source.name, "stopped");
    return status(request);
  }

  Response post_records(const Request& request) const {
    const Source source = require(request);
    const connectors::SourceConfig config = source_config(source, services_);
    json::object settings = config.profile.input;
    if (const json::value* own = platform::find(config.settings, "input"))
      settings = connectors::merged(std::move(settings), platform::as_object(*own, "settings.input"));
    const auto input =
        connectors::InputFormat::from_json(connectors::merged(std::move(settings), input_of_query(request)), "query");
    connectors::ParsedRecords parsed =
        connectors::parse_records(request.body, request.content_type(), input, config.profile, source.name);
    platform::IngestRequest ingest;
    ingest.project = source.project;
    ingest.source = source.name;
    ingest.records = std::move(parsed.records);
    ingest.idempotency_key = request.header("Idempotency-Key").value_or("");
    const platform::IngestResult result = services_.records.ingest(std::move(ingest));
    json::array rejected;
    for (const auto& error : parsed.errors) rejected.push_back(connectors::to_json(error));
    return platform::json_response(json::object{
        {"accepted", result.accepted}, {"duplicates", result.duplicates}, {"rejected", std::move(rejected)}});
  }

  Response latest(const Request& request) const {
    const Source source = require(request);
    json::array items;
    for (const auto& row : services_.records.latest(source.project, source.name,
                                                    static_cast<int>(request.query_int("limit", 20, 1, 500)))) {
      json::object one{{"key", row.key}, {"fields", row.fields}, {"quality", row.usable ? "good" : "bad"}};
      if (row.event_time != platform::Time{}) one["event_time"] = platform::format_time(row.event_time);
      items.push_back(std::move(one));
    }
    return platform::json_response(json::object{{"items", std::move(items)}});
  }

 private:
  SourceServices services_;
};

}  // namespace

std::string source_id(const Source& source) { return source.project + "/" + source.name; }

json::value StoreSink::cursor(const std::string& source) {
  const std::size_t slash = source.find('/');
  return records_.cursor(source.substr(0, slash), source.substr(slash + 1));
}

void StoreSink::store(const std::string& source, const connectors::RecordBatch& batch) {
  const std::size_t slash = source.find('/');
  platform::IngestRequest request;
  request.project = source.substr(0, slash);
  request.source = source.substr(slash + 1);
  request.records = batch.records;
  for (const connectors::Gap& gap : batch.gaps) request.gaps.push_back({gap.from, gap.to, gap.reason});
  request.cursor = batch.cursor;
  records_.ingest(std::move(request));
}

connectors::SourceConfig source_config(const Source& source, const SourceServices& services) {
  services.files.check(source);
  connectors::SourceConfig config;
  config.id = source_id(source);
  config.name = source.name;
  config.connector = source.connector;
  config.settings = source.settings;
  config.file_allowed = services.files.rule();
  if (!source.schedule.empty() && !connectors::connector_kind(source.connector).pushed)
    config.interval = interval_of(source.schedule);
  if (!source.profile.empty())
    config.profile = connectors::load_profile(source.profile, services.data, config.file_allowed);
  return config;
}

void add_source_routes(platform::RouteTable& table, SourceServices services) {
  const Handlers<SourceRoutes> bind(services);
  const std::string all = "/api/v1/sources", one = all + "/{name}";
  table.add({Method::kPost, all, "Creates a source", "sources.write", bind(&SourceRoutes::create)});
  table.add({Method::kGet, all, "Lists sources by name", "sources.read", bind(&SourceRoutes::list)});
  table.add({Method::kGet, one, "Shows a source, how many records it has and how its reader does", "sources.read",
             bind(&SourceRoutes::status)});
  table.add({Method::kDelete, one, "Removes a source with its records", "sources.write", bind(&SourceRoutes::remove)});
  table.add({Method::kGet, one + "/gaps", "Lists what the source is known to have lost", "sources.read",
             bind(&SourceRoutes::gaps)});
  table.add({Method::kPost, one + "/check", "Tries the source without taking anything", "sources.write",
             bind(&SourceRoutes::check)});
  table.add({Method::kPost, one + "/discover", "Says what can be read from the source", "sources.write",
             bind(&SourceRoutes::discover)});
  table.add({Method::kPost, one + "/start", "Starts reading", "sources.write", bind(&SourceRoutes::start)});
  table.add({Method::kPost, one + "/stop", "Stops reading after the batch under way", "sources.write",
             bind(&SourceRoutes::stop)});
  table.add({Method::kGet, one + "/records", "Shows the records that came last", "sources.read",
             bind(&SourceRoutes::latest)});
  table.add({Method::kPost, one + "/records", "Stores records: JSON array, NDJSON or CSV; answers after the commit",
             "records.write", bind(&SourceRoutes::post_records), kRecordsLimit});
}

void start_running_sources(SourceServices services, const std::string& project, const platform::Log& log) {
  std::vector<Source> page;
  for (std::string after;; after = page.back().name) {
    page = services.sources.list(project, after, kPage);
    for (const Source& source : page) {
      if (source.state != "running") continue;
      try {  // one source that cannot start must not keep the server down
        if (!connectors::connector_kind(source.connector).pushed)
          services.supervisor.start(source_config(source, services));
      } catch (const Error& error) {
        log.error("a source cannot be started", {{"source", source_id(source)}, {"error", platform::in_full(error)}});
      }
    }
    if (page.size() < static_cast<std::size_t>(kPage)) return;
  }
}

}  // namespace web
