#include <cstdio>

#include "finetune/adapter/gguf_export.h"
#include "finetune/commands/commands.h"
#include "finetune/commands/progress_line.h"
#include "platform/base/command_line.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

void export_gguf(const platform::CommandLine& line) {
  StageLine stages;
  GgufExportRequest request;
  request.base_folder = line.text("base");
  request.output_file = line.text("out");
  request.type = line.text("type");
  request.pre_tokenizer = line.text("pre");
  request.threads = line.threads();
  request.on_stage = [&](std::string_view stage) { stages.begin(stage); };
  request.on_tensor = [&] { stages.tick(); };
  if (line.has("adapter")) {
    const GgufExportResult result = export_gguf_adapter(request, line.text("adapter"));
    stages.done();
    std::printf("wrote %s: an adapter for %s, %lld tensors\n", line.text("out").c_str(), result.architecture.c_str(),
                static_cast<long long>(result.tensors));
    return;
  }
  const GgufExportResult result = export_gguf_base(request);
  stages.done();
  std::printf("wrote %s: %s, %lld tensors\n", line.text("out").c_str(), result.architecture.c_str(),
              static_cast<long long>(result.tensors));
  if (result.other_type > 0)
    std::printf("%lld tensors are written as q8_0 or f16, because their rows do not fill the blocks of %s\n",
                static_cast<long long>(result.other_type), request.type.c_str());
  if (result.context < result.full_context)
    std::printf("its context is %lld of %lld tokens, because llama.cpp has no window for this architecture\n",
                static_cast<long long>(result.context), static_cast<long long>(result.full_context));
}

}  // namespace

int export_command(const Arguments& arguments) {
  platform::CommandLine line("anneal export", "Writes a base or an adapter for another engine: GGUF, or PEFT files.",
                             {"anneal export gguf --base base --type q8_0 --out base.gguf",
                              "anneal export gguf --base base --adapter adapter --type f16 --out adapter.gguf",
                              "anneal export peft --adapter adapter --for vllm --out adapter-for-vllm"});
  line.argument("format", "gguf (llama.cpp) or peft");
  line.option("base", "DIR", "base model folder; of the adapter, where one is given", {});
  line.option("adapter", "DIR", "adapter folder: its LoRA is written, to be used beside the base", {});
  line.option("type", "NAME", "f32, f16, bf16, q8_0, q4_0 or q4_k; of an adapter f32 or f16", {.fallback = "f16"});
  line.option("pre", "NAME", "llama.cpp's name of the pre-tokenizer; default: by its pattern", {});
  line.option("for", "ENGINE", "peft: refuse what this engine does not serve; vllm", {});
  line.option("out", "PATH", "file to write; peft: new folder", {.required = true});
  line.option("threads", "N", "compute threads, 0 = one per core", {.fallback = "0"});
  if (!line.read(arguments)) return 0;
  const std::string format = line.text("format");
  const auto needs = [&](const char* option) {
    if (line.has(option)) return;
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          std::string("anneal export ") + format + " needs --" + option, option);
  };
  if (format == "gguf") {
    needs("base");
    export_gguf(line);
    return 0;
  }
  if (format == "peft") {
    needs("adapter");
    export_peft_adapter(line.text("adapter"), line.text("out"), line.text("for"));
    std::printf("wrote %s\n", line.text("out").c_str());
    return 0;
  }
  throw platform::Error(platform::ErrorCode::kInvalidInput, "unknown format: " + format + "; use gguf or peft",
                        "format");
}

}  // namespace finetune
