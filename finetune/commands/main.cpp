// anneal-engine: the subcommands that need no server, as a program of their own.
#include <cstdio>
#include <map>

#include "finetune/commands/commands.h"
#include "platform/base/error.h"

int main(int count, char** words) {
  using finetune::Arguments;
  const std::map<std::string, int (*)(const Arguments&)> commands = {
      {"corpus", finetune::corpus_command},       {"evaluate", finetune::evaluate_command},
      {"generate", finetune::generate_command},   {"merge", finetune::merge_command},
      {"pretrain", finetune::pretrain_command},   {"tokenizer", finetune::tokenizer_command},
      {"train", finetune::train_command},
  };
  const auto command = commands.find(count > 1 ? words[1] : "");
  if (command == commands.end()) {
    std::fputs("usage: anneal-engine corpus|evaluate|generate|merge|pretrain|tokenizer|train ... (--help)\n", stderr);
    return 2;
  }
  try {
    return command->second(Arguments(words + 2, words + count));
  } catch (const platform::Error& error) {
    std::fprintf(stderr, "anneal: %s\n", error.what());
    return platform::exit_code(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "anneal: %s\n", error.what());
    return 1;
  }
}
