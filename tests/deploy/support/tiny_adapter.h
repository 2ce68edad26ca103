// A tiny trained classifier of one sensor value, and adapters of other tasks on the same base, each made once a test
// program: small enough to train in a second, real enough to be verified, probed and asked.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "finetune/train/training_job.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"
#include "platform/dataset/render.h"
#include "tests/support/tiny_base.h"

namespace tests {

class TinyAdapter {
 public:
  /// The program's own; trained at first use.
  static const TinyAdapter& instance() {
    static const TinyAdapter adapter;
    return adapter;
  }
  std::filesystem::path base() const { return folder_.path() / "base"; }
  std::filesystem::path adapter() const { return folder_.path() / "adapter"; }

  /// An adapter that answers with a torque's labels ("above", "large"; multilabel), its double in three quantiles
  /// (regress), or the next two samples of the signal `power` (forecast).
  std::filesystem::path adapter_of(finetune::Task task) const {
    const std::filesystem::path folder = folder_.path() / std::string(finetune::to_string(task));
    if (!std::filesystem::exists(folder)) train(request_of(task, folder));
    return folder;
  }

  /// The same weights under another digest: the manifest's profile carries `note`.
  std::filesystem::path variant(const std::filesystem::path& to, const std::string& note) const {
    std::filesystem::copy(adapter(), to);
    platform::json::value manifest = platform::read_json_file(to / "anneal.json");
    manifest.as_object()["profile"].as_object()["description"] = note;
    platform::write_file_atomically(to / "anneal.json", platform::canonical_json(manifest));
    return to;
  }

 private:
  TinyAdapter() {
    support::write_tiny_base(base());
    const platform::Profile profile = platform::profile_from_yaml(
        "name: bearing\nfields:\n  torque: {kind: number}\ntarget: {field: state, task: classify, labels: [cold, "
        "hot]}\nprompt: \"torque {{ number:torque }}\"\n",
        "bearing.yaml");
    finetune::TrainRequest request = request_on(profile, "data.jsonl", [&](int i) {
      platform::Example example = torque(profile, i);
      example.label = i < 32 ? "cold" : "hot";
      return example;
    });
    request.labels = {"cold", "hot"};
    request.config.min_steps = request.config.max_steps = 150;
    request.output_folder = adapter();
    train(request);
  }

  static platform::Example torque(const platform::Profile& profile, int i) {
    platform::Observation row;
    row.source = "line-3";
    row.key = std::to_string(i);
    row.fields["torque"] = static_cast<double>(i) - 31.5;
    return platform::render(profile, row);
  }

  static platform::Example power(const platform::Profile& profile, int i) {
    platform::Observation row;
    row.source = "line-3";
    row.key = std::to_string(i);
    row.fields["power"] = platform::json::array{i, i + 1};
    return platform::render(profile, row);
  }

  finetune::TrainRequest request_of(finetune::Task task, const std::filesystem::path& folder) const {
    const bool forecast = task == finetune::Task::kForecast;
    const platform::Profile profile =
        platform::profile_from_yaml(std::string("name: bearing\nfields:\n") +
                                        (forecast ? "  power: {kind: signal}\n" : "  torque: {kind: number}\n") +
                                        "target: {field: state, task: classify}\nprompt: \"" +
                                        (forecast ? "power {{ signal:power }}" : "torque {{ number:torque }}") + "\"\n",
                                    "bearing.yaml");
    finetune::TrainRequest request = request_on(profile, folder.filename().string() + ".jsonl", [&](int i) {
      if (forecast) {
        platform::Example example = power(profile, i);
        example.values = {i + 2.0, i + 3.0};
        return example;
      }
      platform::Example example = torque(profile, i);
      example.value = 2 * (i - 31.5);
      example.labels.emplace();
      if (i >= 32) example.labels->push_back("above");
      if (i >= 48) example.labels->push_back("large");
      return example;
    });
    request.task = task;
    request.config.min_steps = request.config.max_steps = 10;
    if (task == finetune::Task::kRegress) request.config.quantiles = {0.1, 0.5, 0.9};
    if (forecast) request.config.continues = "power";
    request.output_folder = folder;
    return request;
  }

  template <typename Make>
  finetune::TrainRequest request_on(const platform::Profile& profile, const std::string& file, const Make& make) const {
    std::string lines;
    for (int i = 0; i < 64; ++i) {
      platform::Example example = make(i);
      example.split = i % 8 == 0 ? platform::Split::kValidation : platform::Split::kTrain;
      lines += platform::canonical_json(platform::to_json(example)) + "\n";
    }
    platform::write_file_atomically(folder_.path() / file, lines);
    finetune::TrainRequest request;
    request.base_folder = base();
    request.dataset = folder_.path() / file;
    request.config.r = 4;
    request.config.learning_rate = 1e-2;
    request.profile = platform::to_json(profile);
    request.threads = 1;
    return request;
  }

  static void train(const finetune::TrainRequest& request) {
    finetune::TrainObserver observer;
    finetune::train_adapter(request, observer);
  }
  platform::TemporaryFolder folder_;
};

}  // namespace tests
