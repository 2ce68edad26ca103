#include "platform/dataset/snapshot_rows.h"

#include <algorithm>
#include <set>

#include "platform/dataset/window.h"

namespace platform {
namespace {

json::object case_of(const Observation& row, std::string detail = {}) {
  json::object out{{"source", row.source}, {"key", row.key}};
  if (!detail.empty()) out["detail"] = std::move(detail);
  return out;
}

class RowCollector {
 public:
  RowCollector(const Profile& profile, CaseCounter& dropped) : profile_(profile), dropped_(dropped) {}

  Rows run(const NextObservation& next) {
    read(next);
    remove_duplicates();
    const bool grouped = profile_.window || profile_.target.remaining_life;
    if (grouped) sort_by_group();
    cut();
    return std::move(rows_);
  }

 private:
  void read(const NextObservation& next) {
    Observation row;
    while (next(row)) {
      ++rows_.records_read;
      const std::optional<Truth>& truth = profile_.target.truth;
      if (truth && matches(truth->source, row.source)) {
        read_truth(*truth, row);
      } else if (!row.usable) {
        dropped_.add("bad_quality", case_of(row));
      } else {
        rows_.records.push_back(std::move(row));
      }
      row = {};
    }
  }

  void read_truth(const Truth& truth, const Observation& row) {
    const json::value* join = raw_value(profile_, row, truth.join);
    const std::optional<double> value = number_of({}, raw_value(profile_, row, truth.field));
    if (join == nullptr || !value) {
      dropped_.add("bad_truth", case_of(row, "needs " + truth.join + " and " + truth.field));
    } else {
      truth_[text_of(*join)] = *value;
    }
  }

  void remove_duplicates() {
    const auto less = [](const Observation& a, const Observation& b) {
      return std::tie(a.source, a.key) < std::tie(b.source, b.key);
    };
    std::stable_sort(rows_.records.begin(), rows_.records.end(), less);
    std::vector<Observation> kept;
    kept.reserve(rows_.records.size());
    for (Observation& row : rows_.records) {
      const bool again =
          !kept.empty() && !row.key.empty() && kept.back().source == row.source && kept.back().key == row.key;
      if (!again) {
        kept.push_back(std::move(row));
        continue;
      }
      dropped_.add("duplicate_key", case_of(row));
      // Of two contents under one key the one that sorts first stays, whichever came first.
      if (canonical_json(row.fields) < canonical_json(kept.back().fields)) kept.back() = std::move(row);
    }
    rows_.records = std::move(kept);
  }

  void sort_by_group() {
    struct Place {
      std::string group;
      OrderValue order;
      std::size_t at;
    };
    std::vector<Place> places;
    for (std::size_t i = 0; i < rows_.records.size(); ++i)
      places.push_back({group_of(profile_, rows_.records[i]), order_of(profile_, rows_.records[i]), i});
    const auto& records = rows_.records;
    std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
      return std::tie(records[a.at].source, a.group, a.order, records[a.at].key) <
             std::tie(records[b.at].source, b.group, b.order, records[b.at].key);
    });
    std::vector<Observation> sorted;
    sorted.reserve(places.size());
    for (const Place& place : places) sorted.push_back(std::move(rows_.records[place.at]));
    rows_.records = std::move(sorted);
  }

  void cut() {
    const bool grouped = profile_.window || profile_.target.remaining_life;
    if (!grouped) {
      for (std::size_t i = 0; i < rows_.records.size(); ++i) add_unit({i, i + 1, true, true, {}, {}, {}}, i);
      return;
    }
    for (std::size_t begin = 0; begin < rows_.records.size();) {
      const std::string group = group_of(profile_, rows_.records[begin]);
      std::size_t end = begin;
      while (end < rows_.records.size() && rows_.records[end].source == rows_.records[begin].source &&
             group_of(profile_, rows_.records[end]) == group)
        ++end;
      cut_group(begin, end);
      begin = end;
    }
  }

  void cut_group(std::size_t begin, std::size_t end) {
    if (!profile_.window) {
      for (std::size_t i = begin; i < end; ++i) add_unit({i, i + 1, true, i + 1 == end, {}, {}, {}}, end - 1);
      return;
    }
    const std::vector<RowRange> regular = windows_of(*profile_.window, end - begin);
    const std::vector<RowRange> last = last_window_of(*profile_.window, end - begin);
    if (last.empty())
      dropped_.add("group_shorter_than_window",
                   case_of(rows_.records[begin], "group " + group_of(profile_, rows_.records[begin])));
    for (const RowRange& range : regular)
      add_unit({begin + range.begin, begin + range.end, true, begin + range.end == end, {}, {}, {}}, end - 1);
    const bool last_is_regular = !regular.empty() && regular.back().end == end - begin;
    if (!last.empty() && !last_is_regular) add_unit({begin + last[0].begin, end, false, true, {}, {}, {}}, end - 1);
  }

  void add_unit(Unit unit, std::size_t group_end) {
    const Observation& row = rows_.records[unit.end - 1];
    const std::string problem = read_target(unit, row, rows_.records[group_end]);
    if (problem.empty()) {
      rows_.units.push_back(std::move(unit));
    } else {
      dropped_.add(problem, case_of(row));
    }
  }

  // Why the row has no target, or an empty string.
  std::string read_target(Unit& unit, const Observation& row, const Observation& group_end) {
    const Target& target = profile_.target;
    if (target.task == TargetTask::kLanguageModel) return read_text(unit, row);
    if (target.remaining_life) return read_remaining_life(unit, row, group_end);
    const Field* declared = profile_.field(target.field);
    const Field field = declared == nullptr ? Field{} : *declared;
    const json::value* raw = raw_value(profile_, row, target.field);
    if (is_missing(field, raw)) return "no_target";
    if (target.task == TargetTask::kClassify) {
      unit.label = text_of(*raw);
      const auto& labels = target.labels;
      return labels.empty() || std::find(labels.begin(), labels.end(), unit.label) != labels.end() ? ""
                                                                                                   : "unknown_label";
    }
    unit.value = number_of(field, raw);
    if (!unit.value) return "target_not_a_number";
    cap(unit);
    return {};
  }

  std::string read_text(Unit& unit, const Observation& row) {
    const std::string& wanted = profile_.text.empty() ? profile_.completion : profile_.text;
    const std::optional<std::string> text = fill_template(profile_, row, wanted);
    if (!text || text->empty()) return "no_target";
    if (profile_.text.empty()) unit.completion = *text;
    return {};
  }

  std::string read_remaining_life(Unit& unit, const Observation& row, const Observation& group_end) {
    unit.value = order_of(profile_, group_end).number - order_of(profile_, row).number;
    const std::optional<Truth>& truth = profile_.target.truth;
    if (truth && matches(truth->of, row.source)) {
      const json::value* join = raw_value(profile_, row, truth->join);
      const auto found = join == nullptr ? truth_.end() : truth_.find(text_of(*join));
      if (found == truth_.end()) return "no_truth";
      *unit.value += found->second;
    }
    if (!(*unit.value >= 0)) return "no_order";
    cap(unit);
    return {};
  }

  void cap(Unit& unit) const {
    if (profile_.target.cap) unit.value = std::min(*unit.value, *profile_.target.cap);
  }

  const Profile& profile_;
  CaseCounter& dropped_;
  Rows rows_;
  std::map<std::string, double> truth_;
};

}  // namespace

void CaseCounter::add(const std::string& reason, json::object detail) {
  constexpr std::size_t kShown = 5;
  Cases& cases = cases_[reason];
  ++cases.count;
  if (cases.examples.size() < kShown) cases.examples.push_back(std::move(detail));
}

json::object CaseCounter::to_json() const {
  json::object out;
  for (const auto& [reason, cases] : cases_)
    out[reason] = json::object{{"count", cases.count}, {"examples", cases.examples}};
  return out;
}

Rows collect_rows(const Profile& profile, const NextObservation& next, CaseCounter& dropped) {
  return RowCollector(profile, dropped).run(next);
}

}  // namespace platform
