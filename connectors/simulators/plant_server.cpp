#include "connectors/simulators/plant_server.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

#include "platform/base/command_line.h"
#include "platform/base/metrics.h"
#include "platform/http/server.h"

namespace connectors {

namespace json = platform::json;

struct PlantServer::State {
  explicit State(PlantOptions given)
      : options(std::move(given)), machine(options.machine), started(std::chrono::steady_clock::now()) {}

  // Makes the records that exist by now. Call under the mutex.
  void grow() {
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    const std::int64_t wanted = options.history + static_cast<std::int64_t>(elapsed * options.records_per_second);
    while (static_cast<std::int64_t>(records.size()) < wanted) records.push_back(machine.next());
  }

  platform::Response serve(const platform::Request& request) {
    const std::int64_t after = request.query_int("after", 0, 0, INT64_MAX / 2);
    const std::int64_t limit = request.query_int("limit", 500, 1, 5000);
    const std::lock_guard lock(mutex);
    grow();
    const auto have = static_cast<std::int64_t>(records.size());
    json::array items;
    for (std::int64_t i = std::min(after, have); i < have && i - after < limit; ++i)
      items.push_back(records[static_cast<std::size_t>(i)]);
    const std::int64_t next = after + static_cast<std::int64_t>(items.size());
    return platform::json_response(json::object{{"items", std::move(items)}, {"next", next}});
  }

  PlantOptions options;
  std::mutex mutex;
  MillingMachine machine;
  std::vector<json::object> records;
  std::chrono::steady_clock::time_point started;
  platform::Metrics metrics;
  std::unique_ptr<platform::Server> server;
};

PlantServer::PlantServer(PlantOptions options) : state_(std::make_unique<State>(std::move(options))) {
  platform::RouteTable routes;
  State& state = *state_;
  routes.add({platform::Method::kGet, "/records", "Records after a sequence number", "",
              [&state](const platform::Request& request) { return state.serve(request); }});
  routes.add({platform::Method::kGet, "/status", "How far the machine is", "", [&state](const platform::Request&) {
                const std::lock_guard lock(state.mutex);
                state.grow();
                return platform::json_response(
                    json::object{{"machine", state.options.machine.machine},
                                 {"sequence", static_cast<std::int64_t>(state.records.size())}});
              }});
  platform::ServerOptions server;
  server.port = state.options.port;
  server.threads = 1;
  server.handler_threads = 2;
  state.server = std::make_unique<platform::Server>(server, std::move(routes), platform::allow_everything,
                                                    state.metrics, platform::Log::silent());
}

PlantServer::~PlantServer() = default;

std::string PlantServer::address() const { return state_->server->address(); }

std::int64_t PlantServer::sequence() const {
  const std::lock_guard lock(state_->mutex);
  state_->grow();
  return static_cast<std::int64_t>(state_->records.size());
}

json::object PlantServer::source_settings() const {
  return {{"url", address()},
          {"target", "/records"},
          {"items", "items"},
          {"cursor", json::object{{"param", "after"}, {"next", "next"}}},
          {"sequence", "sequence"}};
}

int simulate_command(const std::vector<std::string>& arguments) {
  platform::CommandLine line("anneal simulate", "Serves a simulated milling machine over REST on 127.0.0.1.",
                             {"anneal simulate --port 8480 --history 5000 --rate 2"});
  line.option("port", "N", "port to listen on; 0 = any free one", {.fallback = "8480"});
  line.option("history", "N", "records that exist from the start", {.fallback = "5000"});
  line.option("rate", "R", "further records a second", {.fallback = "1"});
  line.option("seed", "N", "another seed is another machine", {.fallback = "1"});
  line.option("machine", "NAME", "name of the machine", {.fallback = "mill-3"});
  if (!line.read(arguments)) return 0;
  PlantOptions options;
  options.port = static_cast<std::uint16_t>(line.integer("port"));
  options.history = line.integer("history");
  options.records_per_second = line.number("rate");
  options.machine.seed = static_cast<std::uint64_t>(line.integer("seed"));
  options.machine.machine = line.text("machine");
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  const PlantServer plant(options);
  std::printf("%s\n", plant.address().c_str());
  std::fflush(stdout);
  int received = 0;
  sigwait(&stops, &received);
  return 0;
}

}  // namespace connectors
