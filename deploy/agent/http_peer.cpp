#include "deploy/agent/http_peer.h"

#include <array>
#include <cstdio>
#include <utility>

#include "platform/base/error.h"

namespace deploy {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr std::size_t kEntriesPerRequest = 500;

// "HH:MM:SS"
std::chrono::seconds sleep_of(const json::object& body) {
  const json::object& config = platform::as_object(platform::require(body, "config", "agent"), "config");
  const std::string text = platform::require_string(
      platform::as_object(platform::require(config, "polling", "config"), "polling"), "sleep", "polling");
  int hours = 0, minutes = 0, seconds = 0;
  if (std::sscanf(text.c_str(), "%2d:%2d:%2d", &hours, &minutes, &seconds) != 3) return std::chrono::seconds(10);
  return std::chrono::hours(hours) + std::chrono::minutes(minutes) + std::chrono::seconds(seconds);
}

// Repeating the same bytes will not help: the server has read and refused them.
bool refused_for_good(int status) {
  return status >= 400 && status < 500 && status != 401 && status != 403 && status != 408 && status != 429;
}

}  // namespace

HttpPeer::HttpPeer(std::string server, std::string token, std::string name, Outbox& outbox,
                   const std::atomic<bool>& stopping, platform::Log log)
    : client_(std::move(server), {.token = std::move(token)}),
      name_(std::move(name)),
      outbox_(outbox),
      stopping_(stopping),
      log_(std::move(log)) {}

std::string HttpPeer::path(std::string_view rest) const {
  return "/api/v1/agents/" + platform::percent_encode(name_) + std::string(rest);
}

void HttpPeer::describe(const std::map<std::string, std::string>& labels, const std::string& model,
                        const std::string& model_version, const std::string& adapter_digest) {
  json::object data;
  for (const auto& [key, value] : labels) data[key] = value;
  const json::object body{{"mode", "replace"},
                          {"data", std::move(data)},
                          {"model", model},
                          {"model_version", model_version},
                          {"adapter_digest", adapter_digest}};
  client_.put(path("/configData"), json::serialize(body)).checked();
}

PollAnswer HttpPeer::poll() {
  last_.reset();
  const json::value document = client_.get(path("")).checked().json();
  const json::object& body = platform::as_object(document, "agent");
  PollAnswer answer;
  answer.sleep = sleep_of(body);
  if (const json::value* links = platform::find(body, "_links"))
    if (const json::value* base = platform::find(platform::as_object(*links, "_links"), "deploymentBase")) {
      const std::string href =
          platform::require_string(platform::as_object(*base, "deploymentBase"), "href", "deploymentBase");
      answer.deployment = href.substr(href.rfind('/') + 1);
    }
  last_ = answer;
  return answer;
}

Offer HttpPeer::fetch_offer(const std::string& deployment) {
  const json::value document =
      client_.get(path("/deploymentBase/" + platform::percent_encode(deployment))).checked().json();
  const json::object& body = platform::as_object(document, "deploymentBase");
  const json::object& metadata = platform::as_object(platform::require(body, "metadata", "deploymentBase"), "metadata");
  return {deployment, platform::require_string(metadata, "timestamp", "metadata"),
          platform::require_string(metadata, "targets", "metadata")};
}

void HttpPeer::deliver() {
  while (!stopping_ &&
         outbox_.deliver(kEntriesPerRequest, [this](const std::vector<OutboxEntry>& entries) { send(entries); }) > 0) {
  }
}

void HttpPeer::post(const std::string& target, const json::value& body, const std::string& key) {
  const platform::HttpResponse response =
      client_.post(target, json::serialize(body), "application/json", {{"Idempotency-Key", key}});
  if (refused_for_good(response.status)) {
    log_.error("the server refuses what this agent reports",
               {{"target", target}, {"status", response.status}, {"answer", response.body.substr(0, 300)}});
    return;
  }
  response.checked();
}

void HttpPeer::send(const std::vector<OutboxEntry>& entries) {
  json::array records;  // predictions and feedback between two reports go in one request
  const auto flush = [&] {
    if (records.empty()) return;
    const std::string key =
        records.front().as_object()["key"].as_string().c_str() + std::string("/") + std::to_string(records.size());
    post(path("/records"), std::exchange(records, {}), key);
  };
  for (const OutboxEntry& entry : entries) {
    if (entry.kind == "report") {
      flush();
      const std::string deployment =
          platform::require_string(platform::as_object(entry.body, "report"), "deployment", "report");
      post(path("/deploymentBase/" + platform::percent_encode(deployment) + "/feedback"), entry.body, entry.key);
    } else {
      records.push_back(json::object{{"key", entry.key}, {"kind", entry.kind}, {"body", entry.body}});
    }
  }
  flush();
}

void HttpPeer::download(const std::string& digest, std::uint64_t size, const std::filesystem::path& partial) {
  client_.download("/api/v1/artifacts/" + digest, partial, [&](std::uint64_t got, std::uint64_t) {
    if (got > size) throw Error(ErrorCode::kCorrupt, "the server sends more bytes than the targets say for " + digest);
    return !stopping_.load();  // false: kCancelled, and the next start goes on from here
  });
}

void HttpPeer::report(const UpdateReport& told) {
  const json::object status{{"execution", told.execution},
                            {"result", json::object{{"finished", told.finished}}},
                            {"details", json::array{json::string(told.detail)}}};
  outbox_.append({told.key, "report",
                  json::object{{"deployment", told.deployment},
                               {"key", told.key},
                               {"version", told.version},
                               {"state", told.state},
                               {"code", told.code},
                               {"status", status}}},
                 Durability::kSynced);
}

bool HttpPeer::still_wanted(const std::string& deployment) { return !last_ || last_->deployment == deployment; }

}  // namespace deploy
