#include "web/api/datasets.h"

#include <charconv>

#include "platform/base/error.h"
#include "web/api/project_of.h"
#include "web/api/resource.h"

namespace web {

namespace json = platform::json;
using platform::Dataset;
using platform::DatasetVersion;
using platform::Error;
using platform::ErrorCode;
using platform::Method;
using platform::Request;
using platform::Response;

namespace {

// Without schema, statistics and report, which can be long.
json::object summary(const DatasetVersion& version) {
  return {{"id", version.id.str()},     {"dataset", version.dataset},
          {"version", version.number},  {"content_hash", version.content_hash},
          {"blob", version.blob},       {"examples", version.counts},
          {"lineage", version.lineage}, {"created_at", platform::format_time(version.created_at)}};
}

class DatasetRoutes {
 public:
  explicit DatasetRoutes(DatasetServices services) : services_(services) {}

  Response list(const Request& request) const {
    const auto limit = static_cast<int>(request.query_int("limit", 100, 1, 1000));
    const auto found = services_.datasets.list(project_of(request), request.query_or("after", ""), limit);
    json::array items;
    for (const Dataset& dataset : found) {
      items.push_back(json::object{{"name", dataset.name},
                                   {"versions", dataset.versions},
                                   {"created_at", platform::format_time(dataset.created_at)}});
    }
    return platform::json_response(page(std::move(items), limit, "after", found.empty() ? "" : found.back().name));
  }

  Response versions(const Request& request) const {
    const auto limit = static_cast<int>(request.query_int("limit", 50, 1, 500));
    const std::int64_t before = request.query_int("before", 0, 0, INT32_MAX);
    const auto found = services_.datasets.versions(project_of(request), request.param("name"), before, limit);
    if (found.empty() && before == 0) throw no_dataset(request);
    json::array items;
    for (const DatasetVersion& version : found) items.push_back(summary(version));
    const bool more = !found.empty() && found.back().number > 1;
    return platform::json_response(
        page(std::move(items), limit, "before", more ? std::to_string(found.back().number) : ""));
  }

  Response version(const Request& request) const {
    const DatasetVersion found = require(request);
    json::object body = summary(found);
    body["schema"] = found.schema;
    body["statistics"] = found.statistics;
    body["report"] = found.report;
    return platform::json_response(body);
  }

  Response examples(const Request& request) const {
    const DatasetVersion found = require(request);
    services_.blobs.size(found.blob);  // throws kNotFound
    Response response =
        platform::file_response(services_.blobs.path_of(found.blob), "application/x-ndjson", found.blob);
    response.headers["Content-Disposition"] =
        "attachment; filename=\"" + found.dataset + "-" + std::to_string(found.number) + ".jsonl\"";
    response.headers["Cache-Control"] = "private, immutable, max-age=31536000";
    return response;
  }

 private:
  static Error no_dataset(const Request& request) {
    return Error(ErrorCode::kNotFound,
                 "there is no dataset '" + request.param("name") + "'; GET /api/v1/datasets lists them", "name");
  }

  // By number, or "latest".
  DatasetVersion require(const Request& request) const {
    const std::string& dataset = request.param("name");
    const std::string& wanted = request.param("version");
    if (wanted == "latest") {
      auto newest = services_.datasets.versions(project_of(request), dataset, 0, 1);
      if (newest.empty()) throw no_dataset(request);
      return std::move(newest.front());
    }
    std::int32_t number = 0;
    const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
    if (error == std::errc() && end == wanted.data() + wanted.size()) {
      if (auto version = services_.datasets.find_version(project_of(request), dataset, number))
        return *std::move(version);
    }
    throw Error(
        ErrorCode::kNotFound,
        "there is no version " + dataset + "/" + wanted + "; GET /api/v1/datasets/" + dataset + "/versions lists them",
        "version");
  }

  DatasetServices services_;
};

}  // namespace

void add_dataset_routes(platform::RouteTable& table, DatasetServices services) {
  const Handlers<DatasetRoutes> bind(services);
  const std::string all = "/api/v1/datasets", versions = all + "/{name}/versions", one = versions + "/{version}";
  const auto read = [&](const std::string& pattern, std::string summary, auto member,
                        std::vector<platform::QueryParameter> query = {}) {
    table.add({.method = Method::kGet,
               .pattern = pattern,
               .summary = std::move(summary),
               .permission = "datasets.read",
               .handler = bind(member),
               .query = std::move(query)});
  };
  read(all, "Lists datasets by name", &DatasetRoutes::list,
       {{"after", "names behind this one"}, {"limit", "at most so many"}});
  read(versions, "Lists a dataset's versions, newest first", &DatasetRoutes::versions,
       {{"before", "numbers below this one"}, {"limit", "at most so many"}});
  read(one, "Shows a version, by number or `latest`, with schema, statistics, pre-flight report and lineage",
       &DatasetRoutes::version);
  read(one + "/examples", "Downloads the examples as canonical JSON lines; Range resumes a download",
       &DatasetRoutes::examples);
}

}  // namespace web
