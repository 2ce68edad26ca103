// Deployments on the server: makes a signed bundle of a model version and drives its rollout. The decisions are in
// rollout.h, the rows in platform/store/deployment_store.h; this class joins them with keys and blobs. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "deploy/bundle.h"
#include "deploy/trust.h"
#include "platform/base/clock.h"
#include "platform/base/log.h"
#include "platform/model/deployment.h"

namespace platform {
class BlobStore;
class DeploymentStore;
struct NewDeployment;
}  // namespace platform

namespace deploy {

struct DeploymentRequest {
  std::string project = "default";
  std::string model;
  std::string model_version;
  std::string adapter;                // digest of the adapter's folder in the blob store (BlobStore::put_folder)
  std::filesystem::path base_folder;  // Hugging Face layout; its files are put into the blob store
  std::string selector = "*";
  std::vector<double> waves{0.1, 1.0};
  std::chrono::seconds soak{600};
  double failure_threshold = 0;
  bool automatic_rollback = true;
  std::string created_by;
  std::optional<platform::DeploymentId> undoes;
  std::optional<platform::DeploymentId>
      id;  // chosen by a caller that may ask twice: the second time finds what the first one made

  /// Throws kInvalidInput: selector, waves (rising, in (0, 1], the last one 1), soak, threshold in [0, 1).
  void validate() const;
};

/// Called when a deployment that moves production has its last wave through, once, or again after a crash: the place to
/// move the alias `production`. What it gives back becomes the finished deployment's reason: what could not be done;
/// empty = nothing.
using OnFinished = std::function<std::string(const platform::Deployment&)>;

class Deployments {
 public:
  Deployments(platform::DeploymentStore& store, platform::BlobStore& blobs, SigningKeys keys,
              const platform::Clock& clock, platform::Log log, OnFinished on_finished = {});

  /// Signs the bundle, stores the deployment for every registered agent that matches, and makes the first offers.
  platform::Deployment create(const DeploymentRequest& request);
  /// Applies rollout.h to one deployment until there is nothing to do; safe to repeat at any time.
  void advance(const platform::DeploymentId& id);
  /// advance for every deployment that is not settled. One that fails does not hold up the others; the last failure is
  /// thrown at the end.
  void advance_all();
  /// Throws kConflict if the deployment is not in a state that allows it.
  void pause(const platform::Deployment& deployment, const std::string& actor, const std::string& reason);
  void resume(const platform::Deployment& deployment, const std::string& actor);
  /// Stops offering and brings back to each agent what it had before, by a new bundle with a higher number for each
  /// version that some of them had; agents without one get the newest of those. All or nothing. Returns the newest of
  /// the new deployments, or nullopt where no agent had a version before.
  std::optional<platform::Deployment> roll_back(const platform::Deployment& deployment, const std::string& actor,
                                                const std::string& reason);
  /// What an agent reported about its update; applies it and advances.
  void report(const platform::Deployment& deployment, const std::string& agent, const std::string& key,
              const std::string& state, const std::string& execution, const std::string& finished,
              const std::string& code, const std::string& detail);
  /// A registered agent: adds it to the newest running or finished deployment that selects it, in the last wave, unless
  /// it has had a newer one (after its labels changed: then it waits for the next deployment).
  void agent_appeared(const platform::Agent& agent);
  /// What a registered agent says that it answers with (its adapter; empty = nothing). A version that it has lost
  /// (DeploymentStore::lost_by) is offered to it again.
  void agent_answers_with(const platform::Agent& agent);

  /// The documents for an agent or a courier file; the timestamp is fresh and valid for `valid`.
  BundleMetadata metadata(const platform::Deployment& deployment, std::chrono::seconds valid);
  /// Writes the bundle as one file.
  void export_bundle(const platform::Deployment& deployment, std::chrono::seconds valid,
                     const std::filesystem::path& file);
  const SigningKeys& keys() const { return keys_; }

 private:
  void store_deployment(const platform::Deployment& deployment);
  std::vector<platform::NewDeployment> ways_back(const platform::Deployment& deployment, const std::string& actor);
  platform::Deployment way_back(const platform::Deployment& deployment, const platform::Deployment& earlier,
                                const std::string& actor);
  void finish(const platform::Deployment& deployment);
  void go_back(const platform::Deployment& deployment, const std::string& reason);
  bool join(const platform::Deployment& deployment, const platform::Agent& agent);

  platform::DeploymentStore& store_;
  platform::BlobStore& blobs_;
  SigningKeys keys_;
  const platform::Clock& clock_;
  platform::Log log_;
  OnFinished on_finished_;
};

}  // namespace deploy
