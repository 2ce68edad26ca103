// The stores of one installation as a worker needs them: the same database and blob folder that its server uses,
// reached directly. Built in one order and taken down in the reverse; members are thread-safe themselves.
#pragma once

#include <string>

#include "connectors/file_access.h"
#include "deploy/deployments.h"
#include "platform/base/clock.h"
#include "platform/base/data_folder.h"
#include "platform/base/log.h"
#include "platform/registry/model_registry.h"
#include "platform/store/blob_store.h"
#include "platform/store/database.h"
#include "platform/store/dataset_store.h"
#include "platform/store/deployment_store.h"
#include "platform/store/model_store.h"
#include "platform/store/record_store.h"
#include "platform/store/run_store.h"
#include "platform/store/source_store.h"
#include "workflows/steps.h"

namespace workflows {

struct Installation {
  /// `connection` names a database that is migrated already. Connects at first use. `files`: what steps may read.
  Installation(const platform::DataFolder& folder, const std::string& connection, const connectors::FileAccess& files,
               int threads, platform::Log log);

  platform::DataFolder data;
  platform::SystemClock clock;
  platform::Database database;
  platform::BlobStore blobs;
  platform::SourceStore sources;
  platform::RecordStore records;
  platform::DatasetStore datasets;
  platform::RunStore runs;
  platform::ModelStore models;
  platform::ModelRegistry registry;
  platform::DeploymentStore deployment_store;
  deploy::Deployments deployments;
  StepServices steps;
};

}  // namespace workflows
