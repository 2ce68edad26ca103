// Supervisor: reads the configured sources on threads of its own inside the server, one a running source; hands batches
// to the store, which saves records, gaps and cursor in one transaction; waits with growing, jittered pauses while a
// source is away. Gaps are what connectors report: a source that kept its records while it was away has none. A source
// is called by SourceConfig::id here and in the sink. Thread-safe. The destructor stops every source.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "connectors/connector.h"
#include "platform/base/log.h"

namespace connectors {

/// Where batches go. Called on the sources' threads.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  /// The cursor that was saved last; null for a new source.
  virtual platform::json::value cursor(const std::string& source) = 0;
  /// Stores records, gaps and the cursor at once. When it returns they are durable; when it throws nothing of them is.
  virtual void store(const std::string& source, const RecordBatch& batch) = 0;
};

struct SourceStatus {
  std::string name;
  std::string state;         // running, waiting (the source is away), stopped
  std::int64_t records = 0;  // given to the store since start
  std::int64_t rejected = 0;
  std::int64_t gaps = 0;
  std::int64_t failures = 0;     // in a row, with nothing stored between them
  std::string last_error;        // of the last failure or rejected record; empty if there was none
  platform::Time last_record{};  // when the last batch with records was stored
};
platform::json::value to_json(const SourceStatus& status);

struct SupervisorOptions {
  std::chrono::milliseconds first_pause{1000};  // after a failure; doubles with each further one
  std::chrono::milliseconds longest_pause{60000};
  SecretReader secrets = secret_from_environment;
};

class Supervisor {
 public:
  Supervisor(RecordSink& sink, platform::Log log, SupervisorOptions options = {});
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Starts reading; a source that runs already is started anew with this configuration. Throws kInvalidInput for bad
  /// settings. Starts and stops of one source that come together take turns.
  void start(const SourceConfig& config);
  /// With any connector; for tests and embedding.
  void start(const SourceConfig& config, std::unique_ptr<Connector> connector);
  /// Waits for the batch under way. Safe for a source that does not run.
  void stop(const std::string& source);
  void stop_all();
  /// nullopt for a source that was never started.
  std::optional<SourceStatus> status(const std::string& source) const;
  std::vector<SourceStatus> statuses() const;

 private:
  struct Reader;
  struct Slot;
  Slot& slot_of(const std::string& source);
  void halt(Slot& slot);
  void run(Reader& reader);
  void read_once(Reader& reader);
  void note_failure(Reader& reader, const std::exception& error);
  bool pause(Reader& reader, std::chrono::milliseconds length);

  RecordSink& sink_;
  platform::Log log_;
  SupervisorOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Slot>> slots_;  // of every source that was ever started; none is taken out
};

}  // namespace connectors
