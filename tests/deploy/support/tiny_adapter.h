// A tiny trained classifier of one sensor value, made once a test program: small enough to train in a second, real
// enough to be verified, probed and asked.
#pragma once

#include <filesystem>
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
    std::string lines;
    for (int i = 0; i < 64; ++i) {
      platform::Observation row;
      row.source = "line-3";
      row.key = std::to_string(i);
      row.fields["torque"] = static_cast<double>(i) - 31.5;
      platform::Example example = platform::render(profile, row);
      example.split = i % 8 == 0 ? platform::Split::kValidation : platform::Split::kTrain;
      example.label = i < 32 ? "cold" : "hot";
      lines += platform::canonical_json(platform::to_json(example)) + "\n";
    }
    platform::write_file_atomically(folder_.path() / "data.jsonl", lines);
    finetune::TrainRequest request;
    request.base_folder = base();
    request.dataset = folder_.path() / "data.jsonl";
    request.labels = {"cold", "hot"};
    request.config.min_steps = request.config.max_steps = 150;
    request.config.r = 4;
    request.config.learning_rate = 1e-2;
    request.work_folder = folder_.path() / "work";
    request.output_folder = adapter();
    request.profile = platform::to_json(profile);
    request.threads = 1;
    finetune::TrainObserver observer;
    finetune::train_adapter(request, observer);
  }
  platform::TemporaryFolder folder_;
};

}  // namespace tests
