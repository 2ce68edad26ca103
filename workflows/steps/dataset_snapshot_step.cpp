#include "workflows/steps/dataset_snapshot_step.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "connectors/profiles.h"
#include "connectors/record_parser.h"
#include "connectors/text_file.h"
#include "finetune/model/base.h"
#include "finetune/train/token_counts.h"
#include "platform/engine/expression.h"
#include "platform/store/dataset_store.h"
#include "platform/store/name_rule.h"
#include "platform/store/record_store.h"

namespace workflows {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using platform::Observation;

constexpr std::size_t kTextLimitBytes = std::size_t{1} << 30;

std::optional<platform::Profile> given_profile(const json::object& with, const StepServices& services) {
  const json::value* profile = platform::find(with, "profile");
  if (profile == nullptr) return std::nullopt;
  if (profile->is_string())
    return connectors::load_profile(std::string(profile->get_string()), services.data, services.file_allowed);
  return platform::profile_from_json(*profile);
}

// Of a file by its name; plain text: what the input says.
std::string content_type_of(const std::string& path, const connectors::InputFormat& input) {
  if (input.format == "lines") return "text/plain";
  return path.ends_with(".csv") || path.ends_with(".csv.gz") ? "text/csv" : "";
}

// Where the records came from: names, how many, and the range of their times.
json::object lineage_of(const std::vector<Observation>& rows, const platform::StepContext& context) {
  std::map<std::string, std::int64_t> sources;
  platform::Time from{}, to{};
  for (const Observation& row : rows) {
    ++sources[row.source];
    if (row.event_time == platform::Time{}) continue;
    if (from == platform::Time{} || row.event_time < from) from = row.event_time;
    if (row.event_time > to) to = row.event_time;
  }
  json::object counts;
  for (const auto& [source, count] : sources) counts[source] = count;
  json::object lineage{{"sources", std::move(counts)},
                       {"records", rows.size()},
                       {"run", context.run().id.str()},
                       {"step", context.step().definition.name}};
  if (from != platform::Time{}) {
    lineage["from"] = platform::format_time(from);
    lineage["to"] = platform::format_time(to);
  }
  return lineage;
}

// A table that comes without a profile gives its dataset the name of where it was read: sources, or files. What may not
// stand in a name becomes '-'; where nothing is left, the workflow names it.
std::string name_of_table(const std::vector<Observation>& rows, const std::string& workflow) {
  std::set<std::string> sources;
  for (const Observation& row : rows) sources.insert(row.source);
  std::string name;
  for (const std::string& source : sources) name += (name.empty() ? "" : "-") + source;
  for (char& c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte) == 0 && c != '-' && c != '_') c = '-';
  }
  try {
    platform::check_name(name, "dataset");
    return name;
  } catch (const Error&) {
    return workflow;
  }
}

// The base that the run will train: the tune step's, else the embedded one.
std::string base_of(const platform::Run& run) {
  for (const platform::RunStep& step : run.steps) {
    if (step.definition.kind != "finetune.lora") continue;
    const json::value* base = platform::find(step.definition.with, "base");
    if (base == nullptr || !base->is_string()) continue;
    const auto references = platform::find_references(base->get_string());
    const bool known = std::all_of(references.begin(), references.end(), [](const platform::Reference& reference) {
      return reference.kind == platform::Reference::Kind::kInput;
    });
    const json::value name = known ? platform::resolve(*base, run) : json::value(nullptr);
    if (name.is_string()) return std::string(name.get_string());
  }
  return "anneal-nano";
}

// Of what was said about one prediction the newest counts; what it corrects stays in the source.
void keep_newest_feedback(std::vector<Observation>& rows) {
  const auto prediction_of = [](const Observation& row) {
    const json::value* id = row.fields.if_contains("anneal.prediction");
    return id != nullptr && id->is_string() ? std::string(id->get_string()) : std::string();
  };
  std::map<std::string, const Observation*> newest;
  for (const Observation& row : rows) {
    const std::string id = prediction_of(row);
    if (id.empty()) continue;
    const Observation*& best = newest[id];
    if (best == nullptr || best->event_time <= row.event_time) best = &row;
  }
  if (newest.empty()) return;
  std::vector<Observation> kept;
  for (Observation& row : rows) {
    const auto found = newest.find(prediction_of(row));
    if (found == newest.end() || found->second == &row) kept.push_back(std::move(row));
  }
  rows = std::move(kept);
}

}  // namespace

// What the report says in tokens: those of the base that the run will train.
json::object DatasetSnapshotStep::counted(const platform::Run& run, const platform::SnapshotResult& snapshot) const {
  const std::string base = base_of(run);
  const std::filesystem::path folder = platform::base_folder(services_.data, base);
  json::object counts =
      finetune::token_counts(finetune::load_base_tokenizer(folder), finetune::load_base_chat(folder),
                             finetune::task_from(platform::to_string(snapshot.profile.target.task)), snapshot.examples);
  counts["tokenizer"] = base;
  return counts;
}

std::vector<Observation> DatasetSnapshotStep::read_file(const std::string& path, const std::string& source,
                                                        const platform::Profile& profile,
                                                        platform::StepContext& context) const {
  const auto input = connectors::InputFormat::from_json(profile.input);
  auto parsed =
      connectors::parse_records(connectors::TextFile(path, services_.file_allowed).read_whole(kTextLimitBytes),
                                content_type_of(path, input), input, profile, source);
  for (std::size_t i = 0; i < parsed.errors.size() && i < 20; ++i)
    context.say(path + ":" + std::to_string(parsed.errors[i].line) + ": " + parsed.errors[i].message);
  context.say("read " + std::to_string(parsed.records.size()) + " records of " + path + ", " +
              std::to_string(parsed.errors.size()) + " errors");
  return std::move(parsed.records);
}

std::vector<Observation> DatasetSnapshotStep::read(platform::StepContext& context,
                                                   const platform::Profile& profile) const {
  const json::object& with = context.inputs();
  std::vector<Observation> rows;
  const auto add = [&](std::vector<Observation> more) {
    rows.insert(rows.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  if (const json::value* files = platform::find(with, "files")) {
    if (files->is_object()) {
      for (const auto& [source, path] : files->get_object())
        add(read_file(std::string(path.as_string()), std::string(source), profile, context));
    } else {
      const std::string path(files->as_string());
      add(read_file(path, std::filesystem::path(path).stem().string(), profile, context));
    }
    return rows;
  }
  std::vector<std::string> sources;
  if (const json::value* one = platform::find(with, "source")) sources.emplace_back(one->as_string());
  if (const json::value* all = platform::find(with, "sources"))
    sources = all->is_string() ? std::vector<std::string>{std::string(all->get_string())}
                               : platform::strings_from(*all, "sources");
  if (sources.empty())
    throw Error(ErrorCode::kInvalidInput, "dataset.snapshot has nothing to read; give source, sources or files",
                "source");
  if (services_.records == nullptr)
    throw Error(ErrorCode::kInvalidInput,
                "this worker has no record store, so it cannot read source " + sources[0] + "; give files");
  for (const std::string& source : sources) {
    services_.records->scan(context.run().project, source, [&](Observation&& row) {
      rows.push_back(std::move(row));
      return !context.should_stop();
    });
  }
  if (context.should_stop()) throw Error(ErrorCode::kCancelled, "stopped while reading records");
  keep_newest_feedback(rows);
  return rows;
}

platform::StepOutcome DatasetSnapshotStep::execute(platform::StepContext& context) {
  const json::object& with = context.inputs();
  std::optional<platform::Profile> profile = given_profile(with, services_);
  const bool labels_listed = profile && !profile->target.labels.empty();
  const std::string target = platform::string_or(with, "target", "", "with");
  if (!profile && target.empty())
    throw Error(ErrorCode::kInvalidInput, "dataset.snapshot needs a profile, or the target column", "profile");
  const std::vector<Observation> rows = read(context, profile.value_or(platform::Profile{}));
  if (!profile)
    profile = connectors::profile_from_table(rows, target, name_of_table(rows, context.run().workflow),
                                             platform::string_or(with, "group", "", "with"));
  std::optional<platform::SplitRule> split;
  if (const json::value* rule = platform::find(with, "split")) split = platform::split_rule_from_json(*rule);
  platform::SnapshotResult snapshot = platform::build_snapshot(*profile, rows, split);
  for (auto& [name, value] : counted(context.run(), snapshot)) snapshot.report["sizes"].as_object()[name] = value;
  platform::StepOutcome outcome;
  outcome.outputs = {{"dataset", services_.blobs.put(snapshot.lines)},
                     {"examples", snapshot.examples.size()},
                     {"labels_listed", labels_listed},
                     {"name", snapshot.profile.name},
                     {"profile", platform::to_json(snapshot.profile)},
                     {"report", snapshot.report},
                     {"splits", snapshot.statistics.at("splits")},
                     {"task", platform::to_string(snapshot.profile.target.task)}};
  if (services_.datasets != nullptr) {
    platform::DatasetVersion version;
    version.project = context.run().project;
    version.dataset = snapshot.profile.name;
    version.content_hash = snapshot.content_hash;
    version.blob = std::string(outcome.outputs.at("dataset").as_string());
    version.counts = snapshot.statistics.at("splits").as_object();
    version.schema = snapshot.schema;
    version.statistics = snapshot.statistics;
    version.report = snapshot.report;
    version.lineage = lineage_of(rows, context);
    version = services_.datasets->add_version(version);
    outcome.outputs["version"] = version.dataset + "/" + std::to_string(version.number);
    outcome.outputs["version_id"] = version.id.str();
  }
  context.say("dataset of " + std::to_string(snapshot.examples.size()) + " examples, " +
              platform::canonical_json(snapshot.statistics.at("splits")));
  return outcome;
}

}  // namespace workflows
