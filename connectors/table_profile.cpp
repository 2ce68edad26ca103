// The profile of a plain table (declared in profiles.h).
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "connectors/profiles.h"
#include "platform/dataset/render.h"

namespace connectors {

using platform::Error;
using platform::ErrorCode;
using platform::Field;
using platform::FieldKind;
using platform::Observation;
using platform::Profile;
namespace json = platform::json;

namespace {

// What one column looks like over all rows.
struct Column {
  std::string name;
  std::int64_t present = 0, numbers = 0, whole = 0, arrays = 0, bytes = 0;
  bool rising = true;  // whole numbers, each one more than the last
  double last = 0;
  std::set<std::string> values;  // at most kKept
  std::set<std::string> strays;  // texts among them that are no numbers
  std::string first_stray;

  bool numeric() const { return numbers == present || (numbers >= 10 && numbers * 100 >= present * 95); }
};

constexpr std::size_t kKept = 2000;

std::vector<Column> columns_of(std::span<const Observation> rows) {
  std::vector<Column> columns;
  std::map<std::string, std::size_t> index;
  const Field field;
  for (const Observation& row : rows) {
    for (const auto& pair : row.fields) {
      const auto [found, fresh] = index.emplace(std::string(pair.key()), columns.size());
      if (fresh) {
        columns.emplace_back();
        columns.back().name = pair.key();
      }
      Column& column = columns[found->second];
      if (platform::is_missing(field, &pair.value())) continue;
      if (pair.value().is_array()) ++column.arrays;
      const std::string text = platform::text_of(pair.value());
      const std::optional<double> number = platform::number_of(field, &pair.value());
      if (number) {
        ++column.numbers;
        if (std::trunc(*number) == *number) ++column.whole;
        if (column.present > 0 && *number != column.last + 1) column.rising = false;
        column.last = *number;
      } else {
        column.rising = false;
        if (column.numbers == column.present) column.first_stray = text;
        if (column.strays.size() < kKept) column.strays.insert(text);
      }
      ++column.present;
      column.bytes += static_cast<std::int64_t>(text.size());
      if (column.values.size() < kKept) column.values.insert(text);
    }
  }
  return columns;
}

bool identifier_like(const Column& column) {
  static const std::set<std::string> kNames = {"id", "uuid", "guid", "key", "index", "row", "udi", "uid"};
  std::string name = column.name;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  const bool unique = static_cast<std::int64_t>(column.values.size()) >=
                      std::min<std::int64_t>(column.present, static_cast<std::int64_t>(kKept));
  if (column.rising && column.present > 2) return true;
  return unique && (kNames.contains(name) || name.ends_with("_id") || name.ends_with(" id"));
}

FieldKind kind_of(const Column& column) {
  if (column.values.size() < 2 || identifier_like(column)) return FieldKind::kIgnore;
  if (column.arrays == column.present) return FieldKind::kSignal;
  if (column.numeric()) return FieldKind::kNumber;
  const auto distinct = static_cast<std::int64_t>(column.values.size());
  if (distinct <= 64 && distinct * 3 <= column.present) return FieldKind::kCategory;
  // Codes that hardly repeat say nothing; sentences do.
  return column.bytes >= column.present * 12 ? FieldKind::kText : FieldKind::kIgnore;
}

std::string slot_name(const std::string& column) {
  std::string name;
  for (const char c : column) name += c == ' ' || c == '{' || c == '}' || c == ':' ? '_' : c;
  return name;
}

}  // namespace

Profile profile_from_table(std::span<const Observation> rows, const std::string& target, const std::string& name,
                           const std::string& group, const std::string& order) {
  const std::vector<Column> columns = columns_of(rows);
  const auto wanted =
      std::find_if(columns.begin(), columns.end(), [&](const Column& column) { return column.name == target; });
  if (wanted == columns.end()) {
    std::string known;
    for (const Column& column : columns) known += (known.empty() ? "" : ", ") + column.name;
    throw Error(ErrorCode::kInvalidInput, "the table has no column '" + target + "'; it has " + known, "target");
  }
  Profile profile;
  profile.name = name;
  profile.description = "A table; the column " + target + " is to be predicted";
  for (const Column& column : columns) {
    Field field;
    field.name = slot_name(column.name);
    if (field.name != column.name) field.from = {column.name};
    field.kind =
        column.name == target || column.name == group || column.name == order ? FieldKind::kIgnore : kind_of(column);
    if (field.kind == FieldKind::kCategory) field.values.assign(column.values.begin(), column.values.end());
    if (column.numeric()) field.missing.insert(field.missing.end(), column.strays.begin(), column.strays.end());
    profile.fields.push_back(std::move(field));
  }
  profile.target.field = slot_name(target);
  const std::size_t classes = wanted->values.size() - (wanted->numeric() ? wanted->strays.size() : 0);
  const bool regress = wanted->numeric() && (classes > 20 || wanted->whole < wanted->numbers);
  profile.target.task = regress ? platform::TargetTask::kRegress : platform::TargetTask::kClassify;
  if (!regress && classes == 2 && wanted->values.contains("1")) profile.target.positive = "1";
  profile.group = group;
  profile.order = order;
  platform::SplitRule split;
  if (!order.empty() && group.empty()) split.by = platform::SplitBy::kTime;
  profile.split = split;
  return profile;
}

std::vector<StrayCells> stray_cells(std::span<const Observation> rows) {
  std::vector<StrayCells> found;
  for (const Column& column : columns_of(rows)) {
    if (column.numeric() && column.numbers < column.present)
      found.push_back({column.name, column.present - column.numbers, column.first_stray});
  }
  return found;
}

}  // namespace connectors
