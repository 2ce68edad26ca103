// The measurements of speed among `anneal bench`: train, generate and kernels. Each takes the arguments after its name
// and returns the exit code; errors are thrown as platform::Error. Ctrl-C stops one, peers included. One at a time, in
// main's thread.
#pragma once

#include "finetune/commands/commands.h"

namespace finetune {

int bench_generate_action(const Arguments& arguments);
int bench_kernels_action(const Arguments& arguments);
int bench_train_action(const Arguments& arguments);

}  // namespace finetune
