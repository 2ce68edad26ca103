// HttpPeer: the server as an agent reaches it. Polling has the shape of hawkBit's DDI: GET /api/v1/agents/NAME tells
// whether there is work, deploymentBase/ID describes it, feedback goes to deploymentBase/ID/feedback; blobs come from
// /api/v1/artifacts/DIGEST. Everything for the server goes through the outbox first. One thread.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "deploy/agent/outbox.h"
#include "deploy/agent/updater.h"
#include "platform/base/log.h"
#include "platform/http/client.h"

namespace deploy {

struct PollAnswer {
  std::optional<std::string> deployment;  // there is work
  std::chrono::seconds sleep{10};         // what the server asks for
};

class HttpPeer final : public UpdatePeer {
 public:
  /// `stopping` ends a download early.
  HttpPeer(std::string server, std::string token, std::string name, Outbox& outbox, const std::atomic<bool>& stopping,
           platform::Log log);

  /// Tells the server who we are. Throws kUnavailable if it is away.
  void describe(const std::map<std::string, std::string>& labels, const std::string& model,
                const std::string& model_version, const std::string& adapter_digest);
  PollAnswer poll();
  Offer fetch_offer(const std::string& deployment);
  /// Sends what waits in the outbox; throws kUnavailable while the server is away. An entry that the server refuses for
  /// good is logged and dropped, so that it does not hold up the others.
  void deliver();

  void download(const std::string& digest, std::uint64_t size, const std::filesystem::path& partial) override;
  void report(const UpdateReport& report) override;
  bool still_wanted(const std::string& deployment) override;

 private:
  void send(const std::vector<OutboxEntry>& entries);
  void post(const std::string& target, const platform::json::value& body, const std::string& key);
  std::string path(std::string_view rest) const;

  platform::HttpClient client_;
  std::string name_;
  Outbox& outbox_;
  const std::atomic<bool>& stopping_;
  platform::Log log_;
  std::optional<PollAnswer> last_;  // absent while the server is away
};

}  // namespace deploy
