// `anneal bench`: measurements that anyone can repeat.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "finetune/bench/adaptation.h"
#include "finetune/bench/adaptation_report.h"
#include "finetune/commands/commands.h"
#include "finetune/commands/progress_line.h"
#include "finetune/commands/speed_command.h"
#include "platform/base/command_line.h"
#include "platform/base/data_folder.h"
#include "platform/base/did_you_mean.h"
#include "platform/base/file.h"
#include "platform/base/yaml.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

std::string in_words(double seconds) {
  if (seconds < 0) return "time left not known yet";
  if (seconds < 90) return "about " + std::to_string(std::lround(seconds)) + " s left";
  const long minutes = std::lround(seconds / 60);
  if (minutes < 90) return "about " + std::to_string(minutes) + " min left";
  return "about " + std::to_string(minutes / 60) + " h " + std::to_string(minutes % 60) + " min left";
}

// A line a run, the training's own progress below it.
class BenchProgress final : public AdaptationObserver {
 public:
  BenchProgress() { stages_.begin("reading the data sets"); }
  void on_set_left_out(const PublicSet& set, const std::string& reason) override {
    stages_.say(set.name + " is left out: " + reason);
  }
  void on_run(const PlannedRun& run, std::int64_t number, std::int64_t total, double seconds_left) override {
    signals_.reset();
    stages_.say("run " + std::to_string(number) + " of " + std::to_string(total) + ": " + run.title() + "; " +
                in_words(seconds_left));
    signals_.emplace();
  }
  void on_step(const TrainProgress& progress) override {
    if (signals_) signals_->on_step(progress);
  }
  void on_scoring() override {
    signals_.emplace();
    stages_.begin("scoring");
  }
  void on_finished(const FinishedRun& run) override {
    stages_.say("score " + std::to_string(run.score) + " on " + std::to_string(run.test_examples) + " examples");
  }
  bool should_stop() override {
    stages_.tick();
    return signals_ && signals_->should_stop();
  }
  void done() {
    signals_.reset();
    stages_.done();
  }

 private:
  StageLine stages_;
  std::optional<ProgressLine> signals_;  // ends its line, and lets signals go, when it is replaced
};

std::vector<PublicSet> sets_named(const std::string& list) {
  if (list.empty()) return public_sets();
  std::vector<std::string> known;
  for (const PublicSet& set : public_sets()) known.push_back(set.name);
  std::vector<PublicSet> chosen;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string name = list.substr(at, end - at);
    at = end + 1;
    const auto found = std::find(known.begin(), known.end(), name);
    if (found != known.end()) {
      const PublicSet& set = public_sets()[static_cast<std::size_t>(found - known.begin())];
      if (std::none_of(chosen.begin(), chosen.end(), [&](const PublicSet& one) { return one.name == name; }))
        chosen.push_back(set);
      continue;
    }
    std::string all;
    for (const std::string& each : known) all += (all.empty() ? "" : ", ") + each;
    throw Error(ErrorCode::kInvalidInput,
                "there is no set \"" + name + "\"" + platform::did_you_mean(name, known) + "; there are: " + all,
                "sets");
  }
  return chosen;
}

json::object settings_in(const std::string& file) {
  const json::value document = platform::to_json(platform::read_yaml_file(file));
  return document.is_null() ? json::object{} : platform::as_object(document, file);
}

std::string default_data_folder() {
  const char* given = std::getenv("ANNEAL_DATA_SETS");
  return given == nullptr ? "../shared/data" : given;
}

int count_from(const platform::CommandLine& line, const char* name) {
  return static_cast<int>(std::clamp<std::int64_t>(line.integer(name), -1, 1'000'000));
}

void declare_adaptation(platform::CommandLine& line) {
  line.option("data", "FOLDER", "where the data sets lie, <domain>/<set>/ each; also $ANNEAL_DATA_SETS",
              {.fallback = default_data_folder()});
  line.option("base", "NAME", "base that is adapted: a name, or a folder", {.fallback = "anneal-nano"});
  line.option("sets", "A,B,...", "only these sets");
  line.option("seeds", "N", "train with the seeds 1 to N", {.fallback = "3"});
  line.option("folds", "N", "of a set with folds only the first N, 0 = all", {.fallback = "0"});
  line.option("config", "FILE", "YAML with training settings over the defaults, for every set");
  line.option("work", "FOLDER", "where finished runs are kept; the same command goes on from there",
              {.fallback = "adaptation.work"});
  line.option("threads", "N", "compute threads, 0 = one per core", {.fallback = "0"});
  line.option("json", "FILE", "write everything, every single run too");
  line.option("markdown", "FILE", "write the table");
  line.option("examples", "FOLDER", "only write the examples of each set there, as `anneal train` reads them");
}

AdaptationOptions options_from(const platform::CommandLine& line) {
  AdaptationOptions options;
  options.data_folder = line.text("data");
  options.base_folder = platform::base_folder(platform::data_folder(), line.text("base"));
  options.work_folder = line.text("work");
  options.sets = sets_named(line.text("sets"));
  options.seeds = count_from(line, "seeds");
  options.folds = count_from(line, "folds");
  options.threads = count_from(line, "threads");
  if (line.has("config")) options.settings = settings_in(line.text("config"));
  return options;
}

int adaptation_action(const Arguments& arguments) {
  platform::CommandLine line("anneal bench adaptation",
                             "Adapts a base to real public data sets and holds the scores against their bars.",
                             {"anneal bench adaptation --data data --markdown table.md",
                              "anneal bench adaptation --sets wall_following,carobd --seeds 1 --json results.json",
                              "anneal bench adaptation --config ablation.yaml --work ablation.work",
                              "anneal bench adaptation --sets vss_unit --examples examples"});
  declare_adaptation(line);
  if (!line.read(arguments)) return 0;
  const AdaptationOptions options = options_from(line);
  BenchProgress progress;
  if (line.has("examples")) {
    write_examples(options, line.text("examples"), progress);
    progress.done();
    return 0;
  }
  const AdaptationResults results = run_adaptation(options, progress);
  progress.done();
  if (line.has("json")) platform::write_json_file(line.text("json"), to_json(results));
  if (line.has("markdown")) platform::write_file_atomically(line.text("markdown"), results_markdown(results));
  std::fputs(results_text(results).c_str(), stdout);
  return 0;
}

struct Measurement {
  const char* name;
  const char* summary;
  int (*run)(const Arguments&);
};
constexpr Measurement kMeasurements[] = {
    {"adaptation", "how well an adapted base does on real public data sets", adaptation_action},
    {"generate", "how fast a base reads a prompt and writes on", bench_generate_action},
    {"kernels", "what this machine can do at most, and how near the operations come", bench_kernels_action},
    {"train", "how fast adapters are trained, beside PyTorch where it is at hand", bench_train_action},
};

}  // namespace

std::vector<std::string> bench_measurements() {
  std::vector<std::string> names;
  for (const Measurement& each : kMeasurements) names.emplace_back(each.name);
  return names;
}

int bench_command(const Arguments& arguments) {
  if (arguments.empty() || arguments.front() == "--help") {
    std::puts("anneal bench WHAT: measurements that anyone can repeat.\n");
    for (const Measurement& each : kMeasurements) std::printf("  %-10s %s\n", each.name, each.summary);
    std::puts("\nanneal bench WHAT --help tells its options.");
    return arguments.empty() ? 2 : 0;
  }
  for (const Measurement& each : kMeasurements) {
    if (arguments.front() == each.name) return each.run({arguments.begin() + 1, arguments.end()});
  }
  throw Error(ErrorCode::kInvalidInput, "anneal bench does not know \"" + arguments.front() + "\"" +
                                            platform::did_you_mean(arguments.front(), bench_measurements()) +
                                            "; anneal bench --help lists what it measures");
}

}  // namespace finetune
