// deploy.rollout: wishes a model version on the agents of a selector and waits until the last wave is through. The
// rollout itself is the server's and the agents' work (deploy/deployments.h), which also moves `production` at its end;
// a worker that is lost meanwhile loses nothing, the next one finds the same deployment. A selector that matches nobody
// is refused. Where the worker takes it, the step hands itself back between two looks, as one that waits for a person
// does.
#pragma once

#include "workflows/steps.h"

namespace deploy {
struct DeploymentRequest;
}
namespace platform {
struct Deployment;
}

namespace workflows {

class DeployRolloutStep final : public platform::Step {
 public:
  explicit DeployRolloutStep(StepServices& services) : services_(services) {}
  platform::StepOutcome execute(platform::StepContext& context) override;

 private:
  /// What became of the rollout; nullopt = it goes on.
  std::optional<platform::StepOutcome> look(platform::StepContext& context,
                                            const platform::Deployment& deployment) const;

  StepServices& services_;
};

/// What the options ask for: model and version ("tool-failure/3"), selector, waves, soak, threshold. Throws
/// kInvalidInput.
deploy::DeploymentRequest rollout_request(const platform::json::object& with, std::string& version);

}  // namespace workflows
