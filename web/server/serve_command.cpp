#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "platform/base/command_line.h"
#include "platform/base/file.h"
#include "platform/base/folder_lock.h"
#include "platform/base/stop_signals.h"
#include "platform/security/token.h"
#include "web/api/routes.h"
#include "web/server/commands.h"
#include "web/server/worker_keeper.h"

namespace web {

namespace {

platform::CommandLine options_of_serve() {
  platform::CommandLine line("anneal serve", "Runs the server until SIGTERM or Ctrl-C; a second one does not wait.",
                             {"anneal serve", "anneal serve --data-folder /srv/anneal --port 8470",
                              "anneal serve --files-from /srv/measurements --files-from /srv/exports"});
  line.option("data-folder", "DIR", "where everything is kept, for its owner's eyes only; default $ANNEAL_DATA");
  line.option("address", "IP", "address to listen on", {.fallback = "127.0.0.1"});
  line.option("port", "PORT", "port to listen on; 0 = any free one", {.fallback = "8470"});
  line.option("database", "DSN", "PostgreSQL to use; default a private one in the data folder");
  line.option("files-from", "DIR",
              "folder whose files sources and runs may read; may stand several times; default the data folder's inbox",
              {.repeated = true});
  line.option("worker-threads", "N", "compute threads of the worker; default one a core");
  line.option("only-token", "FILE",
              "take the token in this file and no other, and start no stored source; for anneal run");
  line.flag("no-worker", "start no worker; others run `anneal worker`");
  return line;
}

platform::ServerOptions listen_options(const platform::CommandLine& line) {
  const std::int64_t port = line.integer("port");
  if (port < 0 || port > 65535)
    throw platform::Error(platform::ErrorCode::kInvalidInput, "no port: " + line.text("port"), "port");
  platform::ServerOptions options;
  options.address = line.text("address");
  options.port = static_cast<std::uint16_t>(port);
  return options;
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

// One server a data folder: a second one would take the address of the first and remove it in the end.
platform::FolderLock lock(const platform::DataFolder& data) {
  if (auto taken = platform::FolderLock::take(data.root)) return *std::move(taken);
  std::error_code absent;
  const bool known = std::filesystem::exists(data.address(), absent);
  std::string at = known ? platform::read_file(data.address(), 4096) : "(it is starting or stopping)";
  at.erase(at.find_last_not_of('\n') + 1);
  throw platform::Error(platform::ErrorCode::kConflict,
                        "a server runs on " + data.root.string() + " already: " + at +
                            "; use that one, or name another folder with --data-folder",
                        "data-folder");
}

// Empty if every token of the database counts.
std::string only_token(const platform::CommandLine& line) {
  if (!line.has("only-token")) return "";
  std::string token = platform::read_file(line.text("only-token"), 4096);
  token.erase(token.find_last_not_of(" \t\r\n") + 1);
  if (platform::is_token(token)) return token;
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        "the file holds no token: " + line.text("only-token") + "; anneal run makes one itself",
                        "only-token");
}

// The server's own program, whatever its file is called now.
std::vector<std::string> worker_command_line(const platform::CommandLine& line, const platform::DataFolder& data) {
  std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string(), "worker", "--data-folder",
                                   data.root.string()};
  for (const std::string& folder : line.all("files-from"))
    command.insert(command.end(), {"--files-from", std::filesystem::absolute(folder).string()});
  if (line.has("worker-threads")) command.insert(command.end(), {"--threads", line.text("worker-threads")});
  return command;
}

// The token itself is for the eyes at a terminal: anything else that takes this output keeps it, where others may read.
void tell_where(const platform::Server& server, const platform::DataFolder& data, const platform::AdminToken& admin) {
  std::printf("Anneal serves at %s\n", server.address().c_str());
  if (admin.made && ::isatty(STDOUT_FILENO) != 0)
    std::printf("Admin token (shown once, kept in %s): %s\n", data.token().c_str(), admin.made->c_str());
  else if (!admin.taken)
    std::printf(
        "The token in %s is revoked, expired or unknown: use another admin's, or remove the file and start again\n",
        data.token().c_str());
  else
    std::printf("The admin token is in %s\n", data.token().c_str());
  std::fflush(stdout);
}

void serve_until_stopped(const platform::CommandLine& line, const platform::DataFolder& data, Services& services,
                         const platform::StopSignals& stop, std::optional<platform::SecondSignal>& second) {
  const platform::Log& log = services.log();
  platform::Server server(
      listen_options(line), all_routes(services),
      [&services](const platform::Request& request, std::string_view permission) {
        return services.authorize(request, permission);
      },
      services.metrics(), log);
  platform::write_file_atomically(data.address(), server.address() + "\n");
  tell_where(server, data, services.admin_token());
  std::optional<WorkerKeeper> worker;
  if (!line.has("no-worker"))
    worker.emplace(
        WorkerKeeperOptions{worker_command_line(line, data), line.text("database"), data.logs() / "worker.log"}, log);
  stop.wait();
  log.info("stopping; another Ctrl-C does not wait for the step and the requests under way");
  second.emplace(stop, [address = data.address()] {
    std::error_code ignored;
    std::filesystem::remove(address, ignored);
  });
  const bool ended = server.stop();
  worker.reset();  // before the database: it hands its step back
  std::filesystem::remove(data.address());
  if (!ended) std::_Exit(1);  // a request that does not end still uses the services; the private database follows us
}

}  // namespace

int serve_command(const std::vector<std::string>& arguments) {
  platform::CommandLine line = options_of_serve();
  if (!line.read(arguments)) return 0;
  listen_options(line);  // a mistake is told before anything starts
  const platform::StopSignals stop;
  std::optional<platform::SecondSignal> second;  // also while the services stop
  const platform::DataFolder data = platform::data_folder(line.text("data-folder"));
  platform::make_private(data);
  const platform::FolderLock locked = lock(data);
  std::filesystem::remove(data.address());  // of a server that was killed
  Services services({data, line.text("database"), folders_of(line, data), only_token(line)}, platform::Log());
  serve_until_stopped(line, data, services, stop, second);
  return 0;
}

}  // namespace web
