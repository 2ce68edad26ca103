// `anneal adapter`: what is done to finished adapters.
#include <algorithm>
#include <cstdio>

#include "finetune/adapter/combine.h"
#include "finetune/adapter/merge.h"
#include "finetune/commands/commands.h"
#include "finetune/commands/progress_line.h"
#include "platform/base/command_line.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

std::optional<WeightPrecision> few_bits_from(const std::string& name) {
  if (name == "stored") return std::nullopt;
  for (const WeightPrecision precision : {WeightPrecision::kInt8, WeightPrecision::kNf4, WeightPrecision::kNf4Nested}) {
    if (name == to_string(precision)) return precision;
  }
  throw Error(ErrorCode::kInvalidInput, "precision must be stored, int8, nf4 or nf4_double, not \"" + name + "\"",
              "precision");
}

void print_merged(const MergedWeights& merged, const std::string& out) {
  std::printf("wrote %s: %zu weights changed, largest rounding error %.2g of a weight's size%s%s%s\n", out.c_str(),
              merged.changed.size(), merged.largest_error, merged.largest_error_of.empty() ? "" : " (",
              merged.largest_error_of.c_str(), merged.largest_error_of.empty() ? "" : ")");
  if (merged.untied) std::printf("the head is a weight of its own now: tie_word_embeddings is false\n");
}

// `merge` and `unmerge`: a model and an adapter in, a model out.
struct Folding {
  const char* summary;
  const char* model_option;  // "base" or "model"
  const char* model_help;
  const char* adapter_help;
  const char* out_help;
  MergedWeights (*fold)(const MergeRequest&);
  bool chooses_precision;
};
constexpr Folding kMerge{"Writes the base with a text adapter added to its weights.",
                         "base",
                         "base model folder",
                         "adapter folder",
                         "new folder for the merged model",
                         merge_adapter,
                         true};
constexpr Folding kUnmerge{"Takes a merged adapter off again; two roundings to the weights' type remain.",
                           "model",
                           "folder of the merged model",
                           "folder of the adapter that was merged into it",
                           "new folder for the base",
                           unmerge_adapter,
                           false};

int fold_action(const Folding& folding, const std::string& command, std::vector<std::string> examples,
                const Arguments& arguments) {
  platform::CommandLine line(command, folding.summary, std::move(examples));
  line.option(folding.model_option, "DIR", folding.model_help, {.required = true});
  line.option("adapter", "DIR", folding.adapter_help, {.required = true});
  line.option("out", "DIR", folding.out_help, {.required = true});
  if (folding.chooses_precision)
    line.option("precision", "NAME",
                "stored, or int8, nf4, nf4_double: merge as a base held in so few bits does, which rounds again",
                {.fallback = "stored"});
  line.option("threads", "N", "compute threads, 0 = one per core", {.fallback = "0"});
  if (!line.read(arguments)) return 0;
  StageLine stages;
  MergeRequest request;
  request.base_folder = line.text(folding.model_option);
  request.adapter_folder = line.text("adapter");
  request.output_folder = line.text("out");
  if (folding.chooses_precision) request.few_bits = few_bits_from(line.text("precision"));
  request.threads = line.threads();
  request.on_stage = [&](std::string_view stage) { stages.begin(stage); };
  const MergedWeights merged = folding.fold(request);
  stages.done();
  print_merged(merged, line.text("out"));
  return 0;
}

int merge_action(const std::string& command, const Arguments& arguments) {
  return fold_action(kMerge, command,
                     {command + " --base base --adapter adapter --out merged",
                      command + " --base base --adapter adapter --precision nf4 --out merged"},
                     arguments);
}

int unmerge_action(const Arguments& arguments) {
  return fold_action(kUnmerge, "anneal adapter unmerge",
                     {"anneal adapter unmerge --model merged --adapter adapter --out base"}, arguments);
}

double number_from(const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size())
    throw Error(ErrorCode::kInvalidInput, "a weight must be a number, not \"" + text + "\"", "weight");
  return value;
}

int combine_action(const Arguments& arguments) {
  platform::CommandLine line(
      "anneal adapter combine", "Weights several LoRA adapters of one base into one.",
      {"anneal adapter combine --base base --adapter day --weight 0.7 --adapter night --weight 0.3 --out both",
       "anneal adapter combine --base base --adapter day --adapter night --type svd --svd-rank 16 --out both"});
  line.option("base", "DIR", "base model folder", {.required = true});
  line.option("adapter", "DIR", "adapter folder; several times", {.required = true, .repeated = true});
  line.option("weight", "X", "of each adapter, in their order; default 1 each", {.repeated = true});
  line.option("type", "NAME", "cat (the sum itself), svd (at a rank of your choice), linear (of factors)",
              {.fallback = "cat"});
  line.option("svd-rank", "N", "rank for svd, 0 = the largest of the adapters'", {.fallback = "0"});
  line.option("out", "DIR", "adapter folder", {.required = true});
  line.option("threads", "N", "compute threads, 0 = one per core", {.fallback = "0"});
  if (!line.read(arguments)) return 0;
  CombineRequest request;
  request.base_folder = line.text("base");
  for (const std::string& folder : line.all("adapter")) request.adapter_folders.emplace_back(folder);
  for (const std::string& weight : line.all("weight")) request.weights.push_back(number_from(weight));
  if (request.weights.empty()) request.weights.assign(request.adapter_folders.size(), 1.0);
  request.type = combination_type_from(line.text("type"));
  request.svd_rank = static_cast<int>(std::clamp<std::int64_t>(line.integer("svd-rank"), 0, 1 << 20));
  request.output_folder = line.text("out");
  request.threads = line.threads();
  StageLine stages;
  request.on_stage = [&](std::string_view stage) { stages.begin(stage); };
  const std::string digest = combine_adapters(request);
  stages.done();
  std::printf("wrote %s: %s\n", line.text("out").c_str(), digest.c_str());
  return 0;
}

struct Action {
  const char* name;
  const char* summary;
  int (*run)(const Arguments&);
};
constexpr Action kActions[] = {
    {"combine", "weight several adapters into one", combine_action},
    {"merge", "fold an adapter into its base",
     [](const Arguments& arguments) { return merge_action("anneal adapter merge", arguments); }},
    {"unmerge", "take a merged adapter off again", unmerge_action},
};

void print_actions() {
  std::puts("anneal adapter ACTION: what is done to finished adapters.\n");
  for (const Action& action : kActions) std::printf("  %-10s %s\n", action.name, action.summary);
  std::puts("\nanneal adapter ACTION --help tells its options.");
}

}  // namespace

int merge_command(const Arguments& arguments) { return merge_action("anneal merge", arguments); }

int adapter_command(const Arguments& arguments) {
  if (arguments.empty() || arguments.front() == "--help") {
    print_actions();
    return arguments.empty() ? 2 : 0;
  }
  for (const Action& action : kActions) {
    if (arguments.front() == action.name) return action.run({arguments.begin() + 1, arguments.end()});
  }
  throw Error(ErrorCode::kInvalidInput,
              "anneal adapter knows combine, merge and unmerge, not \"" + arguments.front() + "\"");
}

}  // namespace finetune
