#include "finetune/train/setting_rules.h"

#include <type_traits>

#include "finetune/adapter/answer_memory.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

// A setting that is a whole number: a file's is checked before it is narrowed.
struct WholeSetting {
  std::string_view key;
  std::int64_t least, most;
  std::string_view meaning;  // of the least value, where it has one of its own
  std::int64_t (*get)(const TrainConfig&);
  void (*set)(TrainConfig&, std::int64_t);
};

template <auto kMember>
constexpr WholeSetting whole(std::string_view key, std::int64_t least, std::int64_t most,
                             std::string_view meaning = {}) {
  return {key,
          least,
          most,
          meaning,
          [](const TrainConfig& config) { return static_cast<std::int64_t>(config.*kMember); },
          [](TrainConfig& config, std::int64_t value) {
            config.*kMember = static_cast<std::remove_reference_t<decltype(config.*kMember)>>(value);
          }};
}

constexpr std::int64_t kMostSteps = 1'000'000'000;

constexpr WholeSetting kWholeSettings[] = {
    whole<&TrainConfig::batch_examples>("batch_examples", 1, 1'000'000),
    whole<&TrainConfig::bottleneck_size>("bottleneck_size", 1, 4096),
    whole<&TrainConfig::evaluations>("evaluations", 1, 100'000),
    whole<&TrainConfig::max_example_tokens>("max_example_tokens", 2, 1 << 24),
    whole<&TrainConfig::max_steps>("max_steps", 0, kMostSteps, "no limit"),
    whole<&TrainConfig::micro_batch_tokens>("micro_batch_tokens", 1, 1 << 24),
    whole<&TrainConfig::min_steps>("min_steps", 0, kMostSteps),
    whole<&TrainConfig::patch_size>("patch_size", 1, 4096),
    whole<&TrainConfig::patience>("patience", 0, 100'000, "never"),
    whole<&TrainConfig::r>("r", 1, 256),
    whole<&TrainConfig::remembered_answers>("remembered_answers", 0, kMostRememberedAnswers, "none"),
    whole<&TrainConfig::side_trees>("side_trees", 0, 1000, "none"),
    whole<&TrainConfig::text_features>("text_features", 0, 65536, "none"),
};

[[noreturn]] void refuse(std::string_view key, const std::string& rule) {
  throw Error(ErrorCode::kInvalidInput, std::string(key) + rule, std::string(key));
}

void check_range(const WholeSetting& setting, std::int64_t value) {
  if (value >= setting.least && value <= setting.most) return;
  const std::string meaning = setting.meaning.empty() ? "" : " (" + std::string(setting.meaning) + ")";
  refuse(setting.key, " must be between " + std::to_string(setting.least) + meaning + " and " +
                          std::to_string(setting.most) + ", not " + std::to_string(value));
}

}  // namespace

void read_whole_settings(const json::object& object, TrainConfig& config) {
  for (const WholeSetting& setting : kWholeSettings) {
    const std::int64_t value = platform::int_or(object, setting.key, setting.get(config), "");
    check_range(setting, value);
    setting.set(config, value);
  }
}

void check_ranges(const TrainConfig& config) {
  for (const WholeSetting& setting : kWholeSettings) check_range(setting, setting.get(config));
}

void check_effects(const TrainConfig& config) {
  const TrainConfig usual;
  const auto unused = [&](bool given, std::string_view key, std::string_view kind) {
    if (!given || config.peft_type == kind) return;
    refuse(key, " is for peft_type " + std::string(kind) + ", not " + config.peft_type + "; leave it out");
  };
  unused(config.r != usual.r, "r", "LORA");
  unused(config.alpha != usual.alpha, "alpha", "LORA");
  unused(!config.rank_pattern.empty(), "rank_pattern", "LORA");
  unused(!config.alpha_pattern.empty(), "alpha_pattern", "LORA");
  unused(config.loraplus_lr_ratio != usual.loraplus_lr_ratio, "loraplus_lr_ratio", "LORA");
  unused(!config.feedforward_modules.empty(), "feedforward_modules", "IA3");
  unused(config.bottleneck_size != usual.bottleneck_size, "bottleneck_size", "BOTTLENECK");
  unused(config.non_linearity != usual.non_linearity, "non_linearity", "BOTTLENECK");
  const auto beside = [&](std::int64_t value, std::int64_t fallback, std::string_view key) {
    if (config.side_network || value == 0 || value == fallback) return;
    refuse(key, " has no effect where side_network is false; leave it out, or side_network");
  };
  beside(config.side_trees, usual.side_trees, "side_trees");
  beside(config.text_features, usual.text_features, "text_features");
}

}  // namespace finetune
