// Profile: what the columns of a domain mean. It says which fields are numbers, categories, text or signals, what the
// target is, what belongs together (group), what comes after what (order), and how a record reads as a prompt. The same
// profile makes the training examples and, carried in the adapter's manifest, renders a raw record on the plant agent.
//
//   name: tool-failure
//   key: "{{ machine }}-{{ sequence }}"          # record key at ingest; default: hash of the content
//   input: {decimal_comma: true}                 # how tables are read (connectors/input_format.h); opaque here
//   fields:
//     torque: {kind: number, unit: Nm, minimum: 0, maximum: 200, from: "Torque [Nm]"}
//     grade:  {kind: category, values: [L, M, H]}
//     S1..S24: number                            # twenty-four fields
//   target: {field: failure, task: classify, positive: "1"}
//   group: machine                               # a field, or a template such as "{{ source }}/{{ unit }}"
//   order: event_time
//   split: {by: group, validation: 0.1, test: 0.2}
//   prompt: auto
//
// Plain value; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"
#include "platform/base/yaml.h"
#include "platform/dataset/split.h"

namespace platform {

enum class FieldKind { kNumber, kCategory, kText, kSignal, kIgnore };
std::string_view to_string(FieldKind kind);  // "number", ...

/// What becomes of a number outside minimum..maximum; always counted in the report.
enum class Outside { kKeep, kMissing, kDrop };

struct Field {
  std::string name;  // of the slot and of the template
  FieldKind kind = FieldKind::kNumber;
  std::vector<std::string> from;  // columns that may hold it, first present wins; empty = `name`
  std::string unit;
  std::string title;  // words for the automatic prompt; empty = name with blanks for '_'
  std::optional<double> minimum, maximum;
  Outside outside = Outside::kKeep;
  std::vector<std::string> missing = {"", "?", "NA", "N/A", "NaN", "nan", "null"};  // texts that mean: no value
  bool decimal_comma = false;                                                       // "12,5" is 12.5
  std::vector<std::string> values;  // category: all there are; empty = any
  double rate_hz = 0;               // signal
  bool required = false;            // a record without it is dropped
};

enum class TargetTask { kClassify, kRegress, kLanguageModel };
std::string_view to_string(TargetTask task);  // "classify", "regress", "lm", as the trainer names them

/// Rows of another source that hold the target of groups: those of `source` give `field`, joined by the field `join` to
/// the groups of the sources that match `of`.
struct Truth {
  std::string source;  // name, '*' matches anything
  std::string of;
  std::string join;
  std::string field;
};

struct Target {
  TargetTask task = TargetTask::kClassify;
  std::string field;                // classify, regress
  std::vector<std::string> labels;  // classify: all classes in order; empty = those in the data, settled by a snapshot
  std::string positive;             // classify: the class that precision is about
  std::optional<double> cap;        // regress: larger values become this
  bool remaining_life = false;      // computed: steps of `order` left to the group's last row (plus its truth)
  std::optional<Truth> truth;
};

/// Consecutive rows of a group become one example; its `signal` fields hold `length` samples, the others the last row's
/// value.
struct WindowRule {
  std::int64_t length = 0;
  std::int64_t stride = 1;       // rows between the ends of two windows
  bool pad = true;               // groups shorter than `length` repeat their first row; false = they are left out
  std::vector<Split> last_only;  // parts that keep each group's last window only
};

struct Profile {
  std::string name;
  std::string description;
  std::string key;            // template; empty = content hash
  json::object input;         // opaque
  std::vector<Field> fields;  // in file order; columns not named here are ignored
  Target target;
  std::string group;  // template or field; empty = every record on its own
  std::string order;  // field; empty = event time
  std::optional<WindowRule> window;
  std::optional<SplitRule> split;
  std::string prompt = "auto";  // with slots; `auto` is written out by settle_prompt
  std::string completion;       // lm with a prompt
  std::string text;             // lm on plain text instead of a prompt
  bool drop_constant = false;   // a snapshot drops slots that never vary in the train part

  /// nullptr if there is none.
  const Field* field(std::string_view name) const;
};

/// Reads a profile and collects every mistake with line and column. `file` is for messages.
std::optional<Profile> parse_profile(const YamlNode& node, const std::string& file, std::vector<Mistake>& mistakes);
/// As above from text; throws kInvalidInput with every mistake, one a line.
Profile profile_from_yaml(std::string_view text, const std::string& file);
Profile read_profile_file(const std::filesystem::path& path);
/// `profile_from_json(to_json(p))` equals p. Throws kInvalidInput.
json::value to_json(const Profile& profile);
Profile profile_from_json(const json::value& value);

/// The prompt with `auto`, `{{ numbers }}`, `{{ categories }}` and `{{ signals }}` written out as one slot per field in
/// file order.
std::string settle_prompt(const Profile& profile);

}  // namespace platform
