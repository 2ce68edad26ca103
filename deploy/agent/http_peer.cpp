#include "deploy/agent/http_peer.h"

#include <utility>

#include "platform/base/error.h"
#include "platform/base/id.h"

namespace deploy {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr std::size_t kEntriesPerRequest = 500;
constexpr std::uint64_t kBytesPerRequest = std::uint64_t{8} << 20;  // the server takes 64 MiB

// Repeating the same bytes will not help: the server has read and refused them.
bool refused_for_good(int status) {
  return status >= 400 && status < 500 && status != 401 && status != 403 && status != 408 && status != 429;
}

}  // namespace

HttpPeer::HttpPeer(std::string server, std::string token, std::string name, Outbox& outbox,
                   const std::atomic<bool>& stopping, platform::Log log)
    : server_(std::move(server)),
      client_(server_, {.token = std::move(token)}),
      name_(std::move(name)),
      outbox_(outbox),
      stopping_(stopping),
      log_(std::move(log)) {}

void HttpPeer::take_token(std::string token) { client_ = platform::HttpClient(server_, {.token = std::move(token)}); }

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

std::optional<std::string> HttpPeer::poll() {
  known_ = false;
  const json::value document = client_.get(path("")).checked().json();
  const json::object& body = platform::as_object(document, "agent");
  offered_.reset();
  believed_ = platform::string_or(body, "adapter_digest", "", "agent");
  if (const json::value* links = platform::find(body, "_links"))
    if (const json::value* base = platform::find(platform::as_object(*links, "_links"), "deploymentBase")) {
      const std::string href =
          platform::require_string(platform::as_object(*base, "deploymentBase"), "href", "deploymentBase");
      offered_ = href.substr(href.rfind('/') + 1);
    }
  known_ = true;
  return offered_;
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
  const auto take = [this](const std::vector<OutboxEntry>& entries) { send(entries); };
  try {
    while (!stopping_ && outbox_.deliver(kEntriesPerRequest, kBytesPerRequest, take) > 0) {
    }
  } catch (const Error& error) {
    // A server that fails on what waits may still have work for this agent, such as the way out.
    if (error.code() != ErrorCode::kInternal) throw;
    log_.error("the server fails on what waits; it is kept", {{"reason", error.what()}});
  }
}

// False if the server has read and refused it.
bool HttpPeer::post(const std::string& target, const json::value& body, const std::string& key) {
  const platform::HttpResponse response =
      client_.post(target, json::serialize(body), "application/json", {{"Idempotency-Key", key}});
  if (refused_for_good(response.status)) {
    log_.error("the server refuses what this agent reports",
               {{"target", target}, {"status", response.status}, {"answer", response.body.substr(0, 300)}});
    return false;
  }
  response.checked();
  return true;
}

// Halves what is refused until the one entry at fault stands alone.
void HttpPeer::send_records(std::span<const OutboxEntry> entries) {
  if (entries.empty()) return;
  json::array records;
  for (const OutboxEntry& entry : entries)
    records.push_back(json::object{{"key", entry.key}, {"kind", entry.kind}, {"body", entry.body}});
  if (post(path("/records"), records, entries.front().key + "/" + std::to_string(entries.size()))) return;
  if (entries.size() == 1) return outbox_.set_aside(entries.front());
  const std::size_t half = entries.size() / 2;
  send_records(entries.first(half));
  send_records(entries.subspan(half));
}

void HttpPeer::send(const std::vector<OutboxEntry>& entries) {
  const std::span<const OutboxEntry> all(entries);
  std::size_t begin = 0;  // what lies between two reports goes in one request
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].kind != "report") continue;
    send_records(all.subspan(begin, i - begin));
    begin = i + 1;
    const std::string deployment =
        platform::require_string(platform::as_object(all[i].body, "report"), "deployment", "report");
    const std::string target = path("/deploymentBase/" + platform::percent_encode(deployment) + "/feedback");
    if (!post(target, all[i].body, all[i].key)) outbox_.set_aside(all[i]);
  }
  send_records(all.subspan(begin));
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

void HttpPeer::notice(const std::string& text, platform::Time at) {
  outbox_.append({platform::new_uuid(), "notice", json::object{{"text", text}, {"at", platform::format_time(at)}}},
                 Durability::kSynced);
}

bool HttpPeer::still_wanted(const std::string& deployment) { return !known_ || offered_ == deployment; }

}  // namespace deploy
