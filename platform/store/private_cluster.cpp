#include "platform/store/private_cluster.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "platform/base/digest.h"
#include "platform/base/file.h"
#include "platform/base/shortened.h"
#include "platform/store/transaction.h"

namespace platform {
namespace {

constexpr std::size_t kLongestSocketPath = 107;

// The newest PostgreSQL that is installed the Debian way, or the one on PATH.
std::filesystem::path find_programs() {
  std::vector<std::filesystem::path> found;
  std::error_code ignored;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    if (std::filesystem::exists(version.path() / "bin/postgres")) found.push_back(version.path() / "bin");
  }
  std::sort(found.begin(), found.end());
  if (!found.empty()) return found.back();
  for (const char* folder : {"/usr/local/bin", "/usr/bin"}) {
    if (std::filesystem::exists(std::filesystem::path(folder) / "postgres")) return folder;
  }
  throw Error(ErrorCode::kNotFound,
              "PostgreSQL is not installed: no /usr/lib/postgresql/*/bin/postgres; apt-get install postgresql, or pass "
              "--database");
}

const passwd* server_user() {
  if (::geteuid() != 0) return nullptr;
  const passwd* user = ::getpwnam("postgres");
  if (user == nullptr)
    throw Error(ErrorCode::kNotFound, "there is no user `postgres` to run the database as; apt-get install postgresql");
  return user;
}

bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const std::filesystem::path inner = path.lexically_relative(folder);
  return !inner.empty() && *inner.begin() != "..";
}

// PostgreSQL refuses to run as root, so its folder belongs to its own user, and that user must be able to pass through
// the folders above. The data folder is ours to open for that, and so is what lies in the system's folder for temporary
// files; other folders are their owner's.
void make_passable(const DataFolder& data, const passwd& user) {
  const std::filesystem::path root = std::filesystem::absolute(data.root).lexically_normal();
  const std::filesystem::path temporary = std::filesystem::temp_directory_path();
  for (std::filesystem::path above = root; above != above.root_path(); above = above.parent_path()) {
    struct stat facts {};
    if (::stat(above.c_str(), &facts) != 0 || facts.st_uid == user.pw_uid || (facts.st_mode & S_IXOTH) != 0) continue;
    if (above != root && !is_below(above, temporary))
      throw Error(ErrorCode::kInvalidInput, "the database's user `postgres` cannot pass through " + above.string() +
                                                "; run `chmod o+x " + above.string() +
                                                "`, or name another data folder with --data-folder");
    if (::chmod(above.c_str(), (facts.st_mode & 07777) | S_IXOTH) != 0)
      throw_errno("letting postgres pass through " + above.string(), errno);
  }
}

// Makes `folder` for the server's user alone. One that is there already must be a folder of that user or ours: the
// socket's may lie in /tmp, where anybody could have put something under its name.
void make_for_server(const std::filesystem::path& folder, const passwd* user) {
  std::filesystem::create_directories(folder.parent_path());
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) throw_errno("making the folder " + folder.string(), errno);
  struct stat facts {};
  if (::lstat(folder.c_str(), &facts) != 0) throw_errno("looking at " + folder.string(), errno);
  const bool owned = facts.st_uid == ::geteuid() || (user != nullptr && facts.st_uid == user->pw_uid);
  if (!S_ISDIR(facts.st_mode) || !owned)
    throw Error(ErrorCode::kConflict, folder.string() +
                                          " is no folder of ours, so the private database does not use it; " +
                                          "remove it and start again");
  const FileDescriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!handle || ::fchmod(handle.get(), 0700) != 0) throw_errno("closing " + folder.string() + " to others", errno);
  if (user != nullptr && ::fchown(handle.get(), user->pw_uid, user->pw_gid) != 0)
    throw_errno("giving " + folder.string() + " to postgres", errno);
}

// A Unix socket's path is short by law; a deep data folder gets one under /tmp, named by the folder.
std::filesystem::path socket_folder_of(const DataFolder& data) {
  std::filesystem::path folder = std::filesystem::absolute(data.postgres()) / "socket";
  if ((folder / ".s.PGSQL.5432").string().size() <= kLongestSocketPath) return folder;
  return std::filesystem::path("/tmp") /
         ("anneal-" + sha256_hex(std::filesystem::absolute(data.root).string()).substr(0, 16));
}

// A value of a libpq connection string.
std::string quoted(const std::string& text) {
  std::string made = "'";
  for (const char letter : text) {
    if (letter == '\'' || letter == '\\') made += '\\';
    made += letter;
  }
  return made + "'";
}

std::string connection_to(const std::filesystem::path& socket_folder, const std::string& database) {
  return "host=" + quoted(socket_folder.string()) + " user=anneal dbname=" + database;
}

// The log of the starts before goes when it has grown: PostgreSQL writes warnings only, but for years.
void limit_log(const std::filesystem::path& path) {
  constexpr std::uintmax_t kLargest = 16 << 20;
  std::error_code ignored;
  if (std::filesystem::file_size(path, ignored) <= kLargest || ignored) return;
  std::filesystem::rename(path, path.string() + ".old", ignored);
}

std::string last_lines(const std::filesystem::path& path) {
  constexpr std::size_t kShown = 1500;
  std::ifstream log(path, std::ios::binary | std::ios::ate);
  if (!log) return "(no log)";
  const std::streamoff size = log.tellg();
  log.seekg(std::max<std::streamoff>(0, size - static_cast<std::streamoff>(kShown)));
  const std::string text{std::istreambuf_iterator<char>(log), std::istreambuf_iterator<char>()};
  return (size > static_cast<std::streamoff>(kShown) ? "..." : "") + shortened(text, kShown);
}

}  // namespace

PrivateCluster::PrivateCluster(const DataFolder& data, Log log, PrivateClusterOptions options)
    : cluster_(data.postgres() / "cluster"),
      socket_folder_(socket_folder_of(data)),
      log_file_(data.postgres() / "server.log"),
      programs_(find_programs()),
      log_(std::move(log)),
      options_(options) {
  const passwd* user = server_user();
  std::filesystem::create_directories(data.root);
  if (user != nullptr) make_passable(data, *user);
  make_for_server(data.postgres(), user);
  make_for_server(socket_folder_, user);
  if (!std::filesystem::exists(cluster_ / "PG_VERSION")) initialise();
  start();
}

PrivateCluster::~PrivateCluster() { stop(); }

ProcessOptions PrivateCluster::process_options() const {
  ProcessOptions options;
  if (const passwd* user = server_user()) {
    options.user = user->pw_uid;
    options.group = user->pw_gid;
  }
  options.working_folder = cluster_.parent_path();
  // Messages that the rest of the program reads must not depend on the machine's language.
  options.environment["LC_ALL"] = "C.UTF-8";
  options.log_file = log_file_;
  return options;
}

void PrivateCluster::initialise() {
  log_.info("making the private database", {{"folder", cluster_.string()}});
  // Into a folder beside it, so that a cluster that is there is whole.
  const std::filesystem::path fresh = cluster_.string() + ".new";
  std::error_code ignored;
  std::filesystem::remove_all(fresh, ignored);
  ProcessOptions options = process_options();
  options.log_file.reset();
  const CommandOutput made =
      run_command({(programs_ / "initdb").string(), "--pgdata", fresh.string(), "--username", "anneal", "--auth",
                   "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-instructions"},
                  options);
  if (made.exit_code != 0) throw Error(ErrorCode::kUnavailable, "the private database cannot be made: " + made.text);
  std::filesystem::rename(fresh, cluster_);
  sync_folder(cluster_.parent_path());
}

std::optional<int> PrivateCluster::postmaster() const {
  std::error_code ignored;
  const std::filesystem::path file = cluster_ / "postmaster.pid";
  if (!std::filesystem::exists(file, ignored)) return std::nullopt;
  const int pid = std::atoi(read_file(file).c_str());
  if (pid <= 0 || ::kill(pid, 0) != 0) return std::nullopt;
  // The pid may have been given to another program since.
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", ignored);
  return program.filename() == "postgres" ? std::optional<int>(pid) : std::nullopt;
}

bool PrivateCluster::is_gone() {
  if (server_ && server_->poll()) server_.reset();
  return !postmaster();
}

void PrivateCluster::start() {
  if (is_gone()) launch();
  wait_until_ready();
}

void PrivateCluster::launch() {
  std::vector<std::string> command{(programs_ / "postgres").string(), "-D", cluster_.string(), "-k",
                                   socket_folder_.string()};
  for (const char* setting :
       {"listen_addresses=", "port=5432", "unix_socket_permissions=0700", "max_connections=64", "shared_buffers=128MB",
        "logging_collector=off", "log_min_messages=warning", "timezone=UTC", "dynamic_shared_memory_type=posix"}) {
    command.insert(command.end(), {"-c", setting});
  }
  if (!options_.durable)
    command.insert(command.end(), {"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"});
  limit_log(log_file_);
  ProcessOptions options = process_options();
  options.stop_signal = SIGINT;  // fast shutdown
  options.stop_grace = std::chrono::seconds(30);
  server_.emplace(command, options);
}

bool PrivateCluster::answers() const {
  ProcessOptions options = process_options();
  options.log_file.reset();
  return run_command({(programs_ / "pg_isready").string(), "--quiet", "--host", socket_folder_.string(), "--dbname",
                      "postgres"},
                     options)
             .exit_code == 0;
}

void PrivateCluster::wait_until_ready() {
  const auto deadline = std::chrono::steady_clock::now() + options_.start_limit;
  while (!answers()) {
    // Gone again: ours, because a backend of a killed postmaster held the cluster for a moment longer, or another
    // process's that was stopping when we came.
    if (is_gone() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      if (is_gone()) launch();
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Error(ErrorCode::kUnavailable, "the private database does not start; its log " + log_file_.string() +
                                               " ends with:\n" + last_lines(log_file_));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  make_database();
}

void PrivateCluster::make_database() {
  Database postgres({.connection = connection_to(socket_folder_, "postgres"), .connections = 1});
  const bool known = transact(postgres, [](pqxx::work& work) {
    return !work.exec("SELECT 1 FROM pg_database WHERE datname = 'anneal'").empty();
  });
  if (known) return;
  Lease lease(postgres);
  try {
    pqxx::nontransaction(lease.connection()).exec0("CREATE DATABASE anneal");
  } catch (const pqxx::sql_error& error) {
    // 42P04, 23505: a process that started beside us was first.
    if (error.sqlstate() != "42P04" && error.sqlstate() != "23505")
      throw Error(ErrorCode::kUnavailable, std::string("the database `anneal` cannot be made: ") + error.what());
  }
}

void PrivateCluster::stop() {
  if (server_) server_->stop();
  server_.reset();
}

std::string PrivateCluster::connection_string() const { return connection_to(socket_folder_, "anneal"); }

std::string private_connection_string(const DataFolder& data) {
  return connection_to(socket_folder_of(data), "anneal");
}

}  // namespace platform
