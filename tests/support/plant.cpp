#include "tests/support/plant.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <thread>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "tests/support/patience.h"

namespace tests {

using platform::Error;
using platform::ErrorCode;

namespace {

std::string first_line(const std::filesystem::path& file) {
  const std::string text = platform::read_file(file, 1 << 16);
  return text.substr(0, text.find('\n'));
}

}  // namespace

bool wait_until(const std::function<bool()>& ready, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience * limit;
  for (;;) {
    try {
      if (ready()) return true;
    } catch (const Error&) {  // not there yet
    }
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::string program(const std::string& name) {
  const char* bin = std::getenv("ANNEAL_BIN");
  return (bin == nullptr ? std::filesystem::absolute("build/dev/bin") : std::filesystem::path(bin)) / name;
}

RestClient::RestClient(const std::string& address, std::string token, platform::HttpClientOptions options)
    : client_(address, [&] {
        options.token = std::move(token);
        return options;
      }()) {}

platform::HttpResponse RestClient::send(platform::Method method, const std::string& target, std::string body,
                                        const std::string& content_type, const platform::Headers& headers) {
  return client_.request(method, target, std::move(body), content_type, headers);
}

json::object RestClient::get(const std::string& target) { return client_.get(target).checked().json().as_object(); }
json::object RestClient::post(const std::string& target, const json::value& body) {
  return client_.post(target, json::serialize(body)).checked().json().as_object();
}
json::object RestClient::put(const std::string& target, const json::value& body) {
  return client_.put(target, json::serialize(body)).checked().json().as_object();
}

Program::~Program() {
  process_.reset();
  if (!testing::Test::HasFailure() || !std::filesystem::exists(log_file_)) return;
  const std::string text = platform::read_file(log_file_);
  const std::size_t shown = std::min<std::size_t>(text.size(), 6000);
  std::fprintf(stderr, "---- the end of %s\n%s\n", log_file_.c_str(), text.substr(text.size() - shown).c_str());
}

bool Program::alive() { return process_ && !process_->poll(); }

bool Program::kill() {
  if (!alive()) return false;
  process_->signal(SIGKILL);
  return process_->wait() == 128 + SIGKILL;
}

int Program::stop() { return process_ ? process_->stop() : 0; }

void Program::launch(std::vector<std::string> command, std::map<std::string, std::string> environment) {
  process_.reset();
  platform::ProcessOptions options;
  options.environment = std::move(environment);
  options.environment.emplace("OMP_WAIT_POLICY", "passive");
  options.log_file = log_file_;
  options.stop_grace = std::chrono::seconds(60);
  process_ = std::make_unique<platform::Process>(command, options);
}

ServerProcess::ServerProcess(const std::filesystem::path& data, std::vector<std::string> options)
    : Program(data.string() + "-server.log"), data_{data}, options_(std::move(options)) {
  // The private database runs as a user of its own where the test is root's; it must get through.
  std::filesystem::permissions(data.parent_path(), std::filesystem::perms(0755));
}

void ServerProcess::start() {
  const std::string port = address_.empty() ? "0" : address_.substr(address_.rfind(':') + 1);
  std::filesystem::remove(data_.address());
  std::vector<std::string> command{program("anneal"), "serve", "--data-folder", data_.root.string(), "--port", port};
  command.insert(command.end(), options_.begin(), options_.end());
  launch(command);
  const bool up = wait_until([&] {
    if (!alive()) throw Error(ErrorCode::kInternal, "the server ended");
    address_ = first_line(data_.address());
    return RestClient(address_).send(platform::Method::kGet, "/readyz").status == 200;
  });
  if (!up)
    throw Error(ErrorCode::kUnavailable,
                "the server does not start; see its log " + data_.root.string() + "-server.log");
}

std::string ServerProcess::token() const { return first_line(data_.token()); }

std::optional<int> ServerProcess::postmaster() const {
  const auto file = data_.postgres() / "cluster" / "postmaster.pid";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::nullopt;
  const int pid = std::atoi(first_line(file).c_str());
  // The pid may have been given to another program since.
  const auto executable = std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", ignored);
  return executable.filename() == "postgres" ? std::optional<int>(pid) : std::nullopt;
}

void WorkerProcess::start() {
  launch({program("anneal"), "worker", "--data-folder", data_.string(), "--threads", "1", "--lease-seconds", "1",
          "--idle-milliseconds", "50"});
}

PlantProcess::PlantProcess(const std::filesystem::path& folder, int history) : Program(folder / "plant.log") {
  launch({program("anneal"), "simulate", "--port", "0", "--rate", "0", "--history", std::to_string(history)});
  const auto log = folder / "plant.log";
  const bool up = wait_until([&] {
    address_ = first_line(log);
    return address_.rfind("http://", 0) == 0 &&
           RestClient(address_).send(platform::Method::kGet, "/status").status == 200;
  });
  if (!up) throw Error(ErrorCode::kUnavailable, "the simulated plant does not start; see " + log.string());
}

AgentProcess::AgentProcess(const ServerProcess& server, std::filesystem::path folder, std::string name,
                           std::string labels)
    : Program(folder.string() + "-agent.log"),
      server_(server),
      folder_(std::move(folder)),
      name_(std::move(name)),
      labels_(std::move(labels)) {}

void AgentProcess::start() {
  const std::string port = address_.empty() ? "0" : address_.substr(address_.rfind(':') + 1);
  std::filesystem::remove(folder_ / "agent-address");
  launch({program("anneal-agent"), "--server", server_.address(), "--name", name_, "--labels", labels_, "--data",
          folder_.string(), "--port", port, "--poll-seconds", "0.1", "--threads", "1", "--token-file",
          server_.data().token().string(), "--root", (server_.data().keys() / "root.json").string()});
  const bool up = wait_until([&] {
    address_ = first_line(folder_ / "agent-address");
    return RestClient(address_).send(platform::Method::kGet, "/healthz").status == 200;
  });
  if (!up) throw Error(ErrorCode::kUnavailable, "the agent does not start; see " + folder_.string() + "-agent.log");
}

}  // namespace tests
