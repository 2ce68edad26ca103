// The REST resource `sources`: create, list, show, delete, check, discover, start, stop, gaps, and the door for
// records. Also what joins the connectors' supervisor to the store. Handlers are thread-safe as the stores are.
#pragma once

#include <string>

#include "connectors/file_access.h"
#include "connectors/supervisor.h"
#include "platform/base/data_folder.h"
#include "platform/http/router.h"
#include "platform/store/record_store.h"
#include "platform/store/source_store.h"

namespace web {

/// Stores what the supervisor reads: records, gaps and cursor in one transaction. The supervisor knows one name a
/// source, "PROJECT/NAME", see source_id.
class StoreSink final : public connectors::RecordSink {
 public:
  explicit StoreSink(platform::RecordStore& records) : records_(records) {}
  platform::json::value cursor(const std::string& source) override;
  void store(const std::string& source, const connectors::RecordBatch& batch) override;

 private:
  platform::RecordStore& records_;
};

/// The supervisor's name of a source: SourceConfig::id.
std::string source_id(const platform::Source& source);

/// What the routes use; all outlive the table.
struct SourceServices {
  platform::SourceStore& sources;
  platform::RecordStore& records;
  connectors::Supervisor& supervisor;
  const platform::DataFolder& data;
  const connectors::FileAccess& files;
};

/// What a connector needs to know of a stored source; its profile is looked up in the data folder and the shipped ones.
/// A polled source's `schedule` is the time between two readings. Throws kInvalidInput if it is none.
/// Throws kForbidden if the source would read a file that the server may not read for people.
connectors::SourceConfig source_config(const platform::Source& source, const SourceServices& services);

void add_source_routes(platform::RouteTable& table, SourceServices services);
/// Starts every source that an operator left running; for the server's start. Sources that cannot start are logged.
void start_running_sources(SourceServices services, const std::string& project, const platform::Log& log);

}  // namespace web
