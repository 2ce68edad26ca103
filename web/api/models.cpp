#include "web/api/models.h"

#include <map>

#include "platform/base/error.h"
#include "web/api/project_of.h"
#include "web/api/resource.h"

namespace web {

namespace json = platform::json;
using platform::AliasChange;
using platform::Error;
using platform::ErrorCode;
using platform::Method;
using platform::Model;
using platform::ModelVersion;
using platform::Request;
using platform::Response;

namespace {

json::object to_json(const Model& model) {
  return {{"name", model.name},
          {"versions", model.versions},
          {"aliases", model.aliases},
          {"created_at", platform::format_time(model.created_at)}};
}

json::value gate_verdict(const ModelVersion& version) {
  const json::value* passed = version.gate ? platform::find(*version.gate, "passed") : nullptr;
  return passed == nullptr ? json::value() : *passed;
}

// Without the reports, which can be long.
json::object summary(const ModelVersion& version) {
  return {{"id", version.id.str()},
          {"model", version.model},
          {"version", version.number},
          {"base", version.base},
          {"base_digest", version.base_digest},
          {"adapter_digest", version.adapter_digest},
          {"adapter_blob", version.adapter_blob},
          {"run", version.run},
          {"step", version.step},
          {"dataset_version", version.dataset_version},
          {"gate_passed", gate_verdict(version)},
          {"created_at", platform::format_time(version.created_at)}};
}

json::object to_json(const AliasChange& change) {
  return {{"alias", change.alias},
          {"version", or_null(change.number)},
          {"previous", or_null(change.previous)},
          {"actor", change.actor},
          {"reason", change.reason},
          {"moved_at", platform::format_time(change.moved_at)}};
}

std::optional<platform::Time> asked_moment(const Request& request) {
  const std::string text = request.query_or("at", "");
  return text.empty() ? std::nullopt : std::optional(platform::parse_time(text));
}

std::string reason_in(const json::object& body) {
  const std::string reason = platform::require_string(body, "reason", "");
  if (reason.empty()) throw Error(ErrorCode::kInvalidInput, "say why in `reason`; the history keeps it", "reason");
  return reason;
}

class ModelRoutes {
 public:
  explicit ModelRoutes(ModelServices services) : services_(services) {}

  Response list(const Request& request) const {
    const auto limit = static_cast<int>(request.query_int("limit", 100, 1, 1000));
    const auto found = services_.models.list(project_of(request), request.query_or("after", ""), limit);
    json::array items;
    for (const Model& model : found) items.push_back(to_json(model));
    return platform::json_response(page(std::move(items), limit, "after", found.empty() ? "" : found.back().name));
  }

  Response show(const Request& request) const { return platform::json_response(to_json(require_model(request))); }

  Response versions(const Request& request) const {
    const auto limit = static_cast<int>(request.query_int("limit", 50, 1, 500));
    const auto found = services_.models.versions(project_of(request), require_model(request).name,
                                                 request.query_int("before", 0, 0, INT32_MAX), limit);
    json::array items;
    for (const ModelVersion& version : found) items.push_back(summary(version));
    const bool more = !found.empty() && found.back().number > 1;
    return platform::json_response(
        page(std::move(items), limit, "before", more ? std::to_string(found.back().number) : ""));
  }

  Response version(const Request& request) const {
    const ModelVersion found = require_version(request, request.param("version"));
    json::object body = summary(found);
    body["evaluation"] = found.evaluation;
    body["gate"] = found.gate ? json::value(*found.gate) : json::value();
    json::array names;
    for (const auto& [alias, number] : require_model(request).aliases) {
      if (number == json::value(found.number)) names.emplace_back(alias);
    }
    body["aliases"] = std::move(names);
    return platform::json_response(body);
  }

  Response lineage(const Request& request) const {
    return platform::json_response(services_.registry.lineage(require_version(request, request.param("version"))));
  }

  Response aliases(const Request& request) const {
    const Model model = require_model(request);
    const auto moment = asked_moment(request);
    if (!moment) return platform::json_response(json::object{{"aliases", model.aliases}});
    std::map<std::string, std::int64_t> stood;
    for (const AliasChange& change : services_.models.history(model.project, model.name, "")) {
      if (change.moved_at > *moment) continue;
      stood.erase(change.alias);
      if (change.number) stood.emplace(change.alias, *change.number);
    }
    json::object then;
    for (const auto& [alias, number] : stood) then[alias] = number;
    return platform::json_response(json::object{{"at", platform::format_time(*moment)}, {"aliases", std::move(then)}});
  }

  Response alias(const Request& request) const {
    const Model model = require_model(request);
    const std::string& name = request.param("alias");
    const auto moment = asked_moment(request);
    const auto number = moment ? services_.models.alias_at(model.project, model.name, name, *moment)
                               : services_.models.alias(model.project, model.name, name);
    if (!number) {
      const std::string when = moment ? " was empty at " + platform::format_time(*moment)
                                      : " is empty; set it with PUT, saying version and reason";
      throw Error(ErrorCode::kNotFound, "alias " + name + " of " + model.name + when, "alias");
    }
    json::object body = summary(require_version(request, std::to_string(*number)));
    body["alias"] = name;
    if (moment) body["at"] = platform::format_time(*moment);
    return platform::json_response(body);
  }

  Response move(const Request& request) const {
    const json::object body = body_of(request);
    platform::refuse_unknown_keys(body, {"version", "reason"}, "");
    const std::string reason = reason_in(body);
    const json::value& wanted = platform::require(body, "version", "");
    const ModelVersion version =
        require_version(request, wanted.is_string() ? std::string(wanted.get_string())
                                                    : std::to_string(platform::require_int(body, "version", "")));
    const auto previous = services_.models.alias(version.project, version.model, request.param("alias"));
    services_.registry.set_alias(version.project, version.model, request.param("alias"), version.number,
                                 request.identity.name, reason);
    if (previous != version.number) note(request, "alias.set", version.number, previous, reason);
    return alias(request);
  }

  Response roll_back(const Request& request) const {
    const json::object body = body_of(request);
    platform::refuse_unknown_keys(body, {"reason"}, "");
    const std::string reason = reason_in(body);
    const Model model = require_model(request);
    const auto previous = services_.models.alias(model.project, model.name, request.param("alias"));
    const ModelVersion now =
        services_.registry.roll_back(model.project, model.name, request.param("alias"), request.identity.name, reason);
    note(request, "alias.roll_back", now.number, previous, reason);
    return alias(request);
  }

  Response history(const Request& request) const {
    const Model model = require_model(request);
    json::array items;
    for (const AliasChange& change : services_.models.history(model.project, model.name, request.query_or("alias", "")))
      items.push_back(to_json(change));
    return platform::json_response(json::object{{"items", std::move(items)}});
  }

 private:
  Model require_model(const Request& request) const {
    auto model = services_.models.find(project_of(request), request.param("name"));
    if (!model)
      throw Error(ErrorCode::kNotFound,
                  "there is no model '" + request.param("name") + "'; GET /api/v1/models lists them", "name");
    return *std::move(model);
  }

  ModelVersion require_version(const Request& request, const std::string& version_or_alias) const {
    const Model model = require_model(request);
    auto version = services_.registry.resolve(model.project, model.name, version_or_alias);
    if (!version) {
      throw Error(ErrorCode::kNotFound,
                  "there is no version or alias '" + version_or_alias + "' of " + model.name + "; GET /api/v1/models/" +
                      model.name + "/versions lists them",
                  "version");
    }
    return *std::move(version);
  }

  void note(const Request& request, const std::string& action, std::int64_t number,
            std::optional<std::int64_t> previous, const std::string& reason) const {
    json::object details{
        {"alias", request.param("alias")}, {"version", number}, {"previous", or_null(previous)}, {"reason", reason}};
    services_.audit.append({0,
                            project_of(request),
                            {},
                            request.identity.name,
                            action,
                            "model/" + request.param("name"),
                            std::move(details),
                            {}});
  }

  ModelServices services_;
};

}  // namespace

void add_model_routes(platform::RouteTable& table, ModelServices services) {
  const Handlers<ModelRoutes> bind(services);
  const std::string all = "/api/v1/models", one = all + "/{name}", version = one + "/versions/{version}",
                    alias = one + "/aliases/{alias}";
  const std::vector<platform::QueryParameter> at{{"at", "where it stood at that moment, RFC 3339"}};
  const auto read = [&](const std::string& pattern, std::string summary, auto member,
                        std::vector<platform::QueryParameter> query = {}) {
    table.add({.method = Method::kGet,
               .pattern = pattern,
               .summary = std::move(summary),
               .permission = "models.read",
               .handler = bind(member),
               .query = std::move(query)});
  };
  read(all, "Lists models by name, with their aliases", &ModelRoutes::list,
       {{"after", "names behind this one"}, {"limit", "at most so many"}});
  read(one, "Shows a model", &ModelRoutes::show);
  read(one + "/versions", "Lists a model's versions, newest first", &ModelRoutes::versions,
       {{"before", "numbers below this one"}, {"limit", "at most so many"}});
  read(version, "Shows a version, by number or alias, with its evaluation and gate report", &ModelRoutes::version);
  read(version + "/lineage", "Tells what made a version: base, run, dataset, records", &ModelRoutes::lineage);
  read(one + "/aliases", "Says where the aliases stand, or stood", &ModelRoutes::aliases, at);
  read(alias, "Shows the version an alias stands at, or stood at", &ModelRoutes::alias, at);
  read(one + "/history", "Lists who moved which alias when and why, oldest first", &ModelRoutes::history,
       {{"alias", "of this alias only"}});
  table.add({Method::kPut, alias, "Moves an alias; production moves only to a version whose gate passed",
             "models.write", bind(&ModelRoutes::move)});
  table.add({Method::kPost, alias + "/rollback", "Moves an alias back to the version before", "models.write",
             bind(&ModelRoutes::roll_back)});
}

}  // namespace web
