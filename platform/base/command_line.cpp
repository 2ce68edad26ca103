#include "platform/base/command_line.h"

#include <algorithm>
#include <cstdio>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"

namespace platform {

CommandLine::CommandLine(std::string command, std::string summary, std::vector<std::string> examples)
    : command_(std::move(command)), summary_(std::move(summary)), examples_(std::move(examples)) {}

void CommandLine::option(std::string name, std::string value_name, std::string help, OptionRule rule) {
  options_.push_back({std::move(name), std::move(value_name), std::move(help), std::move(rule)});
}

void CommandLine::flag(std::string name, std::string help) {
  options_.push_back({std::move(name), "", std::move(help), {}});
}

void CommandLine::argument(std::string name, std::string help, bool required) {
  positionals_.push_back({std::move(name), "", std::move(help), {required, "", false}});
}

void CommandLine::arguments(std::string name, std::string help) {
  positionals_.push_back({std::move(name), "", std::move(help), {true, "", true}});
}

bool CommandLine::read(const std::vector<std::string>& arguments) {
  std::size_t positional = 0;
  for (std::size_t at = 0; at < arguments.size(); ++at) {
    const std::string& word = arguments[at];
    if (word == "--help" || word == "-h") {
      std::fputs(help().c_str(), stdout);
      return false;
    }
    if (word.rfind("--", 0) == 0) {
      read_option(arguments, at);
    } else if (positional < positionals_.size()) {
      const Option& place = positionals_[positional];
      if (!place.rule.repeated) ++positional;
      values_[place.name].push_back(word);
    } else {
      throw Error(ErrorCode::kInvalidInput,
                  command_ + ": unexpected argument '" + word + "'; see " + command_ + " --help");
    }
  }
  for (const auto* list : {&options_, &positionals_}) {
    for (const Option& option : *list) {
      if (!option.rule.required || has(option.name)) continue;
      const bool dashes = list == &options_;
      throw Error(ErrorCode::kInvalidInput, command_ + " needs " +
                                                (dashes ? "--" + option.name + " " + option.value_name : option.name) +
                                                ": " + option.help);
    }
  }
  return true;
}

void CommandLine::read_option(const std::vector<std::string>& arguments, std::size_t& at) {
  const std::string word = arguments[at].substr(2);
  const std::size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  const auto option = std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.name == name; });
  if (option == options_.end()) {
    std::vector<std::string> names;
    for (const Option& known : options_) names.push_back(known.name);
    throw Error(ErrorCode::kInvalidInput, command_ + ": unknown option --" + name + did_you_mean(name, names));
  }
  const bool is_flag = option->value_name.empty();
  if (is_flag && equals != std::string::npos)
    throw Error(ErrorCode::kInvalidInput, command_ + ": --" + name + " takes no value");
  if (!option->rule.repeated && has(name))
    throw Error(ErrorCode::kInvalidInput, command_ + ": --" + name + " stands twice");
  if (is_flag) {
    values_[name].push_back("true");
  } else if (equals != std::string::npos) {
    values_[name].push_back(word.substr(equals + 1));
  } else if (at + 1 < arguments.size()) {
    values_[name].push_back(arguments[++at]);
  } else {
    throw Error(ErrorCode::kInvalidInput, command_ + ": --" + name + " needs a value: " + option->help);
  }
}

const CommandLine::Option& CommandLine::declared(std::string_view name) const {
  for (const auto* list : {&options_, &positionals_}) {
    for (const Option& option : *list) {
      if (option.name == name) return option;
    }
  }
  throw Error(ErrorCode::kInternal, command_ + ": option never declared: " + std::string(name));
}

bool CommandLine::has(std::string_view name) const { return values_.find(name) != values_.end(); }

std::string CommandLine::text(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? declared(name).rule.fallback : found->second.back();
}

std::vector<std::string> CommandLine::all(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

int CommandLine::threads() const {
  constexpr std::int64_t kMostThreads = 1024;
  const std::int64_t count = integer("threads");
  if (count >= 0 && count <= kMostThreads) return static_cast<int>(count);
  throw Error(ErrorCode::kInvalidInput, command_ + ": --threads " + std::to_string(count) +
                                            " is out of range; give 0 (one per core) to " +
                                            std::to_string(kMostThreads));
}

std::int64_t CommandLine::integer(std::string_view name) const {
  const std::string value = text(name);
  std::size_t used = 0;
  try {
    const long long number = std::stoll(value, &used);
    if (used == value.size()) return number;
  } catch (const std::logic_error&) {
    // Reported below with the option's name, which std::stoll does not know.
  }
  throw Error(ErrorCode::kInvalidInput,
              command_ + ": --" + std::string(name) + " must be a whole number, not '" + value + "'");
}

double CommandLine::number(std::string_view name) const {
  const std::string value = text(name);
  std::size_t used = 0;
  try {
    const double number = std::stod(value, &used);
    if (used == value.size()) return number;
  } catch (const std::logic_error&) {
    // As above.
  }
  throw Error(ErrorCode::kInvalidInput,
              command_ + ": --" + std::string(name) + " must be a number, not '" + value + "'");
}

std::string CommandLine::help() const {
  std::string out = summary_ + "\n\nUsage: " + command_;
  for (const Option& positional : positionals_)
    out += (positional.rule.required ? " " + positional.name : " [" + positional.name + "]") +
           (positional.rule.repeated ? "..." : "");
  if (!options_.empty()) out += " [options]";
  out += "\n\n";
  for (const Option& positional : positionals_) out += "  " + positional.name + "\n      " + positional.help + "\n";
  for (const Option& option : options_) {
    out += "  --" + option.name + (option.value_name.empty() ? "" : " " + option.value_name) + "\n      " + option.help;
    if (option.rule.required) out += " (required)";
    if (!option.rule.fallback.empty()) out += " [" + option.rule.fallback + "]";
    out += "\n";
  }
  if (!examples_.empty()) out += "\nExamples:\n";
  for (const std::string& example : examples_) out += "  " + example + "\n";
  return out;
}

std::vector<std::string> CommandLine::option_names() const {
  std::vector<std::string> names;
  for (const Option& option : options_) names.push_back("--" + option.name);
  return names;
}

}  // namespace platform
