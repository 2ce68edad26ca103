// dataset.snapshot: records and a profile become examples, stored as one blob whose digest is the dataset's content
// hash. The same records give the same dataset, however often the step runs.
#pragma once

#include "platform/dataset/observation.h"
#include "platform/dataset/profile.h"
#include "platform/dataset/snapshot.h"
#include "workflows/steps.h"

namespace workflows {

class DatasetSnapshotStep final : public platform::Step {
 public:
  explicit DatasetSnapshotStep(StepServices& services) : services_(services) {}
  platform::StepOutcome execute(platform::StepContext& context) override;

 private:
  std::vector<platform::Observation> read(platform::StepContext& context, const platform::Profile& profile) const;
  std::vector<platform::Observation> read_file(const std::string& path, const std::string& source,
                                               const platform::Profile& profile, platform::StepContext& context) const;

  platform::json::object counted(const platform::Run& run, const platform::SnapshotResult& snapshot) const;

  StepServices& services_;
};

}  // namespace workflows
