// `anneal worker`.
#include <pthread.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "platform/base/command_line.h"
#include "platform/engine/worker.h"
#include "platform/store/private_cluster.h"
#include "workflows/commands/commands.h"
#include "workflows/commands/installation.h"

namespace workflows {
namespace {

// Waits for SIGTERM or SIGINT on a thread of its own and asks the worker to stop; ends with the worker.
class StopOnSignal {
 public:
  explicit StopOnSignal(platform::Worker& worker) {
    sigemptyset(&set_);
    for (const int number : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set_, number);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);  // before the worker starts threads: they inherit it
    waiter_ = std::thread([this, &worker] {
      int number = 0;
      sigwait(&set_, &number);
      worker.request_stop();
    });
  }
  ~StopOnSignal() {
    pthread_kill(waiter_.native_handle(), SIGUSR1);  // ends the wait where the worker ended by itself
    waiter_.join();
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  sigset_t set_{}, before_{};
  std::thread waiter_;
};

std::string connection_of(const platform::CommandLine& line, const platform::DataFolder& data) {
  if (line.has("database")) return line.text("database");
  const char* given = std::getenv("ANNEAL_DATABASE");
  return given != nullptr && *given != '\0' ? given : platform::private_connection_string(data);
}

}  // namespace

int worker_command(const std::vector<std::string>& arguments) {
  platform::CommandLine line("anneal worker",
                             "Runs steps until SIGTERM or Ctrl-C; then saves where it stands and hands the step back.",
                             {"anneal worker --data-folder /srv/anneal",
                              "ANNEAL_DATABASE=postgresql://anneal@db/anneal anneal worker --threads 8"});
  line.option("data-folder", "DIR", "the server's data folder; default $ANNEAL_DATA");
  line.option("database", "DSN",
              "the server's database; default $ANNEAL_DATABASE, else the private one in the data folder");
  line.option("files-from", "DIR",
              "folder whose files steps may read, as for anneal serve; may stand several times; default the data "
              "folder's inbox",
              {.repeated = true});
  line.option("name", "NAME", "how the journal calls it; default host and process id");
  line.option("threads", "N", "compute threads; 0 = one a core", {.fallback = "0"});
  line.option("lease-seconds", "S", "a step whose worker is silent for this long goes to another", {.fallback = "10"});
  line.option("idle-milliseconds", "N", "between two looks for work", {.fallback = "300"});
  if (!line.read(arguments)) return 0;
  const platform::Log log;
  const platform::DataFolder data = platform::data_folder(line.text("data-folder"));
  const std::vector<std::string> folders = line.all("files-from");
  const connectors::FileAccess files({folders.begin(), folders.end()}, data);
  Installation installation(data, connection_of(line, data), files, line.threads(), log);
  platform::WorkerOptions options;
  options.name = line.text("name");
  options.kinds = runnable_kinds();
  options.lease = std::chrono::milliseconds(std::llround(line.number("lease-seconds") * 1000));
  options.heartbeat = options.lease / 5;
  options.idle = std::chrono::milliseconds(line.integer("idle-milliseconds"));
  if (options.lease < std::chrono::milliseconds(100))
    throw platform::Error(platform::ErrorCode::kInvalidInput, "a lease lasts at least 0.1 seconds", "--lease-seconds");
  platform::Worker worker(installation.runs, step_factory(installation.steps), data, options, log);
  const StopOnSignal stop(worker);
  worker.run();
  return 0;
}

}  // namespace workflows
