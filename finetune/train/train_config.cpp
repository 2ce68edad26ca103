#include "finetune/train/train_config.h"

#include <algorithm>

#include "finetune/train/setting_rules.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

void check(bool good, std::string_view key, const std::string& rule) {
  if (!good) throw Error(ErrorCode::kInvalidInput, std::string(key) + " must be " + rule, std::string(key));
}

bool one_of(const std::string& value, std::initializer_list<std::string_view> allowed) {
  for (const std::string_view item : allowed) {
    if (value == item) return true;
  }
  return false;
}

// A name alone stands for a list of one; what no name can be is PEFT's text form.
bool is_pattern(std::string_view text) {
  return text == "all-linear" || text.find_first_of(".*+?()[]{}|\\^$") != std::string_view::npos;
}

void read_targets(const json::object& object, TrainConfig& config) {
  if (const json::value* modules = platform::find(object, "target_modules")) {
    const bool pattern = modules->is_string() && is_pattern(modules->get_string());
    config.target_pattern = pattern ? std::string(modules->get_string()) : std::string();
    config.target_modules = pattern                ? std::vector<std::string>{}
                            : modules->is_string() ? std::vector<std::string>{std::string(modules->get_string())}
                                                   : platform::strings_from(*modules, "target_modules");
  } else if (config.peft_type != "LORA") {
    config.target_pattern.clear();
  }
  const auto names = [&](std::string_view key, std::vector<std::string>& field) {
    const json::value* value = platform::find(object, key);
    if (value == nullptr) return;
    field = value->is_string() ? std::vector<std::string>{std::string(value->get_string())}
                               : platform::strings_from(*value, key);
  };
  names("exclude_modules", config.exclude_modules);
  names("modules_to_save", config.modules_to_save);
  names("feedforward_modules", config.feedforward_modules);
  const auto numbers = [&](std::string_view key, const char* rule, std::vector<int>& field) {
    const json::value* list = platform::find(object, key);
    if (list == nullptr) return;
    for (const json::value& number : platform::as_array(*list, key)) {
      check(number.is_int64() && number.get_int64() >= 0 && number.get_int64() < 10'000'000, key, rule);
      field.push_back(static_cast<int>(number.get_int64()));
    }
  };
  numbers("layers_to_transform", "a list of layer numbers, from 0", config.layers_to_transform);
  numbers("trainable_token_indices", "a list of token numbers, from 0", config.trainable_token_indices);
}

void read_patterns(const json::object& object, TrainConfig& config) {
  if (const json::value* ranks = platform::find(object, "rank_pattern")) {
    for (const auto& [key, unused] : platform::as_object(*ranks, "rank_pattern"))
      config.rank_pattern.emplace_back(
          key, static_cast<int>(std::clamp<std::int64_t>(
                   platform::require_int(ranks->get_object(), key, "rank_pattern"), 0, 1 << 20)));
  }
  if (const json::value* alphas = platform::find(object, "alpha_pattern")) {
    for (const auto& [key, unused] : platform::as_object(*alphas, "alpha_pattern"))
      config.alpha_pattern.emplace_back(key, platform::require_number(alphas->get_object(), key, "alpha_pattern"));
  }
}

// PEFT writes the usual start as a boolean.
void read_start(const json::object& object, TrainConfig& config) {
  const json::value* start = platform::find(object, "init_lora_weights");
  if (start == nullptr) return;
  check(start->is_string() || (start->is_bool() && start->get_bool()), "init_lora_weights",
        "true, gaussian, pissa or pissa_niter_K");
  config.init_lora_weights = start->is_bool() ? "true" : std::string(start->get_string());
}

// What the settings ask for, checked as a file's would be, with the keys that a configuration has for them.
void check_adapter(const TrainConfig& config) {
  try {
    peft_config(config).validate();
  } catch (const Error& error) {
    if (error.path() == "lora_alpha") check(false, "alpha", "positive");
    if (error.path() == "lora_dropout") check(false, "dropout", "0 here, and at least 0 and below 1 for LORA");
    throw;
  }
}

}  // namespace

PeftConfig peft_config(const TrainConfig& config) {
  PeftConfig peft;
  peft.type = peft_type_from(config.peft_type);
  peft.r = config.r;
  peft.lora_alpha = config.alpha;
  peft.lora_dropout = config.dropout;
  peft.target_modules = config.target_modules;
  peft.target_pattern = config.target_pattern;
  peft.exclude_modules = config.exclude_modules;
  peft.modules_to_save = config.modules_to_save;
  peft.trainable_token_indices = config.trainable_token_indices;
  peft.layers_to_transform = config.layers_to_transform;
  peft.rank_pattern = config.rank_pattern;
  peft.alpha_pattern = config.alpha_pattern;
  peft.init_lora_weights = config.init_lora_weights;
  peft.use_rslora = config.use_rslora;
  peft.use_dora = config.use_dora;
  peft.lora_bias = config.lora_bias;
  peft.feedforward_modules = config.feedforward_modules;
  peft.bottleneck_size = config.bottleneck_size;
  peft.non_linearity = config.non_linearity;
  return peft;
}

const std::vector<std::string_view>& task_names() {
  static const std::vector<std::string_view> kNames{"lm", "classify", "ordinal", "multilabel", "regress", "forecast"};
  return kNames;
}

std::string_view to_string(Task task) { return task_names().at(static_cast<std::size_t>(task)); }

Task task_from(std::string_view name) {
  std::string list;
  for (std::size_t i = 0; i < task_names().size(); ++i) {
    if (task_names()[i] == name) return static_cast<Task>(i);
    list += (i == 0 ? "" : i + 1 == task_names().size() ? " or " : ", ") + std::string(task_names()[i]);
  }
  throw Error(ErrorCode::kInvalidInput, "task must be " + list + ", not \"" + std::string(name) + "\"", "task");
}

bool has_one_label(Task task) { return task == Task::kClassify || task == Task::kOrdinal; }
bool has_labels(Task task) { return has_one_label(task) || task == Task::kMultilabel; }
bool has_numbers(Task task) { return task == Task::kRegress || task == Task::kForecast; }

const std::vector<std::string_view>& train_config_keys() {
  static const std::vector<std::string_view> kKeys = {"peft_type",
                                                      "r",
                                                      "alpha",
                                                      "dropout",
                                                      "token_dropout",
                                                      "target_modules",
                                                      "exclude_modules",
                                                      "layers_to_transform",
                                                      "modules_to_save",
                                                      "trainable_token_indices",
                                                      "rank_pattern",
                                                      "alpha_pattern",
                                                      "init_lora_weights",
                                                      "feedforward_modules",
                                                      "bottleneck_size",
                                                      "non_linearity",
                                                      "use_rslora",
                                                      "use_dora",
                                                      "lora_bias",
                                                      "loraplus_lr_ratio",
                                                      "neftune_noise_alpha",
                                                      "objective",
                                                      "beta",
                                                      "label_smoothing",
                                                      "rpo_alpha",
                                                      "kd_ratio",
                                                      "kd_temperature",
                                                      "max_epochs",
                                                      "max_steps",
                                                      "min_steps",
                                                      "batch_examples",
                                                      "micro_batch_tokens",
                                                      "max_example_tokens",
                                                      "optimizer",
                                                      "learning_rate",
                                                      "head_learning_rate_scale",
                                                      "weight_decay",
                                                      "clip_norm",
                                                      "schedule",
                                                      "warmup_fraction",
                                                      "weight_average",
                                                      "metric",
                                                      "evaluations",
                                                      "patience",
                                                      "class_weights",
                                                      "patch_size",
                                                      "huber_delta",
                                                      "quantiles",
                                                      "continues",
                                                      "side_network",
                                                      "text_features",
                                                      "side_trees",
                                                      "remembered_answers",
                                                      "activations",
                                                      "base_dtype"};
  return kKeys;
}

std::string checkpoint_metric(const TrainConfig& config, Task task) {
  if (config.metric != "auto") return config.metric;
  if (has_numbers(task)) return "rmse";
  return task == Task::kMultilabel ? "label_loss" : "loss";
}

void TrainConfig::validate() const {
  check_ranges(*this);
  check(alpha > 0, "alpha", "positive");
  check(dropout >= 0 && dropout < 1, "dropout", "at least 0 and below 1");
  check(token_dropout >= 0 && token_dropout <= 0.5, "token_dropout", "between 0 and 0.5");
  check(peft_type != "LORA" || target_modules.empty() != target_pattern.empty(), "target_modules",
        "a list of linear layers such as [q_proj, v_proj], all-linear, or a regular expression");
  check(!use_dora || !lora_bias, "use_dora", "off where lora_bias is on");
  check_adapter(*this);
  check_effects(*this);
  check(loraplus_lr_ratio > 0 && loraplus_lr_ratio <= 1000, "loraplus_lr_ratio", "above 0 and at most 1000");
  check(neftune_noise_alpha >= 0 && neftune_noise_alpha <= 1000, "neftune_noise_alpha", "0 (none) or more");
  objective.validate();
  check(max_epochs > 0 && max_epochs <= 10'000, "max_epochs", "positive");
  check(one_of(optimizer, {"adamw", "sgd"}), "optimizer", "adamw or sgd");
  check(learning_rate > 0 && learning_rate <= 1, "learning_rate", "above 0 and at most 1");
  check(head_learning_rate_scale > 0, "head_learning_rate_scale", "positive");
  check(weight_decay >= 0, "weight_decay", "0 or more");
  check(clip_norm >= 0, "clip_norm", "0 (off) or more");
  check(one_of(schedule, {"constant", "constant_with_warmup", "cosine", "inverse_sqrt", "linear", "polynomial",
                          "warmup_stable_decay"}),
        "schedule", "constant, constant_with_warmup, cosine, inverse_sqrt, linear, polynomial or warmup_stable_decay");
  check(warmup_fraction >= 0 && warmup_fraction < 1, "warmup_fraction", "at least 0 and below 1");
  check(weight_average >= 0 && weight_average < 1, "weight_average", "at least 0 (off) and below 1");
  check(one_of(metric, {"auto", "loss", "perplexity", "reward_accuracy", "reward_margin", "accuracy", "macro_f1",
                        "average_precision", "auroc", "calibration_error", "rmse", "mae", "pinball_loss", "qwk",
                        "label_loss", "label_macro_f1", "label_micro_f1", "subset_accuracy"}),
        "metric",
        "auto, loss, perplexity, reward_accuracy, reward_margin, accuracy, macro_f1, average_precision, auroc, "
        "calibration_error, rmse, mae, pinball_loss, qwk, label_loss, label_macro_f1, label_micro_f1 or "
        "subset_accuracy");
  check(one_of(class_weights, {"none", "balanced"}), "class_weights", "none or balanced");
  check(huber_delta >= 0 && huber_delta <= 1000, "huber_delta", "0 (squared error) or more");
  check(quantiles.empty() || huber_delta == 0, "huber_delta", "0 where quantiles are asked for");
  check(quantiles.size() <= 99, "quantiles", "at most 99 of them");
  check(quantiles.empty() || (quantiles.size() % 2 == 1 && quantiles[quantiles.size() / 2] == 0.5), "quantiles",
        "as many below 0.5 as above, with 0.5 between them, which is what is scored");
  for (std::size_t i = 0; i < quantiles.size(); ++i) {
    check(quantiles[i] > 0 && quantiles[i] < 1 && (i == 0 || quantiles[i] > quantiles[i - 1]), "quantiles",
          "rising numbers between 0 and 1");
  }
  check(one_of(activations, {"keep", "recompute"}), "activations", "keep or recompute");
  check(one_of(base_dtype, {"float32", "bfloat16", "float16", "int8", "nf4", "nf4_double"}), "base_dtype",
        "float32, bfloat16, float16, int8, nf4 or nf4_double");
}

TrainConfig train_config_from_json(const json::value& value) {
  TrainConfig config;
  if (value.is_null()) return config;
  const json::object& object = platform::as_object(value, "config");
  platform::refuse_unknown_keys(object, train_config_keys(), "");
  const auto number = [&](std::string_view key, double& field) { field = platform::number_or(object, key, field, ""); };
  read_whole_settings(object, config);
  const auto text = [&](std::string_view key, std::string& field) {
    field = platform::string_or(object, key, field, "");
  };
  text("peft_type", config.peft_type);
  number("alpha", config.alpha);
  number("dropout", config.dropout);
  number("token_dropout", config.token_dropout);
  read_targets(object, config);
  read_patterns(object, config);
  read_start(object, config);
  text("non_linearity", config.non_linearity);
  config.use_rslora = platform::bool_or(object, "use_rslora", config.use_rslora, "");
  config.use_dora = platform::bool_or(object, "use_dora", config.use_dora, "");
  config.lora_bias = platform::bool_or(object, "lora_bias", config.lora_bias, "");
  number("loraplus_lr_ratio", config.loraplus_lr_ratio);
  number("neftune_noise_alpha", config.neftune_noise_alpha);
  config.objective = objective_from_json(object);
  number("max_epochs", config.max_epochs);
  text("optimizer", config.optimizer);
  number("learning_rate", config.learning_rate);
  number("head_learning_rate_scale", config.head_learning_rate_scale);
  number("weight_decay", config.weight_decay);
  number("clip_norm", config.clip_norm);
  text("schedule", config.schedule);
  number("warmup_fraction", config.warmup_fraction);
  number("weight_average", config.weight_average);
  text("metric", config.metric);
  text("class_weights", config.class_weights);
  number("huber_delta", config.huber_delta);
  if (const json::value* quantiles = platform::find(object, "quantiles")) {
    config.quantiles.clear();
    for (const json::value& each : platform::as_array(*quantiles, "quantiles")) {
      if (!each.is_number()) throw Error(ErrorCode::kInvalidInput, "quantiles must be numbers", "quantiles");
      config.quantiles.push_back(each.to_number<double>());
    }
  }
  text("continues", config.continues);
  config.side_network = platform::bool_or(object, "side_network", config.side_network, "");
  text("activations", config.activations);
  text("base_dtype", config.base_dtype);
  config.validate();
  return config;
}

json::value to_json(const TrainConfig& config) {
  json::object ranks, alphas;
  for (const auto& [key, rank] : config.rank_pattern) ranks[key] = rank;
  for (const auto& [key, alpha] : config.alpha_pattern) alphas[key] = alpha;
  json::object settings{
      {"peft_type", config.peft_type},
      {"r", config.r},
      {"alpha", config.alpha},
      {"dropout", config.dropout},
      {"token_dropout", config.token_dropout},
      {"target_modules", config.target_pattern.empty() ? json::value(platform::to_json(config.target_modules))
                                                       : json::value(config.target_pattern)},
      {"exclude_modules", platform::to_json(config.exclude_modules)},
      {"layers_to_transform", json::array(config.layers_to_transform.begin(), config.layers_to_transform.end())},
      {"modules_to_save", platform::to_json(config.modules_to_save)},
      {"trainable_token_indices",
       json::array(config.trainable_token_indices.begin(), config.trainable_token_indices.end())},
      {"rank_pattern", ranks},
      {"alpha_pattern", alphas},
      {"init_lora_weights", config.init_lora_weights},
      {"feedforward_modules", platform::to_json(config.feedforward_modules)},
      {"bottleneck_size", config.bottleneck_size},
      {"non_linearity", config.non_linearity},
      {"use_rslora", config.use_rslora},
      {"use_dora", config.use_dora},
      {"lora_bias", config.lora_bias},
      {"loraplus_lr_ratio", config.loraplus_lr_ratio},
      {"neftune_noise_alpha", config.neftune_noise_alpha},
      {"max_epochs", config.max_epochs},
      {"max_steps", config.max_steps},
      {"min_steps", config.min_steps},
      {"batch_examples", config.batch_examples},
      {"micro_batch_tokens", config.micro_batch_tokens},
      {"max_example_tokens", config.max_example_tokens},
      {"optimizer", config.optimizer},
      {"learning_rate", config.learning_rate},
      {"head_learning_rate_scale", config.head_learning_rate_scale},
      {"weight_decay", config.weight_decay},
      {"clip_norm", config.clip_norm},
      {"schedule", config.schedule},
      {"warmup_fraction", config.warmup_fraction},
      {"weight_average", config.weight_average},
      {"metric", config.metric},
      {"evaluations", config.evaluations},
      {"patience", config.patience},
      {"class_weights", config.class_weights},
      {"patch_size", config.patch_size},
      {"huber_delta", config.huber_delta},
      {"quantiles", json::array(config.quantiles.begin(), config.quantiles.end())},
      {"continues", config.continues},
      {"side_network", config.side_network},
      {"text_features", config.text_features},
      {"side_trees", config.side_trees},
      {"remembered_answers", config.remembered_answers},
      {"activations", config.activations},
      {"base_dtype", config.base_dtype}};
  for (const auto& [key, setting] : to_json(config.objective)) settings[key] = setting;
  return settings;
}

}  // namespace finetune
