// The options of one subcommand: declared with help text, read strictly, printed as --help.
//   CommandLine line("anneal train", "Adapts a base to a data set.", {"anneal train --base b --data d.jsonl --out a"});
//   line.option("base", "DIR", "base model folder", {.required = true});
//   if (!line.read(arguments)) return 0;  // --help was printed
// Not thread-safe; lives in main.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace platform {

struct OptionRule {
  bool required = false;
  std::string fallback;   // shown in --help; empty = none
  bool repeated = false;  // may stand several times
};

class CommandLine {
 public:
  CommandLine(std::string command, std::string summary, std::vector<std::string> examples = {});

  void option(std::string name, std::string value_name, std::string help, OptionRule rule = {});
  void flag(std::string name, std::string help);
  /// A positional argument, in order.
  void argument(std::string name, std::string help, bool required = true);
  /// All further positional arguments, at least one; read them with all(). Declared last.
  void arguments(std::string name, std::string help);

  /// Reads `--name value`, `--name=value`, `--flag` and positionals. Prints help and returns false on --help.
  /// Throws kInvalidInput for an unknown option (with the nearest known one), a missing value or a missing required
  /// one.
  bool read(const std::vector<std::string>& arguments);

  bool has(std::string_view name) const;
  std::string text(std::string_view name) const;  // the value, the fallback, or ""
  std::int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  /// The option "threads", 0 (one per core) to 1024.
  int threads() const;
  std::vector<std::string> all(std::string_view name) const;
  std::string help() const;
  /// Names with their dashes, for shell completion.
  std::vector<std::string> option_names() const;

 private:
  struct Option {
    std::string name, value_name, help;
    OptionRule rule;
  };
  const Option& declared(std::string_view name) const;
  void read_option(const std::vector<std::string>& arguments, std::size_t& at);

  std::string command_, summary_;
  std::vector<std::string> examples_;
  std::vector<Option> options_;
  std::vector<Option> positionals_;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

}  // namespace platform
