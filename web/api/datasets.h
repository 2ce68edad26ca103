// The REST resource `datasets`: the immutable versions that snapshots made, with schema, statistics, pre-flight report
// and lineage, and their examples for download. Handlers are thread-safe as the stores are.
#pragma once

#include "platform/http/router.h"
#include "platform/store/blob_store.h"
#include "platform/store/dataset_store.h"

namespace web {

/// What the routes use; all outlive the table.
struct DatasetServices {
  platform::DatasetStore& datasets;
  platform::BlobStore& blobs;
};

void add_dataset_routes(platform::RouteTable& table, DatasetServices services);

}  // namespace web
