// Strict YAML: every mistake is found in one reading, each with file, line and column; duplicate keys, aliases and
// anchors, merge keys, tabs in indentation, over-deep or over-large documents and non-UTF-8 bytes are refused.
// A document is a tree of YamlNode values that own their text and position. Pure; any thread.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace platform {

/// One thing that is wrong in a file that a person wrote.
struct Mistake {
  std::string file;
  int line = 0;    // from 1
  int column = 0;  // from 1, in characters
  std::string message;
  std::string str() const;  // "flow.yaml:3:5: unknown key 'need' (did you mean 'needs'?)"
};

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };
  Kind kind = Kind::kNull;
  std::string scalar;
  bool quoted = false;  // a quoted scalar is a string, whatever it looks like
  std::vector<YamlNode> items;
  std::vector<YamlEntry> entries;  // in file order; keys are scalars
  int line = 1;
  int column = 1;

  /// nullptr if this is no mapping or has no such key.
  const YamlNode* find(std::string_view key) const;
  /// The key's own node, for the position of a mistake about the key.
  const YamlNode* key_node(std::string_view key) const;
};

struct YamlEntry {
  YamlNode key, value;
};

struct YamlLimits {
  std::size_t bytes = 1 << 20;
  int depth = 40;
  std::size_t nodes = 200'000;
  std::size_t keys = 10'000;  // of one mapping
};

/// Characters (code points) of UTF-8 text; columns count in them.
std::size_t characters_in(std::string_view text);

/// Parses one document and appends what is wrong to `mistakes`. Duplicate keys, aliases and the like leave a tree, so
/// that a reader can go on and find what else is wrong: it must look at `mistakes` too. Syntax errors and limits end
/// the reading; then there is no tree.
std::optional<YamlNode> parse_yaml(std::string_view text, const std::string& file, std::vector<Mistake>& mistakes,
                                   const YamlLimits& limits = {});
/// As above from a file; throws kInvalidInput with every mistake, one a line.
YamlNode read_yaml_file(const std::filesystem::path& path);
/// Plain scalars become null, true/false, whole numbers, numbers or strings by the YAML 1.2 core rules.
json::value to_json(const YamlNode& node);
/// Throws kInvalidInput whose message is every mistake, one a line.
[[noreturn]] void throw_mistakes(const std::vector<Mistake>& mistakes);

/// Reads the fields of one mapping and collects what is wrong instead of stopping. Typical use:
///   YamlFields fields(node, "step 'tune'", file, mistakes);
///   options.rank = fields.integer("r", 16);
///   fields.refuse_others();
class YamlFields {
 public:
  YamlFields(const YamlNode& node, std::string where, std::string file, std::vector<Mistake>& mistakes);
  const YamlNode* node(std::string_view key);     // nullptr if absent; marks the key as known
  const YamlNode* require(std::string_view key);  // the same, but absence is a mistake
  std::string string(std::string_view key, std::string fallback = {});
  std::int64_t integer(std::string_view key, std::int64_t fallback);
  double number(std::string_view key, double fallback);
  bool boolean(std::string_view key, bool fallback);
  std::vector<std::string> strings(std::string_view key);  // a sequence of scalars, or one scalar
  /// Every key that was not asked for is a mistake with the nearest asked-for key.
  void refuse_others();
  void mistake(const YamlNode& at, const std::string& message);

 private:
  const YamlNode& node_;
  std::string where_;
  std::string file_;
  std::vector<Mistake>& mistakes_;
  std::vector<std::string> known_;
};

}  // namespace platform
