// anneal-agent: the program on a plant machine.
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "deploy/agent/agent.h"
#include "deploy/selector.h"
#include "platform/base/command_line.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace {

platform::CommandLine command_line() {
  platform::CommandLine line("anneal-agent",
                             "Runs models on a plant machine: pulls signed versions, answers on a local port.",
                             {"anneal-agent --server http://anneal:8470 --name edge-01 --labels line=3 --token-file "
                              "/etc/anneal/token --root /etc/anneal/root.json"});
  line.option("server", "URL", "the Anneal server; without it bundles come by --bundle only");
  line.option("name", "NAME", "this agent's name on the server", {.required = true});
  line.option("labels", "K=V,...", "what deployments select by, e.g. line=3,site=ulsan");
  line.option("data", "DIR", "where versions and the queue are kept", {.fallback = "/var/lib/anneal-agent"});
  line.option("address", "IP", "address to answer on", {.fallback = "127.0.0.1"});
  line.option("hosts", "NAME,...", "more names by which callers reach this port, e.g. press-3.plant");
  line.option("port", "PORT", "port to answer on; 0 = any free one", {.fallback = "8471"});
  line.option("token-file", "FILE", "file with the agent's token; read again when the server refuses it");
  line.option("root", "FILE", "the server's keys/root.json, pinned at the first start");
  line.option("bundle", "FILE", "a courier bundle to install");
  line.option("poll-seconds", "N", "pause between two questions to the server", {.fallback = "10"});
  line.option("threads", "N", "threads of the model; 0 = all", {.fallback = "0"});
  return line;
}

deploy::AgentOptions options_from(const platform::CommandLine& line) {
  deploy::AgentOptions options;
  options.server = line.text("server");
  options.name = line.text("name");
  options.labels = deploy::parse_labels(line.text("labels"));
  options.data = line.text("data");
  options.address = line.text("address");
  const std::int64_t port = line.integer("port");
  if (port < 0 || port > 65535)
    throw platform::Error(platform::ErrorCode::kInvalidInput, "not a port: " + std::to_string(port), "--port");
  options.port = static_cast<std::uint16_t>(port);
  if (line.has("token-file")) options.token_file = line.text("token-file");
  if (line.has("root")) options.root = line.text("root");
  if (line.has("bundle")) options.bundle = line.text("bundle");
  for (std::string rest = line.text("hosts"); !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (comma > 0) options.hosts.push_back(rest.substr(0, comma));
    rest.erase(0, comma + 1);
  }
  const double poll = line.number("poll-seconds");
  if (poll < 0.05 || poll > 86400)
    throw platform::Error(platform::ErrorCode::kInvalidInput, "poll-seconds lies between 0.05 and 86400",
                          "--poll-seconds");
  options.poll = std::chrono::milliseconds(static_cast<std::int64_t>(poll * 1000));
  options.threads = line.threads();
  return options;
}

// For scripts; a full disk is no reason not to answer.
void note_address(const std::filesystem::path& file, const std::string& address) {
  try {
    platform::write_file_atomically(file, address + "\n");
  } catch (const platform::Error& error) {
    std::fprintf(stderr, "anneal-agent: %s\n", error.what());
  }
}

int run(const std::vector<std::string>& arguments) {
  platform::CommandLine line = command_line();
  if (!line.read(arguments)) return 0;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // every thread inherits it; only sigwait takes them
  const platform::SystemClock clock;
  const deploy::AgentOptions options = options_from(line);
  deploy::Agent agent(options, clock, platform::Log());
  note_address(options.data / "agent-address", agent.address());
  std::printf("%s\n", agent.address().c_str());
  std::fflush(stdout);
  std::thread speaker([&] { agent.run(); });
  int received = 0;
  sigwait(&signals, &received);
  agent.stop();
  speaker.join();
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    return run({values + 1, values + count});
  } catch (const platform::Error& error) {
    std::fprintf(stderr, "anneal-agent: %s\n", error.what());
    return platform::exit_code(error.code());
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "anneal-agent: %s\n", failure.what());
    return 1;
  }
}
