#include "workflows/step_schemas.h"

#include <algorithm>
#include <cstdlib>

#include "finetune/evaluate/metrics.h"
#include "platform/base/did_you_mean.h"
#include "platform/dataset/split.h"
#include "workflows/gate_statistics.h"

namespace workflows {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

StepOption required(std::string name, OptionType type, std::string help) {
  return {std::move(name), type, std::move(help), true};
}
StepOption option(std::string name, OptionType type, std::string help) {
  return {std::move(name), type, std::move(help), false};
}
StepOption number(std::string name, double minimum, double maximum, std::string help) {
  return {std::move(name), OptionType::kNumber, std::move(help), false, {}, minimum, maximum};
}
StepOption whole(std::string name, double minimum, double maximum, std::string help) {
  return {std::move(name), OptionType::kInteger, std::move(help), false, {}, minimum, maximum};
}
StepOption choice(std::string name, std::vector<std::string> choices, std::string help) {
  return {std::move(name), OptionType::kText, std::move(help), false, std::move(choices)};
}

void check_split(const json::value& value) { platform::split_rule_from_json(value, "split"); }

void check_modules(const json::value& value) {
  // Of all families; the base is known when the step runs.
  const std::vector<std::string> known = {"q_proj",  "k_proj",       "v_proj",   "o_proj", "gate_proj",
                                          "up_proj", "down_proj",    "out_proj", "c_fc_0", "c_fc_1",
                                          "c_proj",  "embed_tokens", "wte",      "lm_head"};
  const json::array one{value};
  for (const json::value& item : value.is_array() ? value.get_array() : one) {
    const std::string name = item.is_string() ? std::string(item.get_string()) : std::string();
    const bool pattern = name.find_first_of(".*+?()[]{}|\\^$") != std::string::npos;
    if (value.is_string() && (name == "all-linear" || pattern)) continue;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw Error(ErrorCode::kInvalidInput,
                  "unknown target module '" + name + "'" + platform::did_you_mean(name, known), "target_modules");
    }
  }
}

void check_rivals(const json::value& value) {
  const std::vector<std::string> known = {"majority",         "mean",           "linear", "nearest",
                                          "alias:production", "alias:candidate"};
  const json::array one{value};
  for (const json::value& item : value.is_array() ? value.get_array() : one) {
    const std::string name = item.is_string() ? std::string(item.get_string()) : std::string();
    if (name.rfind("alias:", 0) == 0 && name.size() > 6) continue;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw Error(ErrorCode::kInvalidInput,
                  "'better_than' must name baselines (majority, mean, linear, nearest) or alias:NAME, not '" + name +
                      "'" + platform::did_you_mean(name, known),
                  "better_than");
    }
  }
}

void check_waves(const json::value& value) {
  double before = 0;
  const json::array one{value};
  for (const json::value& item : value.is_array() ? value.get_array() : one) {
    const std::string text = item.is_string() ? std::string(item.get_string()) : platform::canonical_json(item);
    char* end = nullptr;
    const double share = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || std::string_view(end) != "%" || !(share > before) || share > 100) {
      throw Error(ErrorCode::kInvalidInput,
                  "'waves' must be rising percentages such as [10%, 100%], not '" + text + "'", "waves");
    }
    before = share;
  }
  if (before != 100) throw Error(ErrorCode::kInvalidInput, "the last of 'waves' must be 100%", "waves");
}

void check_data(const json::object& with) {
  std::string first;
  for (const char* key : {"source", "sources", "files"}) {
    if (!with.contains(key)) continue;
    if (!first.empty())
      throw Error(ErrorCode::kInvalidInput, "'" + first + "' and '" + key + "' exclude each other; give one of them",
                  key);
    first = key;
  }
  if (first.empty())
    throw Error(ErrorCode::kInvalidInput, "there is nothing to read; give source, sources or files", "source");
  if (!with.contains("profile") && !with.contains("target"))
    throw Error(ErrorCode::kInvalidInput, "nothing says what to predict; give a profile, or the target column",
                "profile");
  if (with.contains("profile") && with.contains("target"))
    throw Error(ErrorCode::kInvalidInput, "'profile' and 'target' exclude each other; a profile names its target",
                "target");
}

// Rivals that have no score of this metric would be found out only after the training.
void check_rivals_by(const std::string& metric, const json::value& rivals) {
  if (!comparable(metric))
    throw Error(ErrorCode::kInvalidInput,
                "'better_than' cannot compare by " + metric +
                    "; use accuracy, macro_f1, average_precision, auroc, calibration_error, rmse or mae, or at_least "
                    "and at_most alone",
                "better_than");
  const bool of_numbers = metric == "rmse" || metric == "mae";
  const std::vector<std::string>& answers = finetune::answer_metrics();
  const bool of_answers = std::find(answers.begin(), answers.end(), metric) != answers.end();
  const bool of_pairs = metric == "reward_accuracy" || metric == "reward_margin";
  const json::array one{rivals};
  for (const json::value& item : rivals.is_array() ? rivals.get_array() : one) {
    const bool plain = item == json::value("majority") || item == json::value("mean") || item == json::value("linear");
    if (of_pairs && (plain || item == json::value("nearest")))
      throw Error(ErrorCode::kInvalidInput,
                  "'better_than' " + std::string(item.get_string()) + " has no " + metric +
                      "; pairs of answers have no baseline, only aliases",
                  "better_than");
    if (plain && of_answers)
      throw Error(ErrorCode::kInvalidInput,
                  "'better_than' " + std::string(item.get_string()) + " has no " + metric +
                      "; the baseline that writes answers is nearest",
                  "better_than");
    if (item != json::value(of_numbers ? "majority" : "mean")) continue;
    throw Error(ErrorCode::kInvalidInput,
                "'better_than' " + std::string(item.get_string()) + " has no " + metric + "; the plain baseline of " +
                    (of_numbers ? "numbers is mean" : "classes is majority"),
                "better_than");
  }
}

void check_gate(const json::object& with) {
  const bool anything = with.contains("at_least") || with.contains("at_most") || with.contains("better_than");
  if (!anything && with.contains("metric"))
    throw Error(ErrorCode::kInvalidInput, "the gate asks for nothing; give at_least, at_most or better_than", "metric");
  const json::value* metric = with.if_contains("metric");
  const json::value* rivals = with.if_contains("better_than");
  if (metric == nullptr || !metric->is_string() || rivals == nullptr) return;
  const std::string name(metric->get_string());
  if (name.find("${{") == std::string::npos) check_rivals_by(name, *rivals);
}

StepKind approval() {
  return {"approval",
          "Waits until a person approves or rejects.",
          {option("comment", OptionType::kText, "what the person is asked"),
           choice("not_by", {"starter"}, "starter: whoever started the run may not decide"),
           choice("role", {"admin", "approver", "engineer"}, "role that may decide")},
          {"approved_by"},
          {}};
}

StepKind dataset_snapshot() {
  StepOption split = option("split", OptionType::kMapping, "split rule; the profile's if absent");
  split.check = check_split;
  split.keys = {"by",
                "field",
                "fold",
                "folds",
                "gap",
                "key",
                "sources",
                "test",
                "test_buckets",
                "validation",
                "validation_buckets"};
  StepKind kind{
      "dataset.snapshot",
      "Makes an immutable dataset of the records of sources, or of the rows of files.",
      {option("files", OptionType::kAny, "path of a table, or a mapping of source names to paths"),
       option("group", OptionType::kText, "with target: the column whose rows belong together"),
       option("profile", OptionType::kAny, "name of a ready profile, path of a profile file, or a profile in place"),
       option("source", OptionType::kText, "source name"),
       option("sources", OptionType::kTexts, "several source names"), std::move(split),
       option("target", OptionType::kText, "instead of a profile: the column to predict")},
      {"dataset", "examples", "labels_listed", "name", "profile", "report", "splits", "task", "version", "version_id"},
      {}};
  kind.check = check_data;
  return kind;
}

StepKind deploy_rollout() {
  StepOption waves = option("waves", OptionType::kTexts, "shares of the fleet, one after the other");
  waves.check = check_waves;
  return {"deploy.rollout",
          "Brings a model version to the agents of a selector, wave by wave, then moves production.",
          {required("model", OptionType::kText, "model version, ${{ steps.X.version }}"),
           choice("rollback", {"automatic", "manual"}, "what a stopped rollout does"),
           option("soak", OptionType::kDuration, "how long an agent watches itself before it commits"),
           number("threshold", 0, 0.99, "share of a wave that may fail"),
           option("to", OptionType::kText, "selector of agents, such as line=3; * = all"), std::move(waves)},
          {"deployment", "agents"},
          {"model.register", "model.gate"}};
}

StepKind finetune_lora() {
  StepOption modules = option("target_modules", OptionType::kTexts, "linear layers that get LoRA");
  modules.check = check_modules;
  return {
      "finetune.lora",
      "Trains a LoRA adapter of a base on a dataset version.",
      {choice("activations", {"keep", "recompute"}, "memory against time"),
       number("alpha", 0.01, 4096, "LoRA scale"),
       option("alpha_pattern", OptionType::kMapping, "ends of module names, and the alpha of each"),
       required("base", OptionType::kText, "name of the base model"),
       choice("base_dtype", {"float32", "bfloat16", "float16", "int8", "nf4", "nf4_double"},
              "how the frozen base is held in memory"),
       whole("batch_examples", 1, 4096, "examples an optimizer step"),
       number("beta", 0.0001, 100, "dpo: how near the base is kept; orpo: weight of the odds ratio"),
       whole("bottleneck_size", 1, 4096, "width of a bottleneck adapter"),
       option("continues", OptionType::kText, "forecast: the signal that goes on"),
       choice("class_weights", {"none", "balanced"}, "weight of rare classes"),
       number("clip_norm", 0, 1000, "gradient norm limit; 0 = none"),
       required("dataset", OptionType::kText, "dataset version, ${{ steps.X.dataset }}"),
       number("dropout", 0, 0.9, "LoRA dropout"),
       whole("evaluations", 1, 1000, "validation passes"),
       option("exclude_modules", OptionType::kTexts, "linear layers that get none of it"),
       option("feedforward_modules", OptionType::kTexts, "IA3: linear layers whose input is scaled"),
       number("head_learning_rate_scale", 0.001, 1000, "of heads and sensor encoder"),
       number("huber_delta", 0, 1000, "errors beyond so many deviations count linearly; 0 = squared error"),
       option("init_adapter", OptionType::kText,
              "adapter to go on from: ${{ steps.X.adapter }}, a model version NAME/3, or an alias NAME/production"),
       option("init_lora_weights", OptionType::kAny, "how LoRA starts: true, gaussian, pissa, pissa_niter_K"),
       number("kd_ratio", 0, 1, "distillation: the teacher's share of the loss"),
       number("kd_temperature", 0.1, 100, "distillation: over 1, what is improbable counts more"),
       number("label_smoothing", 0, 0.4999, "dpo: share of pairs taken to be the wrong way round"),
       option("labels", OptionType::kTexts, "every label; of task ordinal from low to high; the profile's if absent"),
       option("layers_to_transform", OptionType::kAny, "numbers of the layers that are adapted, from 0"),
       number("learning_rate", 1e-8, 1, "peak learning rate"),
       option("lora_bias", OptionType::kBoolean, "a trained bias behind B"),
       number("loraplus_lr_ratio", 0.001, 1000, "learning rate of B over that of A"),
       whole("max_epochs", 1, 10000, "passes over the data"),
       whole("max_example_tokens", 8, 1 << 20, "longer prompts lose their beginning"),
       whole("max_steps", 0, 100000000, "optimizer steps; 0 = by epochs"),
       choice("metric",
              {"auto", "loss", "perplexity", "reward_accuracy", "reward_margin", "accuracy", "macro_f1",
               "average_precision", "auroc", "calibration_error", "label_loss", "label_macro_f1", "rmse", "mae",
               "pinball_loss", "qwk"},
              "chooses the best checkpoint"),
       whole("micro_batch_tokens", 16, 1 << 20, "packed tokens computed at once"),
       whole("min_steps", 0, 100000000, "small sets repeat until then"),
       option("modules_to_save", OptionType::kTexts, "modules trained whole, such as lm_head and norm"),
       number("neftune_noise_alpha", 0, 1000, "noise on token embeddings in training; 0 = none"),
       choice("non_linearity", {"gelu_new", "silu"}, "of a bottleneck adapter"),
       choice("objective", {"distillation", "dpo", "orpo", "sft"},
              "of task lm: answers, preferences between two answers, or answers with a teacher's probabilities"),
       choice("optimizer", {"adamw", "sgd"}, "how gradients move the weights"),
       whole("patch_size", 1, 1024, "signal samples a slot"),
       whole("text_features", 0, 65536, "n-grams that read the wording beside its tokens, 0 = none"),
       whole("patience", 0, 1000, "validation passes without a gain before it stops"),
       choice("peft_type", {"BOTTLENECK", "IA3", "LORA"}, "kind of adapter"),
       whole("r", 1, 256, "LoRA rank"),
       option("rank_pattern", OptionType::kMapping, "ends of module names, and the rank of each"),
       number("rpo_alpha", 0, 100, "dpo: weight of the chosen answer's cross-entropy"),
       option("quantiles", OptionType::kAny, "regress: quantiles to tell instead of the mean, such as [0.1, 0.5, 0.9]"),
       choice("schedule",
              {"constant", "constant_with_warmup", "cosine", "inverse_sqrt", "linear", "polynomial",
               "warmup_stable_decay"},
              "learning rate over time"),
       whole("seed", 0, 9007199254740992.0, "of initial weights and order"),
       option("side_network", OptionType::kBoolean, "a small network beside the base, fitted first; default true"),
       whole("remembered_answers", 0, 10000, "of task lm: answers that the adapter carries and settles on, 0 = none"),
       whole("side_trees", 0, 1000, "rounds of boosted trees beside it, at most; 0 = none"),
       std::move(modules),
       choice("task", {"classify", "lm", "ordinal", "regress"}, "the dataset's if absent"),
       number("token_dropout", 0, 0.5, "share of text tokens left out at random in training"),
       option("trainable_token_indices", OptionType::kAny, "tokens whose embeddings are trained"),
       option("use_dora", OptionType::kBoolean, "a trained magnitude for each row (DoRA)"),
       option("use_rslora", OptionType::kBoolean, "alpha / sqrt(r) instead of alpha / r"),
       number("warmup_fraction", 0, 0.99, "share of steps with rising rate"),
       number("weight_average", 0, 0.9999, "memory of the averaged weights; 0 = the last step's"),
       number("weight_decay", 0, 10, "AdamW weight decay")},
      {"adapter", "base", "base_digest", "best_step", "digest", "steps", "validation"},
      {"dataset.snapshot"}};
}

StepKind model_evaluate() {
  return {"model.evaluate",
          "Scores an adapter on the test part, beside plain baselines.",
          {required("adapter", OptionType::kText, "${{ steps.X.adapter }}"),
           option("base", OptionType::kText, "base model; that of the training step if absent"),
           option("choices", OptionType::kTexts,
                  "lm: answers of which the most likely one counts; auto = all of the training part"),
           option("choices_per_character", OptionType::kBoolean, "log probabilities divided by the answers' lengths"),
           required("dataset", OptionType::kText, "${{ steps.X.dataset }}"),
           choice("split", {"test", "validation"}, "part to score")},
          {"adapter", "base", "dataset", "evaluation", "examples", "predictions", "split"},
          {"finetune.lora"}};
}

StepKind model_gate() {
  StepOption rivals = option("better_than", OptionType::kTexts, "baselines and aliases to beat");
  rivals.check = check_rivals;
  StepKind kind{
      "model.gate",
      "Lets a run go on only if the evaluation is good enough.",
      {number("at_least", -1e12, 1e12, "the metric must not be below"),
       number("at_most", -1e12, 1e12, "the metric must not be above"), std::move(rivals),
       number("confidence", 0.5, 0.9999, "share of bootstrap resamples that must agree"),
       StepOption{
           "metric",
           OptionType::kText,
           "score to judge",
           true,
           {"accuracy",      "auroc",      "average_precision", "calibration_error", "chrf",    "coverage",
            "exact_match",   "label_loss", "label_macro_f1",    "label_micro_f1",    "lcs_f1",  "loss",
            "macro_f1",      "mae",        "perplexity",        "pinball_loss",      "qwk",     "reward_accuracy",
            "reward_margin", "rmse",       "rouge_1",           "rouge_2",           "rouge_l", "subset_accuracy",
            "token_f1"}},
       option("model", OptionType::kText, "registered model whose aliases are meant"),
       whole("seed", 0, 9007199254740992.0, "of the bootstrap")},
      {"gate", "metric", "passed", "report", "value"},
      {"model.evaluate"}};
  kind.check = check_gate;
  return kind;
}

StepKind model_register() {
  return {"model.register",
          "Makes an immutable model version and moves the alias candidate to it.",
          {required("name", OptionType::kText, "model name")},
          {"model", "number", "version"},
          {"finetune.lora"}};
}

}  // namespace

const std::vector<StepKind>& step_schemas() {
  static const std::vector<StepKind> kKinds = {approval(),       dataset_snapshot(), deploy_rollout(), finetune_lora(),
                                               model_evaluate(), model_gate(),       model_register()};
  return kKinds;
}

}  // namespace workflows
