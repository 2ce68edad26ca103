#include <cstdio>

#include "finetune/adapter/merge.h"
#include "finetune/commands/commands.h"
#include "finetune/commands/progress_line.h"
#include "platform/base/command_line.h"

namespace finetune {

int merge_command(const Arguments& arguments) {
  platform::CommandLine line("anneal merge", "Writes the base with a text adapter's LoRA added to its weights.",
                             {"anneal merge --base base --adapter adapter --out merged"});
  line.option("base", "DIR", "base model folder", {.required = true});
  line.option("adapter", "DIR", "adapter folder", {.required = true});
  line.option("out", "DIR", "new folder for the merged model", {.required = true});
  line.option("threads", "N", "compute threads, 0 = one per core", {.fallback = "0"});
  if (!line.read(arguments)) return 0;
  StageLine stages;
  MergeRequest request;
  request.base_folder = line.text("base");
  request.adapter_folder = line.text("adapter");
  request.output_folder = line.text("out");
  request.threads = static_cast<int>(line.integer("threads"));
  request.on_stage = [&](std::string_view stage) { stages.begin(stage); };
  merge_adapter(request);
  stages.done();
  std::printf("wrote %s\n", line.text("out").c_str());
  return 0;
}

}  // namespace finetune
