// The real programs as a plant runs them: server, worker, agent and simulated machine, each a child process of the test
// that is gone with its object, and a small REST client. Everything listens on free ports of 127.0.0.1. One thread at a
// time per object; make processes on the test's main thread, because they die with the thread that made them.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/data_folder.h"
#include "platform/base/json.h"
#include "platform/base/process.h"
#include "platform/http/client.h"

namespace tests {

namespace json = platform::json;

/// Asks until the answer is yes or the limit has passed (kPatience times that); what `ready` throws counts as no. Gives
/// the last answer.
bool wait_until(const std::function<bool()>& ready, std::chrono::milliseconds limit = std::chrono::seconds(60));

/// $ANNEAL_BIN/name, or the development build's.
std::string program(const std::string& name);

/// JSON in, JSON out; anything but 2xx throws the platform::Error that it stands for.
class RestClient {
 public:
  RestClient(const std::string& address, std::string token = {}, platform::HttpClientOptions options = {});
  json::object get(const std::string& target);
  json::object post(const std::string& target, const json::value& body = json::object());
  json::object put(const std::string& target, const json::value& body);
  /// The answer whatever its status.
  platform::HttpResponse send(platform::Method method, const std::string& target, std::string body = {},
                              const std::string& content_type = "application/json",
                              const platform::Headers& headers = {});

 private:
  platform::HttpClient client_;
};

/// A program with a log file that is shown when the test has failed.
class Program {
 public:
  explicit Program(std::filesystem::path log_file) : log_file_(std::move(log_file)) {}
  virtual ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  /// True if the process has not ended.
  bool alive();
  int pid() const { return process_ ? process_->pid() : 0; }
  /// SIGKILL; returns once it is gone. False if it had ended before.
  bool kill();
  /// SIGTERM; returns its exit code.
  int stop();

 protected:
  void launch(std::vector<std::string> command, std::map<std::string, std::string> environment = {});

 private:
  std::filesystem::path log_file_;
  std::unique_ptr<platform::Process> process_;
};

/// `anneal serve` with its private database on a data folder. Keeps its port from one start to the next.
class ServerProcess : public Program {
 public:
  explicit ServerProcess(const std::filesystem::path& data, std::vector<std::string> options = {});
  /// Returns once /readyz says yes.
  void start();
  const std::string& address() const { return address_; }
  const platform::DataFolder& data() const { return data_; }
  std::string token() const;
  /// With the admin token.
  RestClient client(platform::HttpClientOptions options = {}) const {
    return RestClient(address_, token(), std::move(options));
  }
  /// The private database's postmaster; nullopt if there is none just now.
  std::optional<int> postmaster() const;

 private:
  platform::DataFolder data_;
  std::vector<std::string> options_;
  std::string address_;
};

/// `anneal worker` beside a server that was started with --no-worker; a lost lease is noticed after a second.
class WorkerProcess : public Program {
 public:
  explicit WorkerProcess(const std::filesystem::path& data) : Program(data / "test-worker.log"), data_(data) {}
  void start();

 private:
  std::filesystem::path data_;
};

/// `anneal simulate`: a milling machine with `history` records and no further ones.
class PlantProcess : public Program {
 public:
  PlantProcess(const std::filesystem::path& folder, int history);
  const std::string& address() const { return address_; }

 private:
  std::string address_;
};

/// `anneal-agent`, pulling from a server with its admin token. Keeps its port from one start to the next.
class AgentProcess : public Program {
 public:
  AgentProcess(const ServerProcess& server, std::filesystem::path folder, std::string name, std::string labels);
  /// Returns once it listens.
  void start();
  RestClient client() const { return RestClient(address_); }
  const std::string& address() const { return address_; }

 private:
  const ServerProcess& server_;
  std::filesystem::path folder_;
  std::string name_, labels_, address_;
};

}  // namespace tests
