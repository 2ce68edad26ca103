#include "platform/dataset/snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace platform {
namespace {

Observation row(int n, json::object fields) {
  Observation out;
  out.source = "s";
  out.key = std::to_string(n);
  out.fields = std::move(fields);
  return out;
}

Profile plain() {
  return profile_from_yaml(
      "name: p\nfields: {x: number, site: category, m: ignore, y: category}\ntarget: {field: y}\ngroup: m\n", "p.yaml");
}

std::vector<Observation> rows(int count) {
  std::vector<Observation> out;
  for (int i = 0; i < count; ++i)
    out.push_back(row(i, {{"x", i * 0.5}, {"site", "north"}, {"m", "m" + std::to_string(i % 10)}, {"y", i % 2}}));
  return out;
}

TEST(Snapshot, HasTheSameBytesInWhateverOrderRecordsArrive) {
  auto all = rows(200);
  const SnapshotResult first = build_snapshot(plain(), all);
  std::shuffle(all.begin(), all.end(), std::mt19937(7));
  all.push_back(all.front());
  const SnapshotResult second = build_snapshot(plain(), all);
  EXPECT_EQ(first.content_hash, second.content_hash);
  EXPECT_EQ(second.report.at("dropped").at("duplicate_key").at("count").as_int64(), 1);
  EXPECT_EQ(first.examples.size(), 200u);
  EXPECT_TRUE(std::is_sorted(first.examples.begin(), first.examples.end(),
                             [](const Example& a, const Example& b) { return a.id < b.id; }));
}

TEST(Snapshot, IsAnotherVersionUnderAnotherSchemaOrSplitThoughItsLinesAreTheSame) {
  Profile profile = plain();
  profile.target.labels = {"0", "1"};
  const SnapshotResult first = build_snapshot(profile, rows(60));
  SplitRule rule = first.split;
  rule.gap = 1;  // says nothing to a split by group
  const SnapshotResult split = build_snapshot(profile, rows(60), rule);
  profile.target.positive = "1";
  const SnapshotResult schema = build_snapshot(profile, rows(60));
  EXPECT_EQ(first.lines, split.lines);
  EXPECT_EQ(first.lines, schema.lines);
  EXPECT_NE(first.content_hash, split.content_hash);
  EXPECT_NE(first.content_hash, schema.content_hash);
}

TEST(Snapshot, SaysWhatItLeftOutAndWhatLooksWrong) {
  auto all = rows(60);
  all.push_back(row(100, {{"x", 1}, {"m", "m1"}}));
  all.push_back(row(101, {{"x", "fast"}, {"site", "north"}, {"m", "m2"}, {"y", 1}}));
  all.push_back(row(102, {{"x", 1}, {"m", "m1"}, {"y", 1}}));
  all.back().usable = false;
  const SnapshotResult result = build_snapshot(plain(), all);
  EXPECT_EQ(result.report.at("dropped").at("no_target").at("count").as_int64(), 1);
  EXPECT_EQ(result.report.at("dropped").at("bad_quality").at("count").as_int64(), 1);
  EXPECT_EQ(result.report.at("problems").at("not_a_number").at("x").at("count").as_int64(), 1);
  EXPECT_EQ(result.report.at("constant"), json::value(json::array{"site"}));
  EXPECT_EQ(result.statistics.at("records").as_int64(), 63);
  EXPECT_EQ(result.statistics.at("fields").at("x").at("missing").as_int64(), 1);
  EXPECT_EQ(result.profile.target.labels, (std::vector<std::string>{"0", "1"}));
  EXPECT_EQ(result.report.at("groups_across_parts").at("count").as_int64(), 0);
}

TEST(Snapshot, DropsConstantSlotsAndCarriesTheProfileThatDoesSo) {
  Profile profile = plain();
  profile.drop_constant = true;
  const SnapshotResult result = build_snapshot(profile, rows(60));
  EXPECT_TRUE(result.examples[0].categories.empty());
  EXPECT_EQ(result.profile.prompt, "x {{ number:x }} ->");
}

TEST(Snapshot, FindsTheSameInputOnTwoSides) {
  Profile profile = plain();
  profile.group.clear();
  auto all = rows(100);
  for (Observation& one : all) one.fields["x"] = 1;
  EXPECT_GT(build_snapshot(profile, all).report.at("duplicates_across_parts").at("count").as_int64(), 10);
}

TEST(Snapshot, CutsWindowsAndCountsTheLifeThatIsLeft) {
  const Profile profile = profile_from_yaml(R"(name: w
fields: {unit: ignore, cycle: ignore, v: signal}
target: {task: regress, compute: remaining_life, cap: 20, truth: {source: truth, of: cut, join: unit, field: left}}
group: "{{ source }}/{{ unit }}"
order: cycle
window: {length: 5, stride: 3, last_only: [test]}
split: {by: given, sources: {cut: test}, validation: 0}
)",
                                            "w.yaml");
  std::vector<Observation> all;
  for (const char* source : {"run", "cut"}) {
    for (int unit = 1; unit <= 2; ++unit) {
      for (int cycle = 1; cycle <= (unit == 1 ? 30 : 3); ++cycle) {
        all.push_back(row(unit * 1000 + cycle, {{"unit", unit}, {"cycle", cycle}, {"v", cycle}}));
        all.back().source = source;
      }
    }
  }
  all.push_back(row(1, {{"unit", 1}, {"left", 7}}));
  all.back().source = "truth";
  const SnapshotResult result = build_snapshot(profile, all);
  std::vector<double> train, test;
  for (const Example& example : result.examples) {
    EXPECT_EQ(example.signals.at("v").values.size(), 5u);
    (example.split == Split::kTest ? test : train).push_back(*example.value);
  }
  EXPECT_EQ(train, (std::vector<double>{20, 20, 19, 16, 13, 10, 7, 4, 1, 0}));
  EXPECT_EQ(test, std::vector<double>{7});
  EXPECT_GT(result.report.at("dropped").at("no_truth").at("count").as_int64(), 0);
}

// Twelve machines of forty rows, half of the rows of the day and half of the night.
std::vector<Observation> runs() {
  std::vector<Observation> all;
  for (int machine = 0; machine < 12; ++machine) {
    for (int cycle = 0; cycle < 40; ++cycle) {
      all.push_back(row(machine * 100 + cycle, {{"machine", "m" + std::to_string(machine)},
                                                {"shift", cycle < 20 ? "day" : "night"},
                                                {"site", machine < 6 ? "north" : "south"},
                                                {"cycle", cycle},
                                                {"v", cycle + 100 * machine},
                                                {"y", machine}}));
    }
  }
  return all;
}

Profile windows(const std::string& split) {
  return profile_from_yaml(
      "name: w\nfields: {machine: ignore, shift: ignore, site: ignore, cycle: ignore, v: signal}\n"
      "target: {field: y, task: regress}\nkey: \"{{ machine }}-{{ cycle }}\"\ngroup: machine\norder: cycle\n"
      "window: {length: 5, stride: 1}\nsplit: " +
          split + "\n",
      "w.yaml");
}

TEST(Snapshot, KeepsTheWindowsOfAGroupInOnePartWhateverTheRule) {
  for (const char* split : {"{by: hash}", "{by: hash, folds: 5, fold: 1}", "{by: group}", "{by: group, field: site}",
                            "{by: hash, key: \"site-{{ site }}\"}"}) {
    const SnapshotResult result = build_snapshot(windows(split), runs());
    std::map<double, std::set<Split>> parts;
    for (const Example& example : result.examples) parts[*example.value].insert(example.split);
    EXPECT_EQ(parts.size(), 12u) << split;
    for (const auto& [machine, sides] : parts) EXPECT_EQ(sides.size(), 1u) << split << " machine " << machine;
  }
}

TEST(Snapshot, RefusesARuleThatCutsThroughTheWindowsOfAGroup) {
  for (const char* split : {"{by: group, field: shift}", "{by: hash, key: \"{{ machine }}-{{ cycle }}\"}"}) {
    try {
      build_snapshot(windows(split), runs());
      FAIL() << split;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_NE(std::string(error.what()).find("windows of one group would stand in two parts"), std::string::npos)
          << error.what();
    }
  }
}

TEST(Snapshot, ASmallNumberThatVariesIsNotConstant) {
  auto all = rows(60);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].fields["x"] = 1e-9 * static_cast<double>(i);
  EXPECT_EQ(build_snapshot(plain(), all).report.at("constant"), json::value(json::array{"site"}));
}

TEST(Snapshot, LeavesAFieldThatAPersonNamedInThePrompt) {
  Profile profile = plain();
  profile.drop_constant = true;
  for (const char* prompt : {"x is {{ number:x }} at {{ category:site }}", "{{ numbers }} at {{ category:site }}"}) {
    profile.prompt = prompt;
    EXPECT_EQ(build_snapshot(profile, rows(60)).examples[0].categories.count("site"), 1u) << prompt;
  }
}

TEST(Snapshot, CountsTheBytesOfAnswersThatAreText) {
  EXPECT_FALSE(build_snapshot(plain(), rows(60)).report.at("sizes").as_object().contains("answer_bytes"));
  const Profile writes = profile_from_yaml(
      "name: l\nfields: {x: number}\ntarget: {task: lm}\nprompt: \"{{ number:x }}\"\ncompletion: \"{{ site }}\"\n",
      "l.yaml");
  EXPECT_EQ(build_snapshot(writes, rows(60)).report.at("sizes").at("answer_bytes").at("maximum"), json::value(5.0));
}

TEST(Snapshot, RefusesToBeEmptyAndSaysWhy) {
  try {
    build_snapshot(plain(), std::vector<Observation>{row(1, {{"x", 1}})});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no_target"), std::string::npos);
  }
}

}  // namespace
}  // namespace platform
