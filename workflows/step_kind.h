// StepKind: what a `uses:` name stands for: its options with their types, the outputs it gives, what must run before
// it, and how it is made. The table of all kinds is steps.h. Plain values; any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"
#include "platform/engine/step.h"

namespace workflows {

struct StepServices;  // steps.h: what steps are made of

enum class OptionType { kAny, kBoolean, kDuration, kInteger, kMapping, kNumber, kText, kTexts };
/// "a whole number", "text", ... for messages.
std::string_view describe(OptionType type);

struct StepOption {
  std::string name;
  OptionType type = OptionType::kText;
  std::string help;
  bool required = false;
  std::vector<std::string> choices = {};  // text: all that it may be; empty = anything
  std::optional<double> minimum = {}, maximum = {};
  /// Further check of a value without expressions: throws platform::Error; null = none.
  std::function<void(const platform::json::value&)> check = {};
  std::vector<std::string> keys = {};  // mapping: all that it may have, also beside expressions; empty = anything
  /// What may be wrong with a value, but only the machine that runs the step can tell; null = nothing.
  std::function<std::string(const platform::json::value&)> doubt = {};
};

struct StepKind {
  std::string name;  // "finetune.lora"
  std::string summary;
  std::vector<StepOption> options;
  std::vector<std::string> outputs;
  std::vector<std::string> after;  // a chain of kinds: it must need one of the first, that one of the second, ...
  /// Of the options together; a value with an expression stands as its text. Throws platform::Error; null = none.
  std::function<void(const platform::json::object& with)> check = {};
  std::function<std::unique_ptr<platform::Step>(StepServices&)> make = {};
};

/// nullptr if there is none.
const StepKind* find_kind(const std::vector<StepKind>& kinds, std::string_view name);
/// What is wrong with `value` for `option`; empty = nothing. Values that hold expressions are for the run to judge.
std::string option_trouble(const StepOption& option, const platform::json::value& value);

}  // namespace workflows
