#include <array>
#include <cstdio>
#include <utility>

#include "platform/base/error.h"
#include "platform/dataset/storable.h"
#include "web/api/deployments.h"
#include "web/api/project_of.h"
#include "web/api/resource.h"

namespace web {

namespace json = platform::json;
using platform::Agent;
using platform::Deployment;
using platform::Error;
using platform::ErrorCode;
using platform::Method;
using platform::Request;
using platform::Response;

json::object to_json(const Agent& agent) {
  json::object labels;
  for (const auto& [key, value] : agent.labels) labels[key] = value;
  return {{"name", agent.name},
          {"labels", std::move(labels)},
          {"model", agent.model},
          {"model_version", agent.model_version},
          {"adapter_digest", agent.adapter_digest},
          {"registered_at", platform::format_time(agent.registered_at)},
          {"last_seen", platform::format_time(agent.last_seen)},
          {"notice", agent.notice},
          {"notice_at", agent.notice_at ? json::value(platform::format_time(*agent.notice_at)) : json::value()}};
}

namespace {

constexpr std::size_t kRecordsLimitBytes = std::size_t{64} << 20;

std::string hours_minutes_seconds(std::chrono::seconds sleep) {
  std::array<char, 32> text{};
  const long seconds = static_cast<long>(sleep.count());
  std::snprintf(text.data(), text.size(), "%02ld:%02ld:%02ld", seconds / 3600, seconds / 60 % 60, seconds % 60);
  return text.data();
}

// Feedback joined with the answer that it is about, as a record that a dataset can learn from: what was asked, and
// under the target's name what really happened.
platform::Observation joined(const platform::UnmatchedFeedback& given, const platform::PredictionRecord& prediction) {
  const json::value document = platform::parse_json(given.body, "feedback");
  const json::object& feedback = platform::as_object(document, "feedback");
  platform::Observation record;
  record.key = given.key;
  record.event_time = platform::parse_time(platform::require_string(feedback, "at", "feedback"));
  const json::value fields = platform::parse_json(prediction.fields, "prediction");
  if (fields.is_object())
    record.fields = fields.as_object();
  else
    record.fields["rows"] = fields;
  const std::string target = prediction.target.empty() ? "outcome" : prediction.target;
  record.fields[target] = platform::require(feedback, "outcome", "feedback");
  record.fields["anneal.prediction"] = prediction.id;
  record.fields["anneal.answer"] = platform::parse_json(prediction.answer, "prediction");
  record.fields["anneal.agent"] = prediction.agent;
  record.fields["anneal.model_version"] = prediction.model_version;
  record.fields["anneal.adapter_digest"] = prediction.adapter_digest;
  return record;
}

platform::PredictionRecord prediction_from(const json::object& body, const std::string& project,
                                           const std::string& agent) {
  platform::PredictionRecord prediction;
  prediction.id = platform::require_string(body, "id", "prediction");
  if (!platform::is_uuid(prediction.id))
    throw Error(ErrorCode::kInvalidInput, "not a prediction's id: " + prediction.id, "id");
  prediction.project = project;
  prediction.agent = agent;
  prediction.model = platform::require_string(body, "model", "prediction");
  prediction.model_version = platform::require_string(body, "model_version", "prediction");
  prediction.adapter_digest = platform::require_string(body, "adapter_digest", "prediction");
  prediction.at = platform::parse_time(platform::require_string(body, "at", "prediction"));
  prediction.fields = platform::canonical_json(platform::require(body, "fields", "prediction"));
  prediction.answer = platform::canonical_json(platform::require(body, "answer", "prediction"));
  prediction.target = platform::string_or(body, "target", "", "prediction");
  return prediction;
}

platform::UnmatchedFeedback feedback_from(const std::string& key, const json::object& body, const std::string& project,
                                          const std::string& agent) {
  const std::string prediction = platform::require_string(body, "prediction", "feedback");
  if (!platform::is_uuid(prediction))
    throw Error(ErrorCode::kInvalidInput, "not a prediction's id: " + prediction, "prediction");
  platform::parse_time(platform::require_string(body, "at", "feedback"));
  platform::require(body, "outcome", "feedback");
  // Two machines may number their feedback alike.
  const std::string own = agent + "/" + prediction + "/";
  return {project, prediction, key.starts_with(own) ? key : own + key, agent, platform::canonical_json(body)};
}

class AgentRoutes {
 public:
  explicit AgentRoutes(DeploymentServices services) : services_(std::move(services)) {}

  Response list(const Request& request) const {
    json::array items;
    const auto unmatched = services_.store.unmatched_counts(project_of(request));
    for (const Agent& agent : services_.store.agents(project_of(request))) {
      json::object item = to_json(agent);
      const auto waiting = unmatched.find(agent.name);
      item["unmatched_feedback"] = waiting == unmatched.end() ? 0 : waiting->second;
      if (waiting != unmatched.end())
        item["unmatched_reason"] =
            "no prediction with these ids has come from any agent; it teaches nothing until then";
      items.push_back(std::move(item));
    }
    return platform::json_response(json::object{{"items", std::move(items)}});
  }

  Response describe(const Request& request) const {
    const json::object body = body_of(request);
    Agent agent;
    agent.project = project_of(request);
    agent.name = name_of(request);
    for (const auto& label : platform::as_object(platform::require(body, "data", ""), "data")) {
      if (!label.value().is_string())
        throw Error(ErrorCode::kInvalidInput, "a label is text", "data." + std::string(label.key()));
      agent.labels[std::string(label.key())] = std::string(label.value().as_string());
    }
    agent.model = platform::string_or(body, "model", "", "");
    agent.model_version = platform::string_or(body, "model_version", "", "");
    agent.adapter_digest = platform::string_or(body, "adapter_digest", "", "");
    services_.store.register_agent(agent);
    services_.deployments.agent_appeared(agent);
    if (body.contains("adapter_digest")) services_.deployments.agent_answers_with(agent);
    return platform::json_response(json::object{{"name", agent.name}});
  }

  Response poll(const Request& request) const {
    const std::string name = name_of(request);
    const auto agent = services_.store.find_agent(project_of(request), name);
    if (!agent)
      throw Error(ErrorCode::kNotFound,
                  "agent is not registered: " + name + "; PUT /api/v1/agents/" + name + "/configData first", "name");
    services_.store.seen(agent->project, name);
    json::object links{{"configData", json::object{{"href", path_of(name) + "/configData"}}}};
    if (const auto offered = services_.store.offered_to(agent->project, name))
      links["deploymentBase"] = json::object{{"href", path_of(name) + "/deploymentBase/" + offered->id.str()}};
    json::object body = to_json(*agent);
    body["config"] = json::object{{"polling", json::object{{"sleep", hours_minutes_seconds(services_.poll)}}}};
    body["_links"] = std::move(links);
    return platform::json_response(body);
  }

  Response offer(const Request& request) const {
    const auto offered = services_.store.offered_to(project_of(request), name_of(request));
    if (!offered || offered->id.str() != request.param("id")) return gone(request);
    const deploy::BundleMetadata metadata = services_.deployments.metadata(*offered, services_.timestamp_valid);
    const deploy::Targets targets = deploy::targets_in(metadata.targets);
    json::array artifacts;
    for (const auto& [path, file] : targets.files)
      artifacts.push_back(json::object{
          {"filename", path},
          {"size", file.size},
          {"hashes", json::object{{"sha256", file.digest.substr(7)}}},
          {"_links", json::object{{"download", json::object{{"href", "/api/v1/artifacts/" + file.digest}}}}}});
    json::object chunk{{"part", "model"},
                       {"name", targets.model},
                       {"version", targets.model_version},
                       {"artifacts", std::move(artifacts)}};
    return platform::json_response(json::object{
        {"id", offered->id.str()},
        {"deployment",
         json::object{{"download", "forced"}, {"update", "forced"}, {"chunks", json::array{std::move(chunk)}}}},
        {"metadata", json::object{{"timestamp", metadata.timestamp}, {"targets", metadata.targets}}}});
  }

  Response report(const Request& request) const {
    const auto deployment = services_.store.find(project_of(request), request.param("id"));
    if (!deployment) return gone(request);
    const json::object body = body_of(request);
    const json::object& status = platform::as_object(platform::require(body, "status", ""), "status");
    const json::object& result = platform::as_object(platform::require(status, "result", "status"), "status.result");
    std::string detail;
    if (const json::value* details = platform::find(status, "details"))
      for (const std::string& line : platform::strings_from(*details, "status.details"))
        detail += (detail.empty() ? "" : "; ") + line;
    services_.deployments.report(*deployment, name_of(request), platform::require_string(body, "key", ""),
                                 platform::string_or(body, "state", "", ""),
                                 platform::require_string(status, "execution", "status"),
                                 platform::require_string(result, "finished", "status.result"),
                                 platform::string_or(body, "code", "", ""), detail);
    return platform::json_response(json::object{{"taken", true}});
  }

  Response records(const Request& request) const {
    const std::string project = project_of(request), agent = name_of(request);
    const json::value body = request.json_body();
    std::vector<platform::PredictionRecord> predictions;
    std::vector<platform::UnmatchedFeedback> feedback;
    for (const json::value& entry : platform::as_array(body, "body")) {
      const json::object& object = platform::as_object(entry, "body");
      const json::object& content = platform::as_object(platform::require(object, "body", "body"), "body");
      const std::string kind = platform::require_string(object, "kind", "body");
      platform::require_storable(entry, "body");
      if (kind == "prediction")
        predictions.push_back(prediction_from(content, project, agent));
      else if (kind == "feedback")
        feedback.push_back(feedback_from(platform::require_string(object, "key", "body"), content, project, agent));
      else if (kind == "notice")
        take_notice(content, project, agent);
      else
        throw Error(ErrorCode::kInvalidInput, "unknown kind of entry: " + kind, "kind");
    }
    const std::int64_t fresh = services_.store.add_predictions(predictions);
    std::int64_t unmatched = 0;
    for (const auto& outcome : feedback) unmatched += take_or_keep(outcome) ? 0 : 1;
    match_kept(project, predictions);
    return platform::json_response(json::object{{"predictions", fresh},
                                                {"feedback", feedback.size() - static_cast<std::size_t>(unmatched)},
                                                {"unmatched", unmatched}});
  }

 private:
  // An agent's own token speaks for that agent only.
  static const std::string& name_of(const Request& request) {
    const std::string& name = request.param("name");
    if (request.identity.role == "agent" && request.identity.name != name)
      throw Error(ErrorCode::kForbidden, "this token belongs to agent " + request.identity.name + ", not to " + name,
                  "name");
    return name;
  }
  static std::string path_of(const std::string& name) { return "/api/v1/agents/" + platform::percent_encode(name); }

  static Response gone(const Request& request) {
    return platform::json_response(
        json::object{{"type", "about:blank"},
                     {"title", "Gone"},
                     {"status", 410},
                     {"code", "gone"},
                     {"detail", "deployment " + request.param("id") + " is not offered to this agent any more"},
                     {"request_id", request.request_id}},
        410);
  }

  void take_notice(const json::object& content, const std::string& project, const std::string& agent) const {
    services_.store.notice(project, agent, platform::require_string(content, "text", "notice"),
                           platform::parse_time(platform::require_string(content, "at", "notice")));
  }

  // False if the answer that it is about is not known, yet or ever: then it is kept.
  bool take_or_keep(const platform::UnmatchedFeedback& feedback) const {
    if (take(feedback)) return true;
    services_.store.keep_unmatched(feedback);
    return false;
  }

  // Feedback may come before its prediction: by way of another agent, or after the agent was away.
  void match_kept(const std::string& project, const std::vector<platform::PredictionRecord>& predictions) const {
    std::vector<std::string> ids;
    for (const auto& prediction : predictions) ids.push_back(prediction.id);
    if (ids.empty()) return;
    for (const auto& kept : services_.store.unmatched(project, ids))
      if (take(kept)) services_.store.drop_unmatched(kept);
  }

  // False if the prediction is not there; the record's key makes a second delivery harmless.
  bool take(const platform::UnmatchedFeedback& feedback) const {
    const auto prediction = services_.store.find_prediction(feedback.project, feedback.prediction);
    if (!prediction) return false;
    platform::IngestRequest ingest;
    ingest.project = feedback.project;
    ingest.source = std::string(platform::kFeedbackPrefix) + prediction->model;
    ingest.from = platform::SourceKind::kFeedback;
    ingest.records.push_back(joined(feedback, *prediction));
    make_source(ingest.project, ingest.source);
    services_.records.ingest(std::move(ingest));
    return true;
  }

  void make_source(const std::string& project, const std::string& name) const {
    if (services_.sources.find(project, name)) return;
    platform::Source source;
    source.project = project;
    source.name = name;
    source.connector = "rest_push";
    source.kind = platform::SourceKind::kFeedback;
    source.owner = "anneal";
    try {
      services_.sources.create(source);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kConflict) throw;  // another agent's feedback made it just now
    }
  }

  DeploymentServices services_;
};

}  // namespace

void add_agent_routes(platform::RouteTable& table, DeploymentServices services) {
  const Handlers<AgentRoutes> bind(std::move(services));
  const std::string all = "/api/v1/agents", one = all + "/{name}", base = one + "/deploymentBase/{id}";
  table.add({Method::kGet, all, "Lists agents with what they answer with", "agents.read", bind(&AgentRoutes::list)});
  table.add({Method::kPut, one + "/configData", "Registers an agent, or refreshes its labels and what it answers with",
             "agents.poll", bind(&AgentRoutes::describe)});
  table.add({Method::kGet, one, "Tells an agent whether there is work (hawkBit DDI)", "agents.poll",
             bind(&AgentRoutes::poll)});
  table.add({Method::kGet, base, "Describes what is offered to an agent, with the signed metadata", "agents.poll",
             bind(&AgentRoutes::offer)});
  table.add({Method::kPost, base + "/feedback", "Takes an agent's report about its update", "agents.poll",
             bind(&AgentRoutes::report)});
  table.add({Method::kPost, one + "/records", "Takes predictions and feedback, each once by its key", "agents.poll",
             bind(&AgentRoutes::records), kRecordsLimitBytes});
}

}  // namespace web
