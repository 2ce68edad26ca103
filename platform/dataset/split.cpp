#include "platform/dataset/split.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "platform/base/digest.h"

namespace platform {
namespace {

using Parts = std::vector<std::optional<Split>>;

// What stays together: the group, else the row itself.
std::string unit_of(const SplitItem& item) {
  return item.group.empty() ? "row " + item.source + "/" + item.key : "group " + item.group;
}

struct Unit {
  std::string hash;  // sorts units: fixed for each name, without regard to the others
  std::string stratum;
  std::vector<std::size_t> items;
};

// Units of the items that `wanted` admits, in the order of their hashes; single rows carry their label as stratum.
std::vector<Unit> units_of(std::span<const SplitItem> items, const Parts& parts, std::optional<Split> wanted) {
  std::map<std::string, Unit> by_name;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (parts[i] != wanted) continue;
    Unit& unit = by_name[unit_of(items[i])];
    unit.items.push_back(i);
    unit.stratum = items[i].group.empty() ? items[i].label : std::string();
  }
  std::vector<Unit> units;
  for (auto& [name, unit] : by_name) {
    unit.hash = sha256_hex(name);
    units.push_back(std::move(unit));
  }
  std::sort(units.begin(), units.end(),
            [](const Unit& a, const Unit& b) { return std::tie(a.stratum, a.hash) < std::tie(b.stratum, b.hash); });
  return units;
}

// Gives `part` to units in hash order, stratum by stratum, until its share of the items is reached as closely as whole
// units allow; the remainder of a stratum carries over, so that many small strata do not round to nothing.
void take_share(std::vector<Unit>& units, double share, Split part, Parts& parts) {
  double owed = 0;
  std::vector<Unit> left;
  std::size_t remaining = units.size();
  for (std::size_t begin = 0; begin < units.size();) {
    std::size_t end = begin;
    std::size_t items = 0;
    while (end < units.size() && units[end].stratum == units[begin].stratum) items += units[end++].items.size();
    owed += share * static_cast<double>(items);
    for (std::size_t i = begin; i < end; ++i) {
      const auto size = static_cast<double>(units[i].items.size());
      if (owed >= size / 2 && owed > 0 && remaining > 1) {
        for (const std::size_t item : units[i].items) parts[item] = part;
        owed -= size;
        --remaining;
      } else {
        left.push_back(std::move(units[i]));
      }
    }
    begin = end;
  }
  units = std::move(left);
}

// Takes the validation part out of the train part, whole groups only.
void carve_validation(std::span<const SplitItem> items, double share, Parts& parts) {
  if (share <= 0 || std::find(parts.begin(), parts.end(), Split::kValidation) != parts.end()) return;
  std::vector<Unit> units = units_of(items, parts, Split::kTrain);
  take_share(units, share, Split::kValidation, parts);
}

int fold_of(std::string_view key, int folds) {
  const std::uint32_t hash = split_hash(key);
  // Ten buckets make folds of two or five; other numbers of folds take the hash itself.
  if (10 % folds == 0) return static_cast<int>(hash % 10) / (10 / folds);
  return static_cast<int>(hash % static_cast<std::uint32_t>(folds));
}

Parts by_group(const SplitRule& rule, std::span<const SplitItem> items) {
  Parts parts(items.size());
  if (rule.folds != 0) {
    for (std::size_t i = 0; i < items.size(); ++i)
      parts[i] = fold_of(unit_of(items[i]), rule.folds) == rule.fold ? Split::kTest : Split::kTrain;
    carve_validation(items, rule.validation, parts);
    return parts;
  }
  std::vector<Unit> units = units_of(items, parts, std::nullopt);
  take_share(units, rule.test, Split::kTest, parts);
  // Of what is left, so that the share is of all items.
  take_share(units, rule.validation / (1 - rule.test), Split::kValidation, parts);
  for (const Unit& unit : units) {
    for (const std::size_t item : unit.items) parts[item] = Split::kTrain;
  }
  return parts;
}

Parts by_hash(const SplitRule& rule, std::span<const SplitItem> items) {
  Parts parts(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const int bucket = static_cast<int>(split_hash(items[i].hash_key) % 10);
    const auto in = [&](const std::vector<int>& buckets) {
      return std::find(buckets.begin(), buckets.end(), bucket) != buckets.end();
    };
    if (rule.folds != 0) {
      parts[i] = fold_of(items[i].hash_key, rule.folds) == rule.fold ? Split::kTest : Split::kTrain;
    } else {
      parts[i] = in(rule.test_buckets)         ? Split::kTest
                 : in(rule.validation_buckets) ? Split::kValidation
                                               : Split::kTrain;
    }
  }
  if (rule.folds != 0) carve_validation(items, rule.validation, parts);
  return parts;
}

Parts by_time(const SplitRule& rule, std::span<const SplitItem> items) {
  std::vector<std::size_t> order(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tie(items[a].last, items[a].source, items[a].key) <
           std::tie(items[b].last, items[b].source, items[b].key);
  });
  const auto cut_at = [&](double share) {
    std::size_t cut =
        items.size() -
        std::min(items.size(), static_cast<std::size_t>(std::llround(share * static_cast<double>(items.size()))));
    // Rows of one moment stay on one side.
    while (cut > 0 && cut < items.size() && items[order[cut]].last == items[order[cut - 1]].last) --cut;
    return cut;
  };
  const std::size_t test = cut_at(rule.test);
  const std::size_t validation = std::min(test, cut_at(rule.test + rule.validation));
  Parts parts(items.size());
  const auto fill = [&](std::size_t begin, std::size_t end, Split part) {
    const std::size_t gap = begin == 0 ? 0 : static_cast<std::size_t>(rule.gap);
    for (std::size_t i = begin + gap; i < end; ++i) {
      // A window that reaches back over the cut would share rows with the part before it.
      if (begin > 0 && items[order[i]].first != items[order[i]].last &&
          items[order[i]].first <= items[order[begin - 1]].last)
        continue;
      parts[order[i]] = part;
    }
  };
  fill(0, validation, Split::kTrain);
  fill(validation, test, Split::kValidation);
  fill(test, items.size(), Split::kTest);
  return parts;
}

std::optional<Split> named_part(std::string_view name) {
  if (name == "train" || name == "training") return Split::kTrain;
  if (name == "validation" || name == "valid" || name == "dev") return Split::kValidation;
  if (name == "test") return Split::kTest;
  return std::nullopt;
}

Parts by_given(const SplitRule& rule, std::span<const SplitItem> items) {
  Parts parts(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (rule.sources.empty()) {
      parts[i] = named_part(items[i].part);
      continue;
    }
    parts[i] = Split::kTrain;
    for (const auto& [pattern, part] : rule.sources) {
      if (matches(pattern, items[i].source)) parts[i] = part;
    }
  }
  carve_validation(items, rule.validation, parts);
  return parts;
}

}  // namespace

std::vector<std::optional<Split>> assign_splits(const SplitRule& rule, std::span<const SplitItem> items) {
  if (rule.by == SplitBy::kTime) return by_time(rule, items);
  if (rule.by == SplitBy::kHash) return by_hash(rule, items);
  return rule.by == SplitBy::kGiven ? by_given(rule, items) : by_group(rule, items);
}

std::uint32_t split_hash(std::string_view key) {
  return static_cast<std::uint32_t>(std::stoul(sha256_hex(key).substr(0, 8), nullptr, 16));
}

bool matches(std::string_view pattern, std::string_view name) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  if (name.substr(0, star) != pattern.substr(0, star)) return false;
  const std::string_view rest = pattern.substr(star + 1);
  for (std::size_t at = star; at <= name.size(); ++at) {
    if (matches(rest, name.substr(at))) return true;
  }
  return false;
}

}  // namespace platform
