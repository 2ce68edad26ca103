// HttpPeer: the server as an agent reaches it. Polling has the shape of hawkBit's DDI: GET /api/v1/agents/NAME tells
// whether there is work, deploymentBase/ID describes it, feedback goes to deploymentBase/ID/feedback; blobs come from
// /api/v1/artifacts/DIGEST. Everything for the server goes through the outbox first. One thread.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "deploy/agent/outbox.h"
#include "deploy/agent/updater.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/http/client.h"

namespace deploy {

class HttpPeer final : public UpdatePeer {
 public:
  /// `stopping` ends a download early.
  HttpPeer(std::string server, std::string token, std::string name, Outbox& outbox, const std::atomic<bool>& stopping,
           platform::Log log);

  /// Speaks with that token from now on.
  void take_token(std::string token);

  /// Tells the server who we are. Throws kUnavailable if it is away.
  void describe(const std::map<std::string, std::string>& labels, const std::string& model,
                const std::string& model_version, const std::string& adapter_digest);
  /// The deployment that is offered, if any. Throws as describe does, and kNotFound if the server does not know us.
  std::optional<std::string> poll();
  /// The adapter that the server took us to answer with at the last poll; empty = none.
  const std::string& believed() const { return believed_; }
  Offer fetch_offer(const std::string& deployment);
  /// Sends what waits in the outbox; throws kUnavailable while the server is away, and returns early where the server
  /// fails on it, so that it can still be polled. An entry that the server refuses for
  /// good is logged and set aside, and only that entry: what came in the same request is sent again without it.
  void deliver();

  void download(const std::string& digest, std::uint64_t size, const std::filesystem::path& partial) override;
  void report(const UpdateReport& report) override;
  /// Queues something that belongs to no update, for the agent's entry on the server.
  void notice(const std::string& text, platform::Time at);
  bool still_wanted(const std::string& deployment) override;

 private:
  void send(const std::vector<OutboxEntry>& entries);
  void send_records(std::span<const OutboxEntry> entries);
  bool post(const std::string& target, const platform::json::value& body, const std::string& key);
  std::string path(std::string_view rest) const;

  std::string server_;
  platform::HttpClient client_;
  std::string name_;
  Outbox& outbox_;
  const std::atomic<bool>& stopping_;
  platform::Log log_;
  bool known_ = false;  // what the server offers; false while it is away
  std::optional<std::string> offered_;
  std::string believed_;
};

}  // namespace deploy
