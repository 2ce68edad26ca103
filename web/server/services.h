// The composition root: everything the routes need, built in one order and taken down in the reverse. Members are
// thread-safe themselves.
#pragma once

#include <optional>
#include <string>

#include "connectors/file_access.h"
#include "connectors/supervisor.h"
#include "deploy/deployments.h"
#include "platform/base/data_folder.h"
#include "platform/base/log.h"
#include "platform/base/metrics.h"
#include "platform/base/repeating_task.h"
#include "platform/http/server.h"
#include "platform/registry/model_registry.h"
#include "platform/security/authenticator.h"
#include "platform/store/artifact_references.h"
#include "platform/store/audit_store.h"
#include "platform/store/blob_store.h"
#include "platform/store/database.h"
#include "platform/store/dataset_store.h"
#include "platform/store/deployment_store.h"
#include "platform/store/model_store.h"
#include "platform/store/private_cluster.h"
#include "platform/store/project_store.h"
#include "platform/store/record_store.h"
#include "platform/store/run_store.h"
#include "platform/store/source_store.h"
#include "platform/store/token_store.h"
#include "web/api/artifact_access.h"
#include "web/api/sources.h"

namespace web {

inline constexpr std::string_view kVersion = "0.1.0";

struct ServicesOptions {
  platform::DataFolder data;
  std::string database;                           // connection string; empty = the private cluster in the data folder
  std::vector<std::filesystem::path> files_from;  // what people may have the server read; none = the inbox
  // Of the one who started a server for himself: it is an admin, every other token is refused, and no stored source is
  // started. Empty = the tokens of the database.
  std::string only_token = {};
};

class Services {
 public:
  /// Starts the private cluster if no database is given, applies the migrations, starts the sources of every
  /// project that were running (unless there is an only token), and goes on with the rollouts that are under way.
  /// Throws kUnavailable.
  Services(ServicesOptions options, platform::Log log);

  const platform::DataFolder& data() const { return options_.data; }
  const connectors::FileAccess& files() const { return files_; }
  const platform::Log& log() const { return log_; }
  platform::Metrics& metrics() { return metrics_; }
  platform::Database& database() { return database_; }
  platform::BlobStore& blobs() { return blobs_; }
  const ArtifactAccess& artifacts() const { return artifacts_; }
  platform::SourceStore& sources() { return sources_; }
  platform::RecordStore& records() { return records_; }
  platform::DatasetStore& datasets() { return datasets_; }
  platform::RunStore& runs() { return runs_; }
  platform::ModelStore& models() { return models_; }
  platform::ModelRegistry& registry() { return registry_; }
  platform::DeploymentStore& deployment_store() { return deployment_store_; }
  deploy::Deployments& deployments() { return deployments_; }
  platform::AuditStore& audit() { return audit_; }
  platform::Authenticator& authenticator() { return authenticator_; }
  connectors::Supervisor& supervisor() { return supervisor_; }
  /// As this start found or made it.
  const platform::AdminToken& admin_token() const { return admin_token_; }

  /// A public route is open; every other one wants a token whose role allows it, or the only one. Throws
  /// kUnauthenticated or kForbidden.
  platform::Identity authorize(const platform::Request& request, std::string_view permission);

 private:
  platform::Identity only_one(const std::string& token) const;

  ServicesOptions options_;
  connectors::FileAccess files_;
  platform::Log log_;
  platform::SystemClock clock_;
  platform::Metrics metrics_;
  std::optional<platform::PrivateCluster> cluster_;        // absent if a database was given
  std::optional<platform::RepeatingTask> cluster_keeper_;  // the only thread that touches cluster_ while it stands
  platform::Database database_;
  platform::BlobStore blobs_;
  platform::SourceStore sources_;
  platform::RecordStore records_;
  platform::DatasetStore datasets_;
  platform::RunStore runs_;
  platform::ModelStore models_;
  platform::ModelRegistry registry_;
  platform::DeploymentStore deployment_store_;
  deploy::Deployments deployments_;
  platform::ArtifactReferences references_;
  ArtifactAccess artifacts_;
  platform::ProjectStore projects_;
  platform::TokenStore tokens_;
  platform::AuditStore audit_;
  platform::Authenticator authenticator_;
  StoreSink sink_;
  connectors::Supervisor supervisor_;
  platform::AdminToken admin_token_;
  std::optional<platform::RepeatingTask> rollout_keeper_;
};

}  // namespace web
