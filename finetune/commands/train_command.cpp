#include <sys/resource.h>

#include <algorithm>
#include <cstdio>

#include "finetune/commands/commands.h"
#include "finetune/commands/progress_line.h"
#include "finetune/generate/predictor.h"
#include "finetune/train/training_job.h"
#include "platform/base/command_line.h"
#include "platform/base/yaml.h"

namespace finetune {
namespace {

namespace json = platform::json;

// A configuration file, where there is one, holds the keys of TrainConfig, and `task`, `labels`, `seed` and
// `init_adapter`. `over`: settings of the command line, which count before the file's; what is left of both is checked
// together.
void read_config(const std::filesystem::path& file, const json::object& over, TrainRequest& request) {
  json::value document = file.empty() ? json::value(nullptr) : platform::to_json(platform::read_yaml_file(file));
  json::object object = document.is_null() ? json::object{} : platform::as_object(document, file.string());
  for (const auto& [key, value] : over) object[key] = value;
  if (platform::find(object, "task") != nullptr) request.task = task_from(platform::require_string(object, "task", ""));
  if (const auto* labels = platform::find(object, "labels")) request.labels = platform::strings_from(*labels, "labels");
  request.seed =
      static_cast<std::uint64_t>(platform::int_or(object, "seed", static_cast<std::int64_t>(request.seed), ""));
  request.init_adapter = platform::string_or(object, "init_adapter", "", "");
  for (const char* key : {"task", "labels", "seed", "init_adapter"}) object.erase(key);
  request.config = train_config_from_json(object);
}

void print_scores(const char* name, const std::vector<Score>& scores) {
  for (const Score& score : scores) {
    std::printf("%-10s %-20s %10.4f   [%.4f, %.4f]\n", name, score.metric.c_str(), score.value, score.low, score.high);
  }
}

// One text is a list with commas; several are taken as they are, so that an answer may have a comma itself.
std::vector<std::string> choices_in(const std::vector<std::string>& given) {
  if (given.size() != 1) return given;
  std::vector<std::string> choices{""};
  for (const char character : given.front()) {
    if (character == ',')
      choices.emplace_back();
    else
      choices.back() += character;
  }
  return choices;
}

}  // namespace

int train_command(const Arguments& arguments) {
  platform::CommandLine line("anneal train", "Adapts a base to a data set; the same command resumes after a stop.",
                             {"anneal train --base base --data data.jsonl --config train.yaml --out adapter",
                              "anneal train --base base --data data.jsonl --base-dtype nf4 --out adapter",
                              "anneal train --base base --data pairs.jsonl --task lm --objective dpo --out adapter",
                              "anneal train --base base --data new.jsonl --init-adapter adapter --out adapter2"});
  line.option("base", "DIR", "base model folder", {.required = true});
  line.option("data", "FILE", "JSON lines of examples", {.required = true});
  line.option("config", "FILE", "YAML with task, labels, seed, init_adapter and training settings", {});
  line.option("task", "NAME", "lm, classify, ordinal, multilabel, regress or forecast (over the configuration's)", {});
  line.option("objective", "NAME", "lm: sft, dpo, orpo or distillation (over the configuration's)", {});
  line.option("base-dtype", "NAME", "how the frozen base is held: float32, bfloat16, float16, int8, nf4, nf4_double",
              {});
  line.option("init-adapter", "DIR", "adapter to go on from, ours or PEFT's (over the configuration's)", {});
  line.option("out", "DIR", "adapter folder", {.required = true});
  line.option("work", "DIR", "folder of the checkpoint; default OUT.work", {});
  line.option("threads", "N", "compute threads, 0 = one per core", {.fallback = "0"});
  if (!line.read(arguments)) return 0;
  TrainRequest request;
  request.base_folder = line.text("base");
  request.dataset = line.text("data");
  request.output_folder = line.text("out");
  request.work_folder = line.text("work");
  request.threads = line.threads();
  json::object over;
  if (line.has("base-dtype")) over["base_dtype"] = line.text("base-dtype");
  if (line.has("init-adapter")) over["init_adapter"] = line.text("init-adapter");
  if (line.has("objective")) over["objective"] = line.text("objective");
  if (line.has("task")) over["task"] = line.text("task");
  read_config(line.has("config") ? line.text("config") : "", over, request);
  TrainResult result;
  {
    ProgressLine progress;
    result = train_adapter(request, progress);
  }
  remove_checkpoint(request);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  json::object summary{{"adapter", result.adapter_digest},
                       {"steps", result.steps},
                       {"best_step", result.best_step},
                       {"skipped_steps", result.skipped_steps},
                       {"trained_parameters", result.trained_parameters},
                       {"seconds", result.seconds},
                       {"tokens_per_second", result.tokens_per_second},
                       {"peak_memory_mib", usage.ru_maxrss / 1024}};
  if (result.validation_metric) summary["validation_" + result.metric] = *result.validation_metric;
  std::printf("%s\n", json::serialize(summary).c_str());
  return 0;
}

int evaluate_command(const Arguments& arguments) {
  platform::CommandLine line("anneal evaluate", "Scores an adapter, or a bare base, beside the plain baselines.",
                             {"anneal evaluate --base base --adapter adapter --data data.jsonl --split test",
                              "anneal evaluate --base base --adapter adapter --data data.jsonl --choices auto",
                              "anneal evaluate --base base --data data.jsonl --choices \"normal,worn,broken\""});
  line.option("base", "DIR", "base model folder", {.required = true});
  line.option("adapter", "DIR", "adapter folder; without one the base answers as it is", {});
  line.option("data", "FILE", "JSON lines of examples", {.required = true});
  line.option("split", "NAME", "train, validation or test", {.fallback = "test"});
  line.option("predictions", "FILE", "writes one line an example", {});
  line.option("answers", "N", "lm: write and score the answers of at most N examples, 0 = none", {.fallback = "500"});
  line.option("answer-tokens", "N", "lm: longest answer", {.fallback = "256"});
  line.option("choices", "A,B,...",
              "lm: which of these answers is most likely; auto = all of the training part; several times: one each",
              {.repeated = true});
  line.flag("choices-per-character", "compare log probabilities divided by the answers' lengths");
  line.option("threads", "N", "compute threads, 0 = one per core", {.fallback = "0"});
  line.flag("json", "print the report as JSON");
  if (!line.read(arguments)) return 0;
  EvaluateRequest request;
  request.base_folder = line.text("base");
  request.adapter_folder = line.text("adapter");
  request.dataset = line.text("data");
  request.split = line.text("split");
  request.predictions_file = line.text("predictions");
  request.answers = line.integer("answers");
  request.answer_tokens = line.integer("answer-tokens");
  request.choices = choices_in(line.all("choices"));
  request.choices_per_character = line.has("choices-per-character");
  request.threads = line.threads();
  StageLine stages;
  ProgressLine signals;
  request.should_stop = [&] {
    stages.tick();
    return signals.should_stop();
  };
  stages.begin("scoring the part " + request.split + " of " + request.dataset.string());
  const EvaluationReport report = evaluate_adapter(request);
  stages.say(std::to_string(report.examples) + " examples scored, " + std::to_string(report.answers) +
             " answers written");
  if (line.has("json")) {
    std::printf("%s\n", platform::pretty_json(to_json(report)).c_str());
    return 0;
  }
  print_scores(report.adapter_digest.empty() ? "base" : "adapter", report.scores);
  if (report.unknown_labels > 0) {
    std::printf(
        "%-10s %-20s %10lld   of %lld examples have a label that the adapter does not know: wrong, and not in "
        "loss\n",
        "adapter", "unknown labels", static_cast<long long>(report.unknown_labels),
        static_cast<long long>(report.examples));
  }
  for (const auto& [name, scores] : report.baselines) print_scores(name.c_str(), scores);
  for (const auto& [name, count] : report.baseline_examples)
    std::printf("%-10s %-20s %10lld\n", name.c_str(), "training examples", static_cast<long long>(count));
  return 0;
}

namespace {

void declare_sampling(platform::CommandLine& line) {
  line.option("max-tokens", "N", "longest answer", {.fallback = "128"});
  line.option("temperature", "X", "0 = greedy, at most 2", {.fallback = "0"});
  line.option("top-k", "N", "choose among the N most probable tokens, 0 = all", {.fallback = "0"});
  line.option("top-p", "X", "choose among the most probable tokens that add up to X", {.fallback = "1"});
  line.option("min-p", "X", "leave out tokens below X times the most probable one", {.fallback = "0"});
  line.option("typical-p", "X", "choose among the most typical tokens that add up to X", {.fallback = "1"});
  line.option("repetition-penalty", "X", "over 1: what came before becomes less likely", {.fallback = "1"});
  line.option("no-repeat-ngram-size", "N", "no N tokens come twice, 0 = they may", {.fallback = "0"});
  line.option("stop", "TEXT", "end before this text", {.repeated = true});
  line.option("seed", "S", "random seed", {.fallback = "1"});
}

// Text would be the bare base's own beside a head, and nobody who names such an adapter wants that.
void check_writes(const Predictor& predictor) {
  if (predictor.task() == to_string(Task::kLanguageModel)) return;
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        "the adapter is for the task " + predictor.task() +
                            " and writes no text; ask it for predictions, or leave --adapter out",
                        "adapter");
}

AnswerForm form_from(const platform::CommandLine& line) {
  if (line.has("choices") && line.has("json-schema"))
    throw platform::Error(platform::ErrorCode::kInvalidInput, "--choices and --json-schema exclude each other",
                          "json-schema");
  if (line.has("choices")) return AnswerForm::one_of(choices_in(line.all("choices")));
  if (line.has("json-schema")) return AnswerForm::json(platform::read_json_file(line.text("json-schema")));
  return {};
}

GenerateOptions sampling_from(const platform::CommandLine& line) {
  const auto share = [&](const char* name) { return static_cast<float>(line.number(name)); };
  const auto count = [&](const char* name) {
    return static_cast<std::int32_t>(std::clamp<std::int64_t>(line.integer(name), -1, INT32_MAX));
  };
  GenerateOptions options;
  options.max_tokens = line.integer("max-tokens");
  options.temperature = share("temperature");
  options.top_k = count("top-k");
  options.top_p = share("top-p");
  options.min_p = share("min-p");
  options.typical_p = share("typical-p");
  options.repetition_penalty = share("repetition-penalty");
  options.no_repeat_ngram_size = count("no-repeat-ngram-size");
  options.stop = line.all("stop");
  options.seed = static_cast<std::uint64_t>(line.integer("seed"));
  options.validate();
  return options;
}

}  // namespace

int generate_command(const Arguments& arguments) {
  platform::CommandLine line(
      "anneal generate", "Continues a text, or answers a message in the words of the base's chat template.",
      {"anneal generate --base base --adapter adapter --prompt \"Spindle load high:\" --max-tokens 64",
       "anneal generate --base base --adapter adapter --prompt \"spindle load\" --choices \"high,low\"",
       "anneal generate --base base --prompt \"Work order: \" --json-schema order.schema.json",
       "anneal generate --base base --adapter adapter --chat --prompt \"Why is the spindle hot?\" --temperature 0.7 "
       "--min-p 0.05"});
  line.option("base", "DIR", "base model folder", {.required = true});
  line.option("adapter", "DIR", "adapter folder", {});
  line.option("base-dtype", "NAME", "how the base is held, as in `anneal train`; default: as in the training", {});
  line.option("prompt", "TEXT", "text to continue", {.required = true});
  line.option("choices", "A,B,...", "answer with one of these; several times: one each, commas and all",
              {.repeated = true});
  line.option("json-schema", "FILE", "answer with a JSON document that this schema allows", {});
  declare_sampling(line);
  line.option("threads", "N", "compute threads, 0 = one per core", {.fallback = "0"});
  line.flag("chat", "the prompt is a user's message, answered by the assistant");
  if (!line.read(arguments)) return 0;
  const GenerateOptions options = sampling_from(line);
  const AnswerForm form = form_from(line);
  std::optional<std::filesystem::path> adapter;
  if (line.has("adapter")) adapter = line.text("adapter");
  StageLine stages;
  stages.begin("reading and checking the model");
  Predictor predictor(line.text("base"), adapter, line.threads(), line.text("base-dtype"));
  stages.done();
  check_writes(predictor);
  const OnPiece print = [](std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
    return true;
  };
  const auto answer = [&] {
    if (!line.has("chat")) return predictor.complete(line.text("prompt"), options, print, form);
    const std::vector<platform::Message> messages{{"user", line.text("prompt")}};
    return predictor.chat(messages, options, print, form);
  };
  const Generation generation = answer();
  std::fputc('\n', stdout);
  std::fflush(stdout);
  stages.say(std::to_string(generation.completion_tokens) + " tokens written, ended by " + generation.finish_reason);
  return 0;
}

}  // namespace finetune
