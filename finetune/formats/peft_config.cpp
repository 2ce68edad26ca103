// adapter_config.json: which keys are understood, which may be there because they are off, and the matching rules.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "finetune/formats/peft.h"
#include "finetune/text/pattern.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

constexpr const char* kWhere = "adapter_config.json";
constexpr int kMaxRank = 4096;

// Keys that say nothing about the mathematics; any value is accepted.
constexpr std::array<std::string_view, 10> kInformative = {"auto_mapping",      "base_model_name_or_path",
                                                           "inference_mode",    "init_ia3_weights",
                                                           "init_lora_weights", "layers_pattern",
                                                           "peft_type",         "peft_version",
                                                           "revision",          "task_type"};
// Keys that are read for each type, after those that every type has.
constexpr std::array<std::string_view, 4> kReadAlways = {"exclude_modules", "modules_to_save", "target_modules",
                                                         "trainable_token_indices"};
constexpr std::array<std::string_view, 9> kReadLora = {
    "alpha_pattern", "layers_to_transform", "lora_alpha", "lora_bias", "lora_dropout", "r", "rank_pattern",
    "use_dora",      "use_rslora"};
constexpr std::array<std::string_view, 1> kReadIa3 = {"feedforward_modules"};
constexpr std::array<std::string_view, 2> kReadBottleneck = {"bottleneck_size", "non_linearity"};
// Initial values that changed the base weights: the adapter is wrong on the untouched base.
constexpr std::array<std::string_view, 5> kBaseChanging = {"corda", "loftq", "lora_ga", "olora", "pissa"};

template <std::size_t N>
bool listed(const std::array<std::string_view, N>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// Off: absent in effect, or the value PEFT writes where the feature is not used.
bool is_off(std::string_view key, const json::value& value) {
  if (value.is_null()) return true;
  if (value.is_bool()) return !value.get_bool();
  if (value.is_array()) return value.get_array().empty();
  if (value.is_object()) return value.get_object().empty();
  if (value.is_string())
    return value.get_string().empty() || (key == "bias" && value.get_string() == "none") || key == "megatron_core";
  // Widths of features that are switched by another key.
  return key == "qalora_group_size" || key == "runtime_config";
}

bool is_read(PeftType type, std::string_view key) {
  if (listed(kReadAlways, key)) return type == PeftType::kLora || key != "trainable_token_indices";
  switch (type) {
    case PeftType::kIa3: return listed(kReadIa3, key);
    case PeftType::kBottleneck: return listed(kReadBottleneck, key);
    default: return listed(kReadLora, key);
  }
}

void refuse_unsupported(const json::object& object, PeftType type) {
  std::string refused;
  for (const auto& [key, value] : object) {
    if (listed(kInformative, key) || is_read(type, key) || is_off(key, value)) continue;
    std::string shown = json::serialize(value);
    if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
    refused += (refused.empty() ? "" : ", ") + std::string(key) + " = " + shown;
  }
  if (refused.empty()) return;
  throw Error(ErrorCode::kInvalidInput, std::string(kWhere) + " uses what is not supported: " + refused +
                                            "; supported are LoRA (rsLoRA, DoRA, lora_bias), IA3, BOTTLENECK, "
                                            "modules_to_save and trainable_token_indices");
}

void refuse_base_changing(const json::object& object) {
  const json::value* value = platform::find(object, "init_lora_weights");
  if (!value || !value->is_string()) return;
  const std::string_view name = value->get_string();
  const bool refused = std::any_of(kBaseChanging.begin(), kBaseChanging.end(),
                                   [&](std::string_view start) { return name.starts_with(start); });
  if (!refused) return;
  throw Error(
      ErrorCode::kInvalidInput,
      std::string(kWhere) + ": init_lora_weights = \"" + std::string(name) +
          "\" has changed the base weights, so the adapter is wrong on the plain base; save it converted to plain LoRA",
      "init_lora_weights");
}

// "true" for what PEFT writes as a boolean.
bool known_start(std::string_view start) {
  return start == "true" || start == "gaussian" || start == "pissa" ||
         (start.starts_with("pissa_niter_") && start.size() > 12 && start.size() < 15 &&
          start.find_first_not_of("0123456789", 12) == std::string_view::npos);
}

void read_token_indices(const json::object& object, PeftConfig& config) {
  const json::value* tokens = platform::find(object, "trainable_token_indices");
  if (!tokens) return;
  const json::value* list = tokens;
  if (tokens->is_object()) {
    const json::object& by_module = tokens->get_object();
    list = by_module.size() == 1 ? platform::find(by_module, "embed_tokens") : nullptr;
  }
  if (list == nullptr || !list->is_array())
    throw Error(
        ErrorCode::kInvalidInput,
        std::string(kWhere) + ": trainable_token_indices must be a list of tokens, or one list for embed_tokens",
        "trainable_token_indices");
  for (const json::value& token : list->get_array()) {
    if (!token.is_int64())
      throw Error(ErrorCode::kInvalidInput, "trainable_token_indices must be token numbers", "trainable_token_indices");
    config.trainable_token_indices.push_back(
        static_cast<int>(std::clamp<std::int64_t>(token.get_int64(), -1, 1 << 30)));
  }
}

void read_targets(const json::object& object, PeftConfig& config) {
  const json::value* targets = platform::find(object, "target_modules");
  if (!targets) {
    if (config.type != PeftType::kLora) return;
    config.target_modules = {"q_proj", "v_proj"};  // PEFT's own choice for the Llama-shaped families
  } else if (targets->is_string()) {
    config.target_pattern = std::string(targets->get_string());
  } else {
    config.target_modules = platform::strings_from(*targets, "target_modules");
    std::sort(config.target_modules.begin(), config.target_modules.end());
  }
}

void read_layers(const json::object& object, PeftConfig& config) {
  const json::value* layers = platform::find(object, "layers_to_transform");
  if (!layers) return;
  const auto add = [&](const json::value& value) {
    if (!value.is_int64() || value.get_int64() < 0 || value.get_int64() > 100'000) {
      throw Error(ErrorCode::kInvalidInput, std::string(kWhere) + ": layers_to_transform must be layer numbers",
                  "layers_to_transform");
    }
    config.layers_to_transform.push_back(static_cast<int>(value.get_int64()));
  };
  if (!layers->is_array()) return add(*layers);
  for (const json::value& value : layers->get_array()) add(value);
}

int checked_rank(std::int64_t rank) {
  if (rank >= 1 && rank <= kMaxRank) return static_cast<int>(rank);
  throw Error(ErrorCode::kInvalidInput, "LoRA rank must be 1 to 4096, not " + std::to_string(rank), "r");
}

// The first number between two dots; -1 if there is none.
int layer_of(std::string_view module) {
  std::size_t begin = 0;
  while (begin < module.size()) {
    const std::size_t end = std::min(module.find('.', begin), module.size());
    int layer = -1;
    const auto parsed = std::from_chars(module.data() + begin, module.data() + end, layer);
    if (parsed.ec == std::errc() && parsed.ptr == module.data() + end && layer >= 0) return layer;
    begin = end + 1;
  }
  return -1;
}

template <typename T>
const T* first_matching(const std::vector<std::pair<std::string, T>>& patterns, std::string_view module) {
  for (const auto& [expression, value] : patterns) {
    if (expression_names_module(expression, module)) return &value;
  }
  return nullptr;
}

}  // namespace

bool names_module(std::string_view name, std::string_view module) {
  return module == name ||
         (module.size() > name.size() && module.ends_with(name) && module[module.size() - name.size() - 1] == '.');
}

bool expression_names_module(const std::string& expression, std::string_view module) {
  return Pattern("(.*\\.)?(" + expression + ")$", Dialect::kPcre2).matches_whole(module);
}

std::string_view to_string(PeftType type) {
  switch (type) {
    case PeftType::kIa3: return "IA3";
    case PeftType::kBottleneck: return "BOTTLENECK";
    default: return "LORA";
  }
}

PeftType peft_type_from(std::string_view name) {
  for (const PeftType type : {PeftType::kBottleneck, PeftType::kIa3, PeftType::kLora}) {
    if (to_string(type) == name) return type;
  }
  throw Error(ErrorCode::kInvalidInput,
              "peft_type \"" + std::string(name) + "\" is not supported; supported are BOTTLENECK, IA3 and LORA",
              "peft_type");
}

void PeftConfig::validate() const {
  const auto need = [](bool good, const char* message, const char* key) {
    if (!good) throw Error(ErrorCode::kInvalidInput, std::string(key) + " " + message, key);
  };
  const bool lora = type == PeftType::kLora;
  checked_rank(r);
  for (const auto& [unused, rank] : rank_pattern) checked_rank(rank);
  need(std::isfinite(lora_alpha) && lora_alpha > 0, "must be above 0", "lora_alpha");
  for (const auto& [unused, alpha] : alpha_pattern)
    need(std::isfinite(alpha) && alpha > 0, "must hold values above 0", "alpha_pattern");
  need(lora_dropout >= 0 && lora_dropout < 1, "must be at least 0 and below 1", "lora_dropout");
  need(!use_dora || !lora_bias, "does not go with use_dora; choose one", "lora_bias");
  need(known_start(init_lora_weights), "must be true, gaussian, pissa or pissa_niter_K with K up to 99",
       "init_lora_weights");
  need(pissa_iterations() < 0 || !use_dora, "pissa does not go with use_dora; choose one", "init_lora_weights");
  need(lora || (!use_dora && !use_rslora && !lora_bias && lora_dropout == 0 && init_lora_weights == "true"),
       "other than LORA takes none of use_dora, use_rslora, lora_bias, lora_dropout and init_lora_weights",
       "peft_type");
  need(lora || trainable_token_indices.empty(), "go with LORA only", "trainable_token_indices");
  need(bottleneck_size >= 1 && bottleneck_size <= kMaxRank, "must be 1 to 4096", "bottleneck_size");
  need(non_linearity == "silu" || non_linearity == "gelu_new", "must be silu or gelu_new", "non_linearity");
  std::vector<int> tokens = trainable_token_indices;
  std::sort(tokens.begin(), tokens.end());
  need(tokens.empty() || tokens.front() >= 0, "must be token numbers from 0", "trainable_token_indices");
  need(std::adjacent_find(tokens.begin(), tokens.end()) == tokens.end(), "must be different tokens",
       "trainable_token_indices");
  need(
      !(lora && target_modules.empty() && target_pattern.empty()) && (target_modules.empty() || target_pattern.empty()),
      "must be a list of module names, a regular expression or \"all-linear\"", "target_modules");
  if (!target_pattern.empty() && target_pattern != "all-linear") Pattern(target_pattern, Dialect::kPcre2);
}

int PeftConfig::pissa_iterations() const {
  if (!init_lora_weights.starts_with("pissa")) return -1;
  return init_lora_weights.size() > 12 ? std::stoi(init_lora_weights.substr(12)) : 0;
}

bool PeftConfig::saves(std::string_view module) const {
  return std::any_of(modules_to_save.begin(), modules_to_save.end(),
                     [&](const std::string& name) { return module.ends_with(name); });
}

bool PeftConfig::scales_input(std::string_view module) const {
  return std::any_of(feedforward_modules.begin(), feedforward_modules.end(),
                     [&](const std::string& name) { return names_module(name, module); });
}

bool PeftConfig::targets(std::string_view module) const {
  const auto named = [&](const std::string& name) { return names_module(name, module); };
  if (std::any_of(exclude_modules.begin(), exclude_modules.end(), named)) return false;
  if (!layers_to_transform.empty()) {
    const int layer = layer_of(module);
    if (std::find(layers_to_transform.begin(), layers_to_transform.end(), layer) == layers_to_transform.end())
      return false;
  }
  if (target_pattern == "all-linear") return !names_module("lm_head", module);
  if (!target_pattern.empty()) return Pattern(target_pattern, Dialect::kPcre2).matches_whole(module);
  return std::any_of(target_modules.begin(), target_modules.end(), named);
}

int PeftConfig::rank_of(std::string_view module) const {
  const int* rank = first_matching(rank_pattern, module);
  return rank ? *rank : r;
}

double PeftConfig::scaling_of(std::string_view module) const {
  const double* own = first_matching(alpha_pattern, module);
  const double alpha = own ? *own : lora_alpha;
  const double rank = rank_of(module);
  return alpha / (use_rslora ? std::sqrt(rank) : rank);
}

PeftConfig peft_config_from_json(const json::value& document) {
  const json::object& object = platform::as_object(document, kWhere);
  PeftConfig config;
  config.type = peft_type_from(platform::require_string(object, "peft_type", kWhere));
  refuse_unsupported(object, config.type);
  refuse_base_changing(object);
  config.r = checked_rank(platform::int_or(object, "r", 8, kWhere));
  config.lora_alpha = platform::number_or(object, "lora_alpha", 8, kWhere);
  config.lora_dropout = platform::number_or(object, "lora_dropout", 0, kWhere);
  config.use_rslora = platform::bool_or(object, "use_rslora", false, kWhere);
  config.use_dora = platform::bool_or(object, "use_dora", false, kWhere);
  config.lora_bias = platform::bool_or(object, "lora_bias", false, kWhere);
  config.base_model_name_or_path = platform::string_or(object, "base_model_name_or_path", "", kWhere);
  config.task_type = platform::string_or(object, "task_type", "", kWhere);
  config.bottleneck_size =
      static_cast<int>(std::clamp<std::int64_t>(platform::int_or(object, "bottleneck_size", 64, kWhere), 0, 1 << 20));
  config.non_linearity = platform::string_or(object, "non_linearity", config.non_linearity, kWhere);
  if (const json::value* saved = platform::find(object, "modules_to_save"))
    config.modules_to_save = platform::strings_from(*saved, "modules_to_save");
  if (const json::value* inputs = platform::find(object, "feedforward_modules"))
    config.feedforward_modules = platform::strings_from(*inputs, "feedforward_modules");
  read_token_indices(object, config);
  read_targets(object, config);
  read_layers(object, config);
  if (const json::value* excluded = platform::find(object, "exclude_modules")) {
    if (excluded->is_string())
      throw Error(ErrorCode::kInvalidInput,
                  std::string(kWhere) + ": exclude_modules as an expression is not supported; give a list",
                  "exclude_modules");
    config.exclude_modules = platform::strings_from(*excluded, "exclude_modules");
  }
  if (const json::value* ranks = platform::find(object, "rank_pattern")) {
    for (const auto& [key, unused] : platform::as_object(*ranks, "rank_pattern")) {
      config.rank_pattern.emplace_back(key,
                                       checked_rank(platform::require_int(ranks->get_object(), key, "rank_pattern")));
    }
  }
  if (const json::value* alphas = platform::find(object, "alpha_pattern")) {
    for (const auto& [key, unused] : platform::as_object(*alphas, "alpha_pattern")) {
      config.alpha_pattern.emplace_back(key, platform::require_number(alphas->get_object(), key, "alpha_pattern"));
    }
  }
  config.validate();
  return config;
}

namespace {

json::value text_or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }
json::value names_or_null(const std::vector<std::string>& names) {
  return names.empty() ? json::value(nullptr) : json::value(platform::to_json(names));
}
// PEFT writes a whole alpha as an integer; so do we.
json::value number(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15 ? json::value(static_cast<std::int64_t>(value))
                                                              : json::value(value);
}

json::value targets_of(const PeftConfig& config) {
  return config.target_pattern.empty() ? json::value(platform::to_json(config.target_modules))
                                       : json::value(config.target_pattern);
}

json::object other_type_to_json(const PeftConfig& config) {
  json::object object{{"auto_mapping", nullptr},
                      {"base_model_name_or_path", text_or_null(config.base_model_name_or_path)},
                      {"inference_mode", true},
                      {"modules_to_save", names_or_null(config.modules_to_save)},
                      {"peft_type", to_string(config.type)},
                      {"revision", nullptr},
                      {"target_modules", targets_of(config)},
                      {"task_type", text_or_null(config.task_type)}};
  if (config.type == PeftType::kIa3) {
    object["fan_in_fan_out"] = false;
    object["feedforward_modules"] = platform::to_json(config.feedforward_modules);
    object["init_ia3_weights"] = true;
  } else {
    object["bottleneck_size"] = config.bottleneck_size;
    object["non_linearity"] = config.non_linearity;
  }
  if (!config.exclude_modules.empty()) object["exclude_modules"] = platform::to_json(config.exclude_modules);
  return object;
}

}  // namespace

json::object to_json(const PeftConfig& config) {
  if (config.type != PeftType::kLora) return other_type_to_json(config);
  json::object ranks;
  for (const auto& [key, rank] : config.rank_pattern) ranks[key] = rank;
  json::object alphas;
  for (const auto& [key, alpha] : config.alpha_pattern) alphas[key] = number(alpha);
  json::value layers = nullptr;
  if (!config.layers_to_transform.empty())
    layers = json::array(config.layers_to_transform.begin(), config.layers_to_transform.end());
  json::object object{{"alpha_pattern", std::move(alphas)},
                      {"auto_mapping", nullptr},
                      {"base_model_name_or_path", text_or_null(config.base_model_name_or_path)},
                      {"bias", "none"},
                      {"fan_in_fan_out", false},
                      {"inference_mode", true},
                      {"init_lora_weights", true},
                      {"layers_pattern", nullptr},
                      {"layers_to_transform", std::move(layers)},
                      {"lora_alpha", number(config.lora_alpha)},
                      {"lora_dropout", config.lora_dropout},
                      {"modules_to_save", names_or_null(config.modules_to_save)},
                      {"peft_type", "LORA"},
                      {"r", config.r},
                      {"rank_pattern", std::move(ranks)},
                      {"revision", nullptr},
                      {"target_modules", targets_of(config)},
                      {"task_type", text_or_null(config.task_type)},
                      {"use_rslora", config.use_rslora}};
  // Written only where they act: older readers refuse keys that they do not know.
  if (config.use_dora) object["use_dora"] = true;
  if (config.lora_bias) object["lora_bias"] = true;
  if (!config.exclude_modules.empty()) object["exclude_modules"] = platform::to_json(config.exclude_modules);
  if (!config.trainable_token_indices.empty())
    object["trainable_token_indices"] =
        json::array(config.trainable_token_indices.begin(), config.trainable_token_indices.end());
  return object;
}

}  // namespace finetune
