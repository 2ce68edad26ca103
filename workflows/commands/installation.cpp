#include "workflows/commands/installation.h"

#include "deploy/model_release.h"

namespace workflows {

Installation::Installation(const platform::DataFolder& folder, const std::string& connection,
                           const connectors::FileAccess& files, int threads, platform::Log log)
    : data(folder),
      database({.connection = connection}, log),
      blobs(data.blobs()),
      sources(database),
      records(database, log),
      datasets(database),
      runs(database),
      models(database),
      registry(models, datasets),
      deployment_store(database),
      deployments(deployment_store, blobs, deploy::SigningKeys::open(data.keys()), clock, log,
                  deploy::move_production(registry, log)),
      steps{data, blobs, &records, &datasets, &registry, &deployments, &deployment_store, files.rule(), threads} {}

}  // namespace workflows
