// Which part of a dataset an example belongs to. The rules cannot leak by construction where they can (a group is on
// one side; time is cut, not shuffled) and are checked where they cannot. No random numbers: the same items get the
// same parts on every machine, in whatever order they arrive. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"
#include "platform/dataset/example.h"

namespace platform {

enum class SplitBy { kGroup, kTime, kHash, kGiven };

struct SplitRule {
  SplitBy by = SplitBy::kGroup;
  std::string field;  // group: what belongs together (else the profile's group); given: names the part
  std::string key;    // hash: key template such as "sc2-{{ GameID }}"; else a window's group, else the profile's key,
                      // else the record's
  double validation =
      0.1;  // share of all examples; where the rule names no validation part, share of the train part, by group
  double test = 0.2;  // group and time
  /// hash: first 8 hex digits of sha256(key) modulo 10 in here.
  std::vector<int> validation_buckets = {7};
  std::vector<int> test_buckets = {8, 9};
  std::map<std::string, Split> sources;  // given: source name ('*' matches anything) -> part; others are train
  int folds = 0;                         // group and hash: part number `fold` of `folds` is the test part
  int fold = 0;
  std::int64_t gap = 0;  // time: examples left out on the later side of each cut

  bool operator==(const SplitRule&) const = default;
};

/// {by: group, field: machine, validation: 0.1, test: 0.2}, {by: time, test: 0.25}, {by: hash, key: "sc2-{{ GameID
/// }}"}, {by: given, field: part}, {by: given, sources: {"*-test": test}}. Throws kInvalidInput with the key at fault,
/// prefixed by `where`.
SplitRule split_rule_from_json(const json::value& value, std::string_view where = "split");
json::value to_json(const SplitRule& rule);

/// A place in an order: numbers and times by value, other text after them by bytes.
struct OrderValue {
  double number = 0;
  std::string text;
  auto operator<=>(const OrderValue&) const = default;
};

/// What a rule needs to know of an example.
struct SplitItem {
  std::string source;
  std::string key;
  std::string group;       // empty = on its own
  std::string hash_key;    // hash
  std::string part;        // given by field
  std::string label;       // classify: parts of single rows keep the share of each class; empty = do not care
  OrderValue first, last;  // of the rows that it is made of
};

/// One entry an item: its part, or nullopt if the rule leaves it out (a gap, a window across a cut, an unknown part).
std::vector<std::optional<Split>> assign_splits(const SplitRule& rule, std::span<const SplitItem> items);
/// First 8 hex digits of sha256(key), as a number.
std::uint32_t split_hash(std::string_view key);
/// '*' in `pattern` matches any text.
bool matches(std::string_view pattern, std::string_view name);

}  // namespace platform
