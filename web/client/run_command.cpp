// `anneal run`: one workflow from a file, start to end. Where no server runs on the data folder it starts one for as
// long as the run takes, so that there is one way of running steps and not two. A step of such a run that waits for a
// person is asked about on the terminal.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <optional>
#include <thread>

#include "platform/base/data_folder.h"
#include "platform/base/file.h"
#include "platform/base/folder_lock.h"
#include "platform/base/process.h"
#include "platform/security/token.h"
#include "web/client/commands.h"
#include "web/client/run_view.h"
#include "web/client/server_connection.h"
#include "web/client/table.h"
#include "workflows/definitions.h"
#include "workflows/input_rules.h"
#include "workflows/steps.h"

namespace web {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

namespace {

constexpr std::chrono::seconds kStartLimit{90};

/// True if a server was named, or answers on the data folder.
bool has_server(const platform::CommandLine& line) {
  const char* named = std::getenv("ANNEAL_SERVER");
  if (line.has("server") || (named != nullptr && *named != '\0')) return true;
  if (!std::filesystem::exists(platform::data_folder(line.text("data-folder")).address())) return false;
  try {
    ServerConnection(line).get("/workflows");
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnavailable) return false;  // its process was killed; the file stayed
    throw;
  }
}

/// A server of our own on the data folder; stops with the object. It may read what its starter may, so it takes one
/// token, made for this run, and refuses all others.
class OwnServer {
 public:
  explicit OwnServer(const platform::CommandLine& line)
      : data_(platform::data_folder(line.text("data-folder"))), token_(platform::make_token()) {
    platform::make_private(data_);
    forget_killed_server();
    const platform::TemporaryFolder secret(data_.root, "run");
    platform::write_file_atomically(secret.path() / "token", token_, 0600);
    std::filesystem::create_directories(data_.root / "inbox");
    start(line, secret.path() / "token");
    wait_until_ready();
  }

  const platform::DataFolder& data() const { return data_; }
  ServerConnection connection(bool json_wanted) const {
    std::string address = platform::read_file(data_.address(), 4096);
    address.erase(address.find_last_not_of('\n') + 1);
    return {std::move(address), token_, json_wanted};
  }

 private:
  void forget_killed_server() const {
    if (!platform::FolderLock::take(data_.root))
      throw Error(ErrorCode::kConflict, "a server on " + data_.root.string() +
                                            " is starting, stopping or does not answer; try again, or name another "
                                            "folder with --data-folder");
    std::filesystem::remove(data_.address());
  }

  void start(const platform::CommandLine& line, const std::filesystem::path& token_file) {
    std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string(),
                                     "serve",
                                     "--data-folder",
                                     data_.root.string(),
                                     "--port",
                                     "0",
                                     "--only-token",
                                     token_file.string(),
                                     "--files-from",
                                     data_.root / "inbox",
                                     "--files-from",
                                     "/"};  // whoever runs a file may read what he may read
    if (line.has("threads")) command.insert(command.end(), {"--worker-threads", line.text("threads")});
    platform::ProcessOptions options;
    options.log_file = data_.logs() / "server.log";
    options.stop_grace = std::chrono::minutes(2);
    process_.emplace(command, options);
  }

  void wait_until_ready() {
    const auto deadline = std::chrono::steady_clock::now() + kStartLimit;
    while (!std::filesystem::exists(data_.address())) {
      if (process_->poll())
        throw Error(ErrorCode::kUnavailable,
                    "the server for this run ended at once; " + (data_.logs() / "server.log").string() + " says why");
      if (std::chrono::steady_clock::now() > deadline)
        throw Error(ErrorCode::kUnavailable,
                    "the server for this run does not come up; see " + (data_.logs() / "server.log").string());
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  platform::DataFolder data_;
  std::string token_;
  std::optional<platform::Process> process_;
};

/// The first step that waits for a person; nullptr if there is none.
const json::object* step_that_asks(const json::object& run) {
  for (const json::value& step : platform::as_array(platform::require(run, "steps", "run"), "steps")) {
    if (cell(step.as_object(), "state") == "waiting_approval") return &step.as_object();
  }
  return nullptr;
}

/// Asks on the terminal until there is an answer. "approve", "reject", or nullopt at the end of the input.
std::optional<std::string> ask_for_decision(const json::object& step) {
  const json::value* with = platform::find(step, "with");
  const std::string comment = with != nullptr && with->is_object() ? cell(with->get_object(), "comment") : "";
  std::string answer;
  for (;;) {
    std::fprintf(stderr, "step '%s' waits for a person%s%s. Go on? [y/n] ", cell(step, "name").c_str(),
                 comment.empty() ? "" : ": ", comment.c_str());
    if (!std::getline(std::cin, answer)) return std::nullopt;
    if (answer == "y" || answer == "yes") return "approve";
    if (answer == "n" || answer == "no") return "reject";
  }
}

/// Follows the run; where it waits for a person and somebody sits at the terminal, the answer carries it on.
json::object follow_and_ask(ServerConnection& server, const std::string& id, bool may_ask) {
  for (;;) {
    const json::object last = follow_run(server, id);
    const json::object* asks = step_that_asks(last);
    if (asks == nullptr || !may_ask) return last;
    const auto decision = ask_for_decision(*asks);
    if (!decision) return last;
    server.post("/runs/" + id + "/steps/" + cell(*asks, "name") + "/" + *decision, {{"comment", ""}});
  }
}

/// What a run that still waits asks of its reader. Where the server goes with this command nobody could ever answer.
int tell_who_decides(const json::object& run, const std::optional<OwnServer>& own) {
  const std::string decide = "anneal runs approve " + cell(run, "id") + " " + cell(*step_that_asks(run), "name");
  if (!own) {
    std::fprintf(stderr, "\nThe run waits for a person: %s\n", decide.c_str());
    return 0;
  }
  const std::string folder = own->data().root.string();
  std::fprintf(
      stderr,
      "\nThe run is not over: it waits for a person, and its server stops with this command. It is kept. Start a "
      "server that stays, then decide:\n  anneal serve --data-folder %s\n  %s --data-folder %s\n",
      folder.c_str(), decide.c_str(), folder.c_str());
  return 1;
}

int start_and_follow(const platform::CommandLine& line, const std::string& text, const std::optional<OwnServer>& own) {
  ServerConnection server = own ? own->connection(line.has("json")) : ServerConnection(line);
  const json::object run =
      server.post("/runs", {{"text", text}, {"inputs", workflows::inputs_from(line.all("set"), "--set")}});
  const std::string id = cell(run, "id");
  if (line.has("detach")) return std::printf("%s\n", id.c_str()), 0;
  if (!server.json_wanted())
    std::printf("run %s of %s on %s\n", id.c_str(), cell(run, "workflow").c_str(), server.address().c_str());
  std::fflush(stdout);
  const bool terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
  const json::object last = follow_and_ask(server, id, own && terminal);
  server.json_wanted() ? print_json(last) : print_scores(last);
  if (step_that_asks(last) != nullptr) return tell_who_decides(last, own);
  return exit_code_of(last);
}

}  // namespace

int run_command(const std::vector<std::string>& arguments) {
  platform::CommandLine line(
      "anneal run",
      "Runs a workflow and prints what happens; without a server it starts one for as long as the run takes.",
      {"anneal run my-flow.yaml --set source=line-3",
       "anneal run robot-navigation --set source=robot-1 --data-folder ~/plant", "anneal run my-flow.yaml --detach"});
  line.argument("FILE", "workflow file, or the name of a ready workflow");
  line.option("set", "KEY=VALUE", "an input of the workflow; may stand several times", {.repeated = true});
  line.flag("detach", "print the run's id and leave it to the server");
  line.flag("json", "print the finished run as JSON");
  line.option("server", "URL", "the server; default $ANNEAL_SERVER, else the one on the data folder");
  line.option("data-folder", "DIR", "data folder; default $ANNEAL_DATA");
  line.option("token-file", "FILE",
              "file with the access token to the server that runs; default $ANNEAL_TOKEN, else the data folder's");
  line.option("threads", "N", "compute threads, where a server has to be started");
  if (!line.read(arguments)) return 0;
  const std::string text = workflows::workflow_text(line.text("FILE"));
  const workflows::Workflow workflow = workflows::workflow_from_text(text, line.text("FILE"), workflows::step_kinds());
  workflows::settle_inputs(
      workflow, workflows::inputs_from(line.all("set"), "--set"));  // mistakes are told before anything starts
  const bool running = has_server(line);
  if (!running && line.has("detach"))
    throw Error(ErrorCode::kInvalidInput, "--detach needs a server that goes on; start one with anneal serve");
  std::optional<OwnServer> own;
  if (!running) own.emplace(line);
  return start_and_follow(line, text, own);
}

}  // namespace web
