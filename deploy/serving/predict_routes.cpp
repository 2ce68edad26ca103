#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "deploy/serving/asked_records.h"
#include "deploy/serving/routes.h"
#include "platform/base/error.h"
#include "platform/base/id.h"
#include "platform/base/shortened.h"
#include "platform/dataset/render.h"
#include "platform/dataset/storable.h"
#include "platform/http/refusals.h"

namespace deploy {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using platform::Request;
using platform::Response;

constexpr std::size_t kLongestKey = 200;
constexpr std::size_t kBodyLimitBytes = std::size_t{32} << 20;

json::object identity_of(const ServedModel& served) {
  return {{"model", served.targets().model},
          {"model_version", served.targets().model_version},
          {"adapter_digest", served.targets().adapter_digest}};
}

json::object answer_of(const finetune::Prediction& prediction) {
  json::object answer;
  if (prediction.label) answer["label"] = *prediction.label;
  if (prediction.value) answer["value"] = *prediction.value;
  if (prediction.labels) answer["labels"] = platform::to_json(*prediction.labels);
  if (!prediction.values.empty()) answer["values"] = json::array(prediction.values.begin(), prediction.values.end());
  if (!prediction.quantiles.empty()) {
    json::array quantiles;
    for (const auto& [quantile, value] : prediction.quantiles)
      quantiles.push_back(json::object{{"quantile", quantile}, {"value", value}});
    answer["quantiles"] = std::move(quantiles);
  }
  if (prediction.text) answer["text"] = *prediction.text;
  if (!prediction.probabilities.empty()) {
    json::object probabilities;
    for (const auto& [label, probability] : prediction.probabilities) probabilities[label] = probability;
    answer["probabilities"] = std::move(probabilities);
  }
  return answer;
}

json::array problems_of(const std::vector<platform::FieldProblem>& problems) {
  json::array list;
  for (const auto& problem : problems)
    list.push_back(json::object{{"code", problem.code},
                                {"field", problem.field},
                                {problem.code == "unknown_field" ? "did_you_mean" : "value", problem.value}});
  return list;
}

std::vector<finetune::Prediction> compute(Serving& serving, ServedModel& served,
                                          const std::vector<platform::Example>& examples) {
  const auto begun = std::chrono::steady_clock::now();
  auto predictions = judged(served, [&] {
    return examples.size() == 1 ? std::vector<finetune::Prediction>{served.predictor.predict(examples.front())}
                                : served.predictor.predict_batch(examples);
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  serving.metrics().observe("anneal_agent_predict_seconds", "Time of one predict call in the model", took.count());
  serving.metrics().count("anneal_agent_predictions_total", "Records answered", static_cast<double>(examples.size()));
  return predictions;
}

// A required field that is missing has been told of already.
platform::Example rendered(const platform::Profile& profile, const json::value& record,
                           std::vector<platform::FieldProblem>& problems) {
  std::vector<platform::FieldProblem> more;
  platform::Example example = platform::render_request(profile, record, &more);
  for (platform::FieldProblem& problem : more)
    if (problem.code != "missing" && problem.code != "not_a_signal") problems.push_back(std::move(problem));
  return example;
}

// One record on its way to an answer.
struct Asked {
  std::vector<platform::FieldProblem> problems;
  std::optional<platform::Example> example;  // absent: refused
  std::string refusal;
};

// In a list a record that cannot be answered costs the others nothing.
std::vector<Asked> judged_records(const platform::Profile& profile, const AskedRecords& asked) {
  std::vector<Asked> all(asked.records.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string path = asked.single ? "record" : "records[" + std::to_string(i) + "]";
    platform::require_storable(asked.records[i], path);
    try {
      judge_record(profile, asked.records[i], path, all[i].problems);
      platform::Example example = rendered(profile, asked.records[i], all[i].problems);
      require_a_usable_value(profile, example, all[i].problems, path);
      all[i].example = std::move(example);
    } catch (const Error& error) {
      if (asked.single) throw;
      all[i].refusal = error.what();
    }
  }
  const bool none = std::none_of(all.begin(), all.end(), [](const Asked& one) { return one.example.has_value(); });
  if (none && !all.empty()) throw Error(ErrorCode::kInvalidInput, all.front().refusal, "records[0]");
  return all;
}

json::array answers_of(Serving& serving, ServedModel& served, const AskedRecords& asked) {
  const std::vector<Asked> all = judged_records(*served.profile, asked);
  std::vector<platform::Example> examples;
  for (const Asked& one : all)
    if (one.example) examples.push_back(*one.example);
  const auto predictions = examples.empty() ? std::vector<finetune::Prediction>{} : compute(serving, served, examples);
  json::array answers;
  std::size_t next = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    json::object answer;
    if (all[i].example) {
      const std::string id = serving.ids().make();
      answer = answer_of(predictions[next++]);
      serving.known().remember(id, false);
      serving.keep_answer(served, id, asked.records[i], answer);
      answer["id"] = id;
    } else {
      answer["error"] = all[i].refusal;
    }
    if (!all[i].problems.empty()) answer["problems"] = problems_of(all[i].problems);
    answers.push_back(std::move(answer));
  }
  return answers;
}

Response predict(Serving& serving, const Request& request) {
  const auto served = serving.model();
  if (!served->profile)
    throw Error(ErrorCode::kConflict, "model " + served->targets().model +
                                          " was trained on plain text and has no profile; ask /v1/chat/completions");
  const AskedRecords asked = asked_records(request.json_body());
  json::array answers = answers_of(serving, *served, asked);
  json::object body = identity_of(*served);
  if (!asked.single) {
    body["predictions"] = std::move(answers);
    return platform::json_response(body);
  }
  for (auto& entry : answers.front().as_object()) body[entry.key()] = entry.value();
  return platform::json_response(body);
}

// Completions have OpenAI's prefix before the same kind of id.
std::string prediction_id(const std::string& text) {
  std::string_view id = text;
  for (const std::string_view prefix : {"chatcmpl-", "cmpl-"})
    if (id.starts_with(prefix)) id.remove_prefix(prefix.size());
  if (!platform::is_uuid(std::string(id)))
    throw Error(ErrorCode::kInvalidInput,
                "not a prediction's id: " + text + "; it stands in the answer of /v1/predict or of a completion", "id");
  return std::string(id);
}

// Refuses what no answer of this plant's agents can have as its id: nothing would ever come to be joined with it.
void require_given(Serving& serving, const std::string& id) {
  if (serving.ids().made(id)) return;
  serving.known().count_unknown();
  serving.metrics().count("anneal_agent_feedback_unknown_total", "Feedback refused: about an answer that nobody gave");
  throw Error(ErrorCode::kNotFound,
              "no agent of this plant gave an answer with the id " + id +
                  "; send the id of the answer as it stands there, to an agent of the server that the answer came from",
              "id");
}

// What really happened, as the model could have said it. Feedback on an answer that is not remembered here (given
// before the last start, or by another agent) is judged by the model that answers now.
json::value truth_of(Serving& serving, const json::object& body, const std::string& id, bool completion) {
  std::string kind;
  for (const char* one : {"label", "labels", "value", "values", "text"}) {
    if (!body.contains(one)) continue;
    if (!kind.empty())
      throw Error(ErrorCode::kInvalidInput,
                  "label, labels, value, values and text: one of them says what really happened", one);
    kind = one;
  }
  if (kind.empty())
    throw Error(ErrorCode::kInvalidInput,
                "exactly one of label, labels, value, values and text says what really happened", "label");
  const bool on_record = !serving.known().completion(id).value_or(completion);
  if (const auto served = serving.model_or_null(); served && served->profile && on_record)
    judge_truth(served->predictor, kind, body.at(kind));
  return body.at(kind);
}

Response feedback(Serving& serving, const Request& request) {
  const json::object body = request.json_object();
  platform::refuse_unknown_keys(body, {"id", "label", "labels", "value", "values", "text", "at"}, "body");
  platform::require_storable(body, "body");
  const std::string sent = platform::require_string(body, "id", "body"), id = prediction_id(sent);
  require_given(serving, id);
  json::object entry{{"prediction", id},
                     {"at", platform::string_or(body, "at", platform::format_time(serving.clock().now()), "body")},
                     {"outcome", truth_of(serving, body, id, sent != id)}};
  platform::parse_time(entry["at"].as_string());
  // The caller's key is unique where the caller stands; ours must be so over all agents, and a correction is no
  // repetition.
  const std::string given = request.header("Idempotency-Key").value_or("feedback");
  if (given.size() > kLongestKey)
    throw Error(ErrorCode::kInvalidInput, "the Idempotency-Key is longer than 200 characters; send a shorter one",
                "Idempotency-Key");
  const std::string key =
      serving.options().agent + "/" + id + "/" + given + "/" + serving.known().statement(id, entry["outcome"]);
  serving.outbox().append({key, "feedback", std::move(entry)}, Durability::kSynced);
  serving.metrics().count("anneal_agent_feedback_total", "Feedback taken");
  return platform::json_response(json::object{{"id", id}, {"kept", true}}, 202);
}

Response health(Serving& serving) {
  const auto served = serving.model_or_null();
  json::object body{{"status", "ok"},
                    {"agent", serving.options().agent},
                    {"queue_bytes", serving.outbox().backlog_bytes()},
                    {"feedback_unknown", serving.known().unknown()}};
  if (served)
    body["serving"] = identity_of(*served);
  else
    body["note"] = serving.why_none();
  return platform::json_response(body);
}

}  // namespace

std::function<Response(const Request&)> for_json(std::function<Response(const Request&)> handler) {
  return [handler = std::move(handler)](const Request& request) {
    const std::string type = request.content_type();
    if (type == "application/json" || (type.starts_with("application/") && type.ends_with("+json")))
      return handler(request);
    return platform::refusal(415, "unsupported_media_type",
                             "the body is said to be '" + platform::shortened(type, 100) +
                                 "'; send JSON with Content-Type: application/json");
  };
}

void add_description_route(platform::RouteTable& table) {
  const json::object description = table.openapi("Anneal agent", "1");
  table.add({platform::Method::kGet, "/openapi.json", "This description of every route", "",
             [description](const Request&) { return platform::json_response(description); }});
}

void add_predict_routes(platform::RouteTable& table, Serving& serving) {
  using platform::Method;
  table.add({Method::kPost, "/v1/predict", "Answers one record or a list of them", "",
             for_json([&serving](const Request& request) { return predict(serving, request); }), kBodyLimitBytes});
  table.add({Method::kPost, "/v1/feedback", "Takes what really happened after a prediction", "",
             for_json([&serving](const Request& request) { return feedback(serving, request); })});
  table.add({Method::kGet, "/healthz", "Says that the agent runs, and what it answers with", "",
             [&serving](const Request&) { return health(serving); }});
  table.add({Method::kGet, "/readyz", "Succeeds once a model answers", "", [&serving](const Request&) {
               serving.model();
               return health(serving);
             }});
  table.add({Method::kGet, "/metrics", "Counters in Prometheus text", "", [&serving](const Request&) {
               return platform::text_response(serving.metrics().text(), "text/plain; version=0.0.4; charset=utf-8");
             }});
}

}  // namespace deploy
