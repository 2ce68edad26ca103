// `anneal run`: one workflow from a file, start to end. Where no server runs on the data folder it starts one for as
// long as the run takes, so that there is one way of running steps and not two.
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include "platform/base/data_folder.h"
#include "platform/base/process.h"
#include "web/client/commands.h"
#include "web/client/run_view.h"
#include "web/client/server_connection.h"
#include "web/client/settings.h"
#include "web/client/table.h"
#include "workflows/definitions.h"
#include "workflows/steps.h"

namespace web {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

namespace {

constexpr std::chrono::seconds kStartLimit{90};

/// True if a server was named, or answers on the data folder.
bool has_server(const platform::CommandLine& line) {
  if (line.has("server") || std::getenv("ANNEAL_SERVER") != nullptr) return true;
  if (!std::filesystem::exists(platform::data_folder(line.text("data-folder")).address())) return false;
  try {
    ServerConnection(line).get("/workflows");
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnavailable) return false;  // its process was killed; the file stayed
    throw;
  }
}

/// A server of our own on the data folder; stops with the object.
class OwnServer {
 public:
  explicit OwnServer(const platform::CommandLine& line) : data_(platform::data_folder(line.text("data-folder"))) {
    platform::make_private(data_);
    std::filesystem::remove(data_.address());  // of a server that was killed
    std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string(),
                                     "serve",
                                     "--data-folder",
                                     data_.root.string(),
                                     "--port",
                                     "0",
                                     "--files-from",
                                     "/"};  // whoever runs a file may read what he may read
    if (line.has("threads")) command.insert(command.end(), {"--worker-threads", line.text("threads")});
    platform::ProcessOptions options;
    options.log_file = data_.logs() / "server.log";
    options.stop_grace = std::chrono::minutes(2);
    process_.emplace(command, options);
    wait_until_ready();
  }

 private:
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
  std::optional<platform::Process> process_;
};

int start_and_follow(const platform::CommandLine& line, const std::string& text, bool detach) {
  ServerConnection server(line);
  const json::object run = server.post("/runs", {{"text", text}, {"inputs", inputs_from(line.all("set"), "--set")}});
  if (detach) return std::printf("%s\n", cell(run, "id").c_str()), 0;
  if (!server.json_wanted())
    std::printf("run %s of %s on %s\n", cell(run, "id").c_str(), cell(run, "workflow").c_str(),
                server.address().c_str());
  std::fflush(stdout);
  const json::object last = follow_run(server, cell(run, "id"));
  if (server.json_wanted())
    print_json(last);
  else
    print_scores(last);
  if (!server.json_wanted() && cell(last, "state") == "running")
    std::printf("\nThe run waits for a person: anneal runs approve %s STEP\n", cell(run, "id").c_str());
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
  line.option("token-file", "FILE", "file with the access token; default $ANNEAL_TOKEN, else the data folder's");
  line.option("threads", "N", "compute threads, where a server has to be started");
  if (!line.read(arguments)) return 0;
  const std::string text = workflows::workflow_text(line.text("FILE"));
  const workflows::Workflow workflow = workflows::workflow_from_text(text, line.text("FILE"), workflows::step_kinds());
  workflows::settle_inputs(workflow,
                           inputs_from(line.all("set"), "--set"));  // mistakes are told before anything starts
  const bool running = has_server(line);
  if (!running && line.has("detach"))
    throw Error(ErrorCode::kInvalidInput, "--detach needs a server that goes on; start one with anneal serve");
  std::optional<OwnServer> own;
  if (!running) own.emplace(line);
  return start_and_follow(line, text, line.has("detach"));
}

}  // namespace web
