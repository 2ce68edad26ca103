#include <pthread.h>

#include <csignal>
#include <cstdio>

#include "platform/base/command_line.h"
#include "web/api/routes.h"
#include "web/server/commands.h"
#include "web/server/worker_keeper.h"

namespace web {

namespace {

/// SIGTERM and SIGINT are blocked here, before any thread starts, and waited for in wait().
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~StopSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  void wait() const {
    int number = 0;
    sigwait(&set_, &number);
  }

 private:
  sigset_t set_{}, before_{};
};

// The server's own program, whatever its file is called now.
std::vector<std::string> worker_command_line(const platform::CommandLine& line, const platform::DataFolder& data) {
  std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string(), "worker", "--data-folder",
                                   data.root.string()};
  if (line.has("worker-threads")) command.insert(command.end(), {"--threads", line.text("worker-threads")});
  return command;
}

// What people may have the server read.
std::vector<std::filesystem::path> folders_of(const platform::CommandLine& line, const platform::DataFolder& data) {
  std::vector<std::filesystem::path> folders;
  for (const std::string& folder : line.all("files-from")) {
    if (!std::filesystem::is_directory(folder))
      throw platform::Error(platform::ErrorCode::kInvalidInput, "there is no folder " + folder + "; make it first",
                            "files-from");
    folders.push_back(std::filesystem::absolute(folder));
  }
  if (folders.empty()) std::filesystem::create_directories(data.root / "inbox");
  return folders;
}

}  // namespace

int serve_command(const std::vector<std::string>& arguments) {
  platform::CommandLine line("anneal serve", "Runs the server until SIGTERM or Ctrl-C.",
                             {"anneal serve", "anneal serve --data-folder /srv/anneal --port 8470"});
  line.option("data-folder", "DIR", "where everything is kept; default $ANNEAL_DATA");
  line.option("address", "IP", "address to listen on", {.fallback = "127.0.0.1"});
  line.option("port", "PORT", "port to listen on; 0 = any free one", {.fallback = "8470"});
  line.option("database", "DSN", "PostgreSQL to use; default a private one in the data folder");
  line.option("files-from", "DIR",
              "folder whose files sources and runs may read; may stand several times; default the data folder's inbox",
              {.repeated = true});
  line.option("worker-threads", "N", "compute threads of the worker; default one a core");
  line.flag("no-worker", "start no worker; others run `anneal worker`");
  if (!line.read(arguments)) return 0;
  const std::int64_t port = line.integer("port");
  if (port < 0 || port > 65535)
    throw platform::Error(platform::ErrorCode::kInvalidInput, "no port: " + line.text("port"), "port");

  const platform::Log log;
  const platform::DataFolder data = platform::data_folder(line.text("data-folder"));
  std::filesystem::create_directories(data.root);
  Services services({data, line.text("database"), folders_of(line, data)},
                    log);  // before the mask: PostgreSQL must not inherit it
  const StopSignals stop;
  platform::ServerOptions options;
  options.address = line.text("address");
  options.port = static_cast<std::uint16_t>(port);
  platform::Server server(
      options, all_routes(services),
      [&services](const platform::Request& request, std::string_view permission) {
        return services.authorize(request, permission);
      },
      services.metrics(), log);
  platform::write_file_atomically(data.address(), server.address() + "\n");
  std::printf("Anneal serves at %s\n", server.address().c_str());
  if (services.new_token())
    std::printf("Admin token (shown once, kept in %s): %s\n", data.token().c_str(), services.new_token()->c_str());
  std::fflush(stdout);
  std::optional<WorkerKeeper> worker;
  if (!line.has("no-worker")) {
    std::filesystem::create_directories(data.logs());
    worker.emplace(
        WorkerKeeperOptions{worker_command_line(line, data), line.text("database"), data.logs() / "worker.log"}, log);
  }
  stop.wait();
  log.info("stopping");
  server.stop();
  worker.reset();  // before the database: it hands its step back
  std::filesystem::remove(data.address());
  return 0;
}

}  // namespace web
