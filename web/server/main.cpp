// anneal: one program, one row a subcommand.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "connectors/profiles.h"
#include "connectors/simulators/plant_server.h"
#include "finetune/commands/commands.h"
#include "kernels/core/waiting.h"
#include "platform/base/command_line.h"
#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"
#include "web/client/commands.h"
#include "web/server/commands.h"
#include "web/server/services.h"
#include "workflows/commands/commands.h"

namespace {

using Arguments = std::vector<std::string>;

struct Command {
  const char* group;
  const char* name;
  const char* summary;
  int (*run)(const Arguments&);
};

int completion_command(const Arguments&);
int help_command(const Arguments&);

int version_command(const Arguments&) {
  std::printf("anneal %s\n", std::string(web::kVersion).c_str());
  return 0;
}

const std::array kCommands{
    Command{"Server", "serve", "run the server, with a private database unless one is given", web::serve_command},
    Command{"Server", "token", "who may speak to the server", web::token_command},
    Command{"Server", "worker", "run steps beside the server's own worker", workflows::worker_command},
    Command{"Data", "datasets", "immutable snapshots that models learned from", web::datasets_command},
    Command{"Data", "ingest", "send files of records to a source", web::ingest_command},
    Command{"Data", "profile", "write the profile that a table asks for", connectors::profile_command},
    Command{"Data", "simulate", "serve a simulated machine over REST", connectors::simulate_command},
    Command{"Data", "sources", "where records come from", web::sources_command},
    Command{"Workflows", "plan", "show what a workflow file would do", workflows::plan_command},
    Command{"Workflows", "run", "run a workflow file, with or without a server", web::run_command},
    Command{"Workflows", "runs", "start, watch and decide on runs", web::runs_command},
    Command{"Workflows", "validate", "name every mistake of workflow files", workflows::validate_command},
    Command{"Workflows", "workflows", "the workflows that the server knows", web::workflows_command},
    Command{"Models", "alias", "where production and other names stand", web::alias_command},
    Command{"Models", "models", "registered models, their versions and proof", web::models_command},
    Command{"Plant", "agents", "the programs on the plant machines", web::agents_command},
    Command{"Plant", "deploy", "bring model versions to the agents and back", web::deploy_command},
    Command{"Plant", "predict", "ask an agent about the rows of a file", web::predict_command},
    Command{"Engine", "adapter", "combine, merge and unmerge adapters", finetune::adapter_command},
    Command{"Engine", "bench", "measure adaptation on real public data sets, and speed", finetune::bench_command},
    Command{"Engine", "corpus", "write the generated pretraining text", finetune::corpus_command},
    Command{"Engine", "evaluate", "score an adapter on a data set", finetune::evaluate_command},
    Command{"Engine", "export", "write a base or an adapter for other engines", finetune::export_command},
    Command{"Engine", "generate", "let a model write on", finetune::generate_command},
    Command{"Engine", "merge", "fold an adapter into its base", finetune::merge_command},
    Command{"Engine", "pretrain", "train a base model from scratch", finetune::pretrain_command},
    Command{"Engine", "tokenizer", "train a vocabulary", finetune::tokenizer_command},
    Command{"Engine", "train", "adapt a base model to a file of examples", finetune::train_command},
    Command{"Other", "completion", "print the tab completion of bash", completion_command},
    Command{"Other", "help", "show this list", help_command},
    Command{"Other", "version", "print the version", version_command},
};

int completion_command(const Arguments& arguments) {
  platform::CommandLine line("anneal completion", "Prints the tab completion of bash.",
                             {"source <(anneal completion)", "anneal completion > /etc/bash_completion.d/anneal"});
  if (!line.read(arguments)) return 0;
  std::vector<std::string> names;
  for (const Command& command : kCommands) names.emplace_back(command.name);
  std::fputs(web::bash_completion(names, {{"bench", finetune::bench_measurements()}}).c_str(), stdout);
  return 0;
}

int help_command(const Arguments&) {
  std::puts(
      "anneal turns a plant's own data into a specialised model and puts it back on the line.\n\nusage: anneal COMMAND "
      "[OPTION...]   (anneal COMMAND --help explains one)");
  std::string group;
  for (const Command& command : kCommands) {
    if (group != command.group) std::printf("\n%s\n", command.group);
    group = command.group;
    std::printf("  %-10s %s\n", command.name, command.summary);
  }
  std::puts(
      "\nExamples\n  anneal serve --data-folder ~/plant\n  anneal run robot-navigation --set source=robot-1\n  anneal "
      "train --base DIR --data FILE.jsonl --config FILE.yaml --out DIR");
  return 0;
}

int run(const std::string& name, const Arguments& arguments) {
  if (name.empty() || name == "--help" || name == "-h") return help_command(arguments);
  if (name == "--version") return version_command(arguments);
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    if (name == command.name) return command.run(arguments);
    names.emplace_back(command.name);
  }
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        "unknown command: " + name + platform::did_you_mean(name, names) + "; anneal help lists them");
}

void complain(const std::string& message) {
  const bool colour = ::isatty(STDERR_FILENO) != 0;
  std::fprintf(stderr, "%sanneal: %s%s\n", colour ? "\033[31m" : "", message.c_str(), colour ? "\033[0m" : "");
}

// What was printed has arrived, or the command has failed: a full disk must not look like an answer.
int said(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  complain(std::string("standard output cannot be written: ") + std::strerror(errno) +
           "; what was printed is not complete");
  return code == 0 ? 1 : code;
}

}  // namespace

int main(int count, char** words) {
  kernels::sleep_while_waiting(words);
  try {
    return said(run(count > 1 ? words[1] : "", count > 2 ? Arguments(words + 2, words + count) : Arguments()));
  } catch (const platform::Error& error) {
    complain(platform::in_full(error) + " [" + std::string(platform::to_string(error.code())) + "]");
    return platform::exit_code(error.code());
  } catch (const std::filesystem::filesystem_error& error) {
    complain(error.path1().string() + ": " + error.code().message() +
             "; check its permissions and the room on its disk");
    return 1;
  } catch (const std::exception& error) {
    complain(platform::in_full(error));
    return 1;
  }
}
