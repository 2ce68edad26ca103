#include "platform/dataset/snapshot.h"

#include <algorithm>
#include <map>
#include <set>

#include "platform/base/digest.h"
#include "platform/base/shortened.h"
#include "platform/dataset/render.h"
#include "platform/dataset/snapshot_report.h"
#include "platform/dataset/snapshot_rows.h"

namespace platform {
namespace {

class SnapshotBuilder {
 public:
  SnapshotBuilder(const Profile& profile, const SplitRule& rule) {
    result_.profile = profile;
    result_.split = rule;
    result_.profile.split = rule;
    // What belongs together for the split is what belongs together for the leak check.
    group_profile_.fields = profile.fields;
    group_profile_.group = rule.by == SplitBy::kGroup && !rule.field.empty() ? rule.field : profile.group;
  }

  SnapshotResult run(const NextObservation& next) {
    rows_ = collect_rows(result_.profile, next, dropped_);
    assign();
    settle_labels();
    render_all();
    std::set<std::string> constant = constant_slots(result_.examples);
    if (result_.profile.drop_constant && !constant.empty() && ignore_fields(constant)) render_all();
    result_.profile.prompt = settle_prompt(result_.profile);
    check_not_empty();
    write_lines();
    describe(constant);
    return std::move(result_);
  }

 private:
  SplitItem item_of(const Unit& unit) {
    const Profile& profile = result_.profile;
    const Observation& row = rows_.records[unit.end - 1];
    SplitItem item;
    item.source = row.source;
    item.key = row.key;
    item.group = group_of(group_profile_, row);
    // Rows of a window that name no group are one group all the same: their windows overlap.
    if (profile.window && item.group.empty()) item.group = "no group of " + row.source;
    item.label = unit.label;
    item.first = order_of(profile, rows_.records[unit.begin]);
    item.last = order_of(profile, row);
    item.hash_key = hash_key_of(row);
    if (const json::value* part = raw_value(profile, row, result_.split.field)) item.part = text_of(*part);
    return item;
  }

  // A record by its key; a window by its group, because windows of one group share rows.
  std::string hash_key_of(const Observation& row) const {
    const Profile& profile = result_.profile;
    if (!result_.split.key.empty()) return fill_template(profile, row, result_.split.key).value_or(row.key);
    if (profile.window) return group_of(profile, row);
    return profile.key.empty() ? row.key : fill_template(profile, row, profile.key).value_or(row.key);
  }

  // Refuses a rule that would put windows of one group into two parts.
  void check_windows_stay_together(const std::vector<SplitItem>& items) const {
    const Profile& profile = result_.profile;
    const bool hash = result_.split.by == SplitBy::kHash;
    if (!profile.window || (!hash && result_.split.by != SplitBy::kGroup)) return;
    std::map<std::pair<std::string, std::string>, std::string> first;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::string& name = hash ? items[i].hash_key : items[i].group;
      const std::string group = group_of(profile, rows_.records[rows_.units[i].end - 1]);
      const std::string& known = first.emplace(std::pair(items[i].source, group), name).first->second;
      if (known == name) continue;
      throw Error(ErrorCode::kInvalidInput,
                  "windows of one group would stand in two parts: the group '" + shortened(group, 60) +
                      "' of the source '" + items[i].source + "' splits into '" + shortened(known, 60) + "' and '" +
                      shortened(name, 60) + "', but its windows share rows; leave split." + (hash ? "key" : "field") +
                      " out, and the window's group is split",
                  hash ? "split.key" : "split.field");
    }
  }

  void assign() {
    std::vector<SplitItem> items;
    items.reserve(rows_.units.size());
    for (const Unit& unit : rows_.units) items.push_back(item_of(unit));
    check_windows_stay_together(items);
    parts_ = assign_splits(result_.split, items);
    for (std::size_t i = 0; i < items.size(); ++i) {
      groups_.push_back(items[i].group);
      if (!parts_[i]) {
        dropped_.add("left_out_by_split", {{"source", items[i].source}, {"key", items[i].key}});
      } else if (!wanted(rows_.units[i], *parts_[i])) {
        parts_[i].reset();  // a window that its part does not keep is no loss of a record
      }
    }
  }

  bool wanted(const Unit& unit, Split part) const {
    if (!result_.profile.window) return true;
    const auto& last_only = result_.profile.window->last_only;
    const bool only_last = std::find(last_only.begin(), last_only.end(), part) != last_only.end();
    return only_last ? unit.last : unit.regular;
  }

  void settle_labels() {
    Target& target = result_.profile.target;
    if (target.task != TargetTask::kClassify || !target.labels.empty()) return;
    std::set<std::string> labels;
    for (std::size_t i = 0; i < rows_.units.size(); ++i) {
      if (parts_[i]) labels.insert(rows_.units[i].label);
    }
    target.labels.assign(labels.begin(), labels.end());
  }

  void render_all() {
    result_.examples.clear();
    problems_ = {};
    unusable_ = {};
    Profile settled = result_.profile;
    settled.prompt = settle_prompt(settled);
    for (std::size_t i = 0; i < rows_.units.size(); ++i) {
      if (parts_[i]) render_one(settled, i);
    }
    std::sort(result_.examples.begin(), result_.examples.end(),
              [](const Example& a, const Example& b) { return std::tie(a.source, a.id) < std::tie(b.source, b.id); });
  }

  void render_one(const Profile& settled, std::size_t i) {
    const Unit& unit = rows_.units[i];
    std::vector<FieldProblem> problems;
    Example example = render(settled, std::span(rows_.records).subspan(unit.begin, unit.end - unit.begin), &problems);
    bool usable = true;
    for (const FieldProblem& problem : problems) {
      json::object detail{{"id", example.id}, {"value", problem.value}};
      problems_[problem.code].add(problem.field, detail);
      if (problem.drops) {
        detail["field"] = problem.field;
        if (usable) unusable_.add(problem.code, detail);
        usable = false;
      }
    }
    if (!usable) return;
    example.split = *parts_[i];
    example.group = groups_[i];
    example.completion = unit.completion;
    if (settled.target.task == TargetTask::kClassify) example.label = unit.label;
    example.value = unit.value;
    result_.examples.push_back(std::move(example));
  }

  // Only fields of an automatic prompt or list can go; those that a person named in the prompt stay.
  bool ignore_fields(const std::set<std::string>& names) {
    bool automatic = result_.profile.prompt == "auto";
    std::set<std::string> named;
    for (const PromptPart& part : parse_prompt(result_.profile.prompt)) {
      if (part.kind == PromptPart::Kind::kText) continue;
      const bool list = part.kind == PromptPart::Kind::kField &&
                        (part.text == "numbers" || part.text == "categories" || part.text == "signals");
      automatic = automatic || list;
      if (!list) named.insert(part.text);
    }
    if (!automatic) return false;
    for (Field& field : result_.profile.fields) {
      if (names.contains(field.name) && !named.contains(field.name)) field.kind = FieldKind::kIgnore;
    }
    return true;
  }

  void check_not_empty() const {
    const auto train = std::count_if(result_.examples.begin(), result_.examples.end(),
                                     [](const Example& e) { return e.split == Split::kTrain; });
    if (train > 0) return;
    const std::string why = json::serialize(dropped_.to_json()) + json::serialize(unusable_.to_json());
    throw Error(ErrorCode::kInvalidInput,
                "the snapshot has no example to train on: " + std::to_string(rows_.records_read) +
                    " records read, left out " + shortened(why, 600) +
                    "; check the source, the profile's target and the split");
  }

  void write_lines() {
    for (const Example& example : result_.examples) result_.lines += canonical_json(platform::to_json(example)) + "\n";
  }

  // Equal lines under another schema or split are another version: statistics and manifests follow from those too.
  void name_content() {
    result_.content_hash = digest_of(canonical_json(json::object{
        {"lines", digest_of(result_.lines)}, {"schema", result_.schema}, {"split", platform::to_json(result_.split)}}));
  }

  void describe(const std::set<std::string>& constant) {
    const std::vector<Example>& examples = result_.examples;
    result_.schema = schema_of(result_.profile);
    name_content();
    result_.statistics = statistics_of(result_.profile, examples);
    result_.statistics["records"] = rows_.records_read;
    json::object dropped = dropped_.to_json();
    for (const auto& pair : unusable_.to_json()) dropped[pair.key()] = pair.value();
    json::object problems;
    for (const auto& [code, cases] : problems_) problems[code] = cases.to_json();
    json::object report{{"records", rows_.records_read},
                        {"examples", static_cast<std::int64_t>(examples.size())},
                        {"dropped", std::move(dropped)},
                        {"problems", std::move(problems)},
                        {"class_balance", class_balance(examples)},
                        {"duplicates_across_parts", duplicates_across_parts(examples)},
                        {"groups_across_parts", groups_across_parts(examples)},
                        {"constant", platform::to_json(std::vector<std::string>(constant.begin(), constant.end()))},
                        {"sizes", sizes_of(examples)}};
    report["warnings"] = warnings_of(result_.profile, examples, report);
    result_.report = std::move(report);
  }

  SnapshotResult result_;
  Profile group_profile_;
  Rows rows_;
  std::vector<std::optional<Split>> parts_;
  std::vector<std::string> groups_;
  CaseCounter dropped_, unusable_;
  std::map<std::string, CaseCounter> problems_;  // by code, then field
};

}  // namespace

SnapshotResult build_snapshot(const Profile& profile, const NextObservation& next,
                              const std::optional<SplitRule>& rule) {
  const SplitRule used = rule ? *rule : profile.split.value_or(SplitRule{});
  return SnapshotBuilder(profile, used).run(next);
}

SnapshotResult build_snapshot(const Profile& profile, const std::vector<Observation>& records,
                              const std::optional<SplitRule>& rule) {
  std::size_t at = 0;
  return build_snapshot(
      profile,
      [&](Observation& row) {
        if (at == records.size()) return false;
        row = records[at++];
        return true;
      },
      rule);
}

}  // namespace platform
