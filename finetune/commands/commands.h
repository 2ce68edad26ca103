// The subcommands that need no server. Each takes the arguments after its name and returns the exit code; errors are
// thrown as platform::Error for main to print. SIGTERM and SIGINT make a training save and stop. One at a time, in
// main's thread.
#pragma once

#include <string>
#include <vector>

namespace finetune {

using Arguments = std::vector<std::string>;

int adapter_command(const Arguments& arguments);
int bench_command(const Arguments& arguments);
int corpus_command(const Arguments& arguments);
int evaluate_command(const Arguments& arguments);
int export_command(const Arguments& arguments);
int generate_command(const Arguments& arguments);
int merge_command(const Arguments& arguments);
int pretrain_command(const Arguments& arguments);
int tokenizer_command(const Arguments& arguments);
int train_command(const Arguments& arguments);

/// What may follow `anneal bench`, for shell completion.
std::vector<std::string> bench_measurements();

}  // namespace finetune
