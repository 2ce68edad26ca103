// Reading and writing split rules (declared in split.h).
#include "platform/dataset/split.h"

namespace platform {
namespace {

std::vector<int> buckets_from(const json::object& object, std::string_view key, const std::vector<int>& fallback,
                              const std::string& where) {
  const json::value* value = find(object, key);
  if (value == nullptr) return fallback;
  std::vector<int> buckets;
  for (const json::value& item : as_array(*value, where + "." + std::string(key))) {
    if (!item.is_int64() || item.get_int64() < 0 || item.get_int64() > 9) {
      throw Error(ErrorCode::kInvalidInput, where + "." + std::string(key) + " must hold numbers 0 to 9",
                  where + "." + std::string(key));
    }
    buckets.push_back(static_cast<int>(item.get_int64()));
  }
  return buckets;
}

double share_from(const json::object& object, std::string_view key, double fallback, const std::string& where) {
  const double share = number_or(object, key, fallback, where);
  if (share < 0 || share >= 1)
    throw Error(ErrorCode::kInvalidInput,
                where + "." + std::string(key) + " must be at least 0 and less than 1, not " + std::to_string(share),
                where + "." + std::string(key));
  return share;
}

SplitBy by_from(const std::string& name, const std::string& where) {
  if (name == "group") return SplitBy::kGroup;
  if (name == "time") return SplitBy::kTime;
  if (name == "hash") return SplitBy::kHash;
  if (name == "given") return SplitBy::kGiven;
  throw Error(ErrorCode::kInvalidInput, where + ".by must be group, time, hash or given, not '" + name + "'",
              where + ".by");
}

std::string_view name_of(SplitBy by) {
  constexpr std::string_view kNames[] = {"group", "time", "hash", "given"};
  return kNames[static_cast<int>(by)];
}

void check(const SplitRule& rule, const std::string& where) {
  if (rule.validation + rule.test >= 1)
    throw Error(ErrorCode::kInvalidInput, where + ": validation and test together leave nothing to train on",
                where + ".test");
  if (rule.folds != 0 && (rule.folds < 2 || rule.fold < 0 || rule.fold >= rule.folds)) {
    throw Error(ErrorCode::kInvalidInput, where + ".fold must be 0 to folds - 1, and folds at least 2",
                where + ".fold");
  }
  if (rule.folds != 0 && rule.by != SplitBy::kGroup && rule.by != SplitBy::kHash) {
    throw Error(ErrorCode::kInvalidInput, where + ".folds goes with by: group or by: hash", where + ".folds");
  }
  if (rule.by == SplitBy::kGiven && rule.field.empty() == rule.sources.empty()) {
    throw Error(ErrorCode::kInvalidInput, where + " by given needs either field or sources", where + ".field");
  }
  if (rule.gap < 0) throw Error(ErrorCode::kInvalidInput, where + ".gap must not be negative", where + ".gap");
}

}  // namespace

SplitRule split_rule_from_json(const json::value& value, std::string_view where_view) {
  const std::string where(where_view);
  const json::object& object = as_object(value, where);
  refuse_unknown_keys(object,
                      {"by", "field", "key", "validation", "test", "validation_buckets", "test_buckets", "sources",
                       "folds", "fold", "gap"},
                      where);
  SplitRule rule;
  rule.by = by_from(string_or(object, "by", "group", where), where);
  rule.field = string_or(object, "field", "", where);
  rule.key = string_or(object, "key", "", where);
  rule.validation = share_from(object, "validation", rule.validation, where);
  rule.test = share_from(object, "test", rule.test, where);
  rule.validation_buckets = buckets_from(object, "validation_buckets", rule.validation_buckets, where);
  rule.test_buckets = buckets_from(object, "test_buckets", rule.test_buckets, where);
  if (const json::value* sources = find(object, "sources")) {
    for (const auto& pair : as_object(*sources, where + ".sources")) {
      if (!pair.value().is_string())
        throw Error(ErrorCode::kInvalidInput, where + ".sources gives each source a part: train, validation or test",
                    where + ".sources");
      rule.sources[pair.key()] = split_from(std::string_view(pair.value().get_string()));
    }
  }
  rule.folds = static_cast<int>(int_or(object, "folds", 0, where));
  rule.fold = static_cast<int>(int_or(object, "fold", 0, where));
  rule.gap = int_or(object, "gap", 0, where);
  check(rule, where);
  return rule;
}

json::value to_json(const SplitRule& rule) {
  json::object out{{"by", name_of(rule.by)}, {"validation", rule.validation}};
  if (rule.by == SplitBy::kGroup || rule.by == SplitBy::kTime) out["test"] = rule.test;
  if (!rule.field.empty()) out["field"] = rule.field;
  if (!rule.key.empty()) out["key"] = rule.key;
  if (rule.by == SplitBy::kHash) {
    out["validation_buckets"] = json::array(rule.validation_buckets.begin(), rule.validation_buckets.end());
    out["test_buckets"] = json::array(rule.test_buckets.begin(), rule.test_buckets.end());
  }
  if (!rule.sources.empty()) {
    json::object sources;
    for (const auto& [name, part] : rule.sources) sources[name] = to_string(part);
    out["sources"] = std::move(sources);
  }
  if (rule.folds != 0) {
    out["folds"] = rule.folds;
    out["fold"] = rule.fold;
  }
  if (rule.gap != 0) out["gap"] = rule.gap;
  return out;
}

}  // namespace platform
