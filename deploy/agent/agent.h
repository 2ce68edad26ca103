// The plant agent: one port that answers, one thread that talks to the server and walks updates. It opens no port to
// the outside, and it needs the server for nothing but news. Made in main; run() returns when stop() was called.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "deploy/agent/http_peer.h"
#include "deploy/agent/outbox.h"
#include "deploy/agent/release_folder.h"
#include "deploy/agent/updater.h"
#include "deploy/serving/serving.h"
#include "platform/base/clock.h"
#include "platform/base/folder_lock.h"
#include "platform/base/log.h"
#include "platform/base/metrics.h"
#include "platform/http/server.h"

namespace deploy {

struct AgentOptions {
  std::string server;  // empty: no server, bundles come by file only, and answers are not kept for one
  std::optional<std::filesystem::path> token_file;  // read again when the server refuses its token
  std::string name;
  std::map<std::string, std::string> labels;
  std::filesystem::path data;
  std::string address = "127.0.0.1";
  std::uint16_t port = 8471;
  std::chrono::milliseconds poll{10'000};       // between two questions to the server
  std::optional<std::filesystem::path> root;    // the server's root.json, to pin
  std::optional<std::filesystem::path> bundle;  // a courier file to install at the start
  std::vector<std::string> hosts;               // more names that callers reach the port by, beside its address
  int threads = 0;
};

class Agent {
 public:
  /// Resumes what a power cut left, loads the current version and opens the port. Throws kConflict, naming its address,
  /// while another agent runs on the same folder.
  Agent(AgentOptions options, const platform::Clock& clock, platform::Log log);
  /// "http://127.0.0.1:8471"
  std::string address() const { return http_->address(); }
  /// Talks to the server until stop(); from one thread.
  void run();
  /// From any thread.
  void stop();

 private:
  void install_bundle();
  void install_bundle_or_say_why_not();
  void pass();
  void speak();
  void take_new_token();
  void describe_if_changed();
  void work();
  void wait();

  AgentOptions options_;
  const platform::Clock& clock_;
  platform::Log log_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  platform::Metrics metrics_;
  platform::FolderLock lock_;  // before all that reads the folder
  ReleaseFolder folder_;
  Outbox outbox_;
  Serving serving_;
  std::string token_;  // as last read
  HttpPeer peer_;
  Updater updater_;
  std::optional<std::string> described_;  // adapter that the server was told of last; empty = none
  bool silent_server_ = false;            // told of once, not at every poll
  std::unique_ptr<platform::Server> http_;
};

}  // namespace deploy
