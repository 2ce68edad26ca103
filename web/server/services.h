// The composition root: everything the routes need, built in one order and taken down in the reverse. Members are
// thread-safe themselves.
#pragma once

#include <optional>
#include <string>

#include "platform/base/data_folder.h"
#include "platform/base/log.h"
#include "platform/base/metrics.h"
#include "platform/http/server.h"
#include "platform/store/blob_store.h"
#include "platform/store/database.h"
#include "platform/store/private_cluster.h"

namespace web {

inline constexpr std::string_view kVersion = "0.1.0";

struct ServicesOptions {
  platform::DataFolder data;
  std::string database;  // connection string; empty = the private cluster in the data folder
};

class Services {
 public:
  /// Starts the private cluster if no database is given, and applies the migrations. Throws kUnavailable.
  Services(ServicesOptions options, platform::Log log);

  const platform::DataFolder& data() const { return options_.data; }
  platform::Database& database() { return database_; }
  platform::BlobStore& blobs() { return blobs_; }
  platform::Metrics& metrics() { return metrics_; }
  const platform::Log& log() const { return log_; }
  /// The admin token if this call made it (first start), to be printed once.
  const std::optional<std::string>& new_token() const { return new_token_; }

  /// A public route is open; every other one wants the admin token. Throws kUnauthenticated.
  platform::Identity authorize(const platform::Request& request, std::string_view permission) const;

 private:
  void read_or_make_token();

  ServicesOptions options_;
  platform::Log log_;
  platform::Metrics metrics_;
  std::optional<platform::PrivateCluster> cluster_;  // absent if a database was given
  platform::Database database_;
  platform::BlobStore blobs_;
  std::string token_digest_;
  std::optional<std::string> new_token_;
};

}  // namespace web
