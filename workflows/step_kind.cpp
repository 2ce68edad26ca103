#include "workflows/step_kind.h"

#include <algorithm>
#include <cmath>

#include "platform/base/did_you_mean.h"
#include "workflows/duration.h"

namespace workflows {
namespace {

namespace json = platform::json;

bool is_scalar(const json::value& value) { return value.is_string() || value.is_number() || value.is_bool(); }

bool fits(OptionType type, const json::value& value) {
  if (type == OptionType::kAny) return true;
  if (type == OptionType::kBoolean) return value.is_bool();
  if (type == OptionType::kInteger) return value.is_int64();
  if (type == OptionType::kNumber) return value.is_number();
  if (type == OptionType::kMapping) return value.is_object();
  if (type == OptionType::kText) return is_scalar(value);
  if (type == OptionType::kDuration)
    return value.is_int64() || (value.is_string() && duration_from(value.get_string()).has_value());
  if (is_scalar(value)) return true;  // one text stands for a list of one
  if (!value.is_array()) return false;
  const json::array& items = value.get_array();
  return std::all_of(items.begin(), items.end(), is_scalar);
}

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : platform::canonical_json(value);
}

std::string shown(const json::value& value) {
  if (value.is_object()) return "a mapping";
  if (value.is_array()) return "a list";
  if (value.is_null()) return "nothing";
  return "'" + text_of(value).substr(0, 40) + "'";
}

std::string number_text(double value) {
  return value == std::floor(value) ? std::to_string(static_cast<std::int64_t>(value))
                                    : platform::canonical_json(value);
}

}  // namespace

std::string_view describe(OptionType type) {
  constexpr std::string_view kNames[] = {"any value",      "true or false",          "a duration such as 10m",
                                         "a whole number", "a mapping (key: value)", "a number",
                                         "text",           "a list of texts"};
  return kNames[static_cast<std::size_t>(type)];
}

const StepKind* find_kind(const std::vector<StepKind>& kinds, std::string_view name) {
  for (const StepKind& kind : kinds) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

std::string option_trouble(const StepOption& option, const json::value& value) {
  const std::string name = "'" + option.name + "'";
  if (!fits(option.type, value))
    return name + " must be " + std::string(describe(option.type)) + ", not " + shown(value);
  if (!option.choices.empty()) {
    const std::string text = text_of(value);
    if (std::find(option.choices.begin(), option.choices.end(), text) == option.choices.end()) {
      std::string list;
      for (const std::string& choice : option.choices) list += (list.empty() ? "" : ", ") + choice;
      return name + " must be one of " + list + ", not '" + text + "'" + platform::did_you_mean(text, option.choices);
    }
  }
  if (value.is_number()) {
    const double number = value.to_number<double>();
    if (option.minimum && number < *option.minimum)
      return name + " must be at least " + number_text(*option.minimum) + ", not " + shown(value);
    if (option.maximum && number > *option.maximum)
      return name + " must be at most " + number_text(*option.maximum) + ", not " + shown(value);
  }
  try {
    if (option.check) option.check(value);
  } catch (const platform::Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace workflows
