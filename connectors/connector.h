// Connector: code that speaks one protocol. A configured one is a source. Reading goes on after a cursor that the
// caller keeps: the caller saves the cursor together with the records of the same batch, so that whatever is killed in
// between is read again (records carry keys) and nothing is passed over. What a connector knows to be lost it reports
// as a gap. One connector object belongs to one thread. Every implementation passes
// tests/connectors/connector_contract_test.cpp.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "connectors/record_parser.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/dataset/observation.h"
#include "platform/dataset/profile.h"

namespace connectors {

/// An interval in which the source is known to have lost data.
struct Gap {
  platform::Time from{};
  platform::Time to{};
  std::string reason;
};

struct RecordBatch {
  std::vector<platform::Observation> records;
  std::vector<RecordError> errors;
  std::vector<Gap> gaps;
  platform::json::value cursor;  // where to go on once this batch is stored
};

/// Takes a batch; false = stop reading after it. Throws what storing throws; read() then lets it pass.
using BatchSink = std::function<bool(RecordBatch&&)>;

struct CheckResult {
  bool ok = false;
  std::string message;  // what was tried and, if it failed, what to do next
};

/// What can be read: a file, an endpoint, with the fields seen in its first records.
struct Stream {
  std::string name;
  std::vector<std::string> fields;
};

class Connector {
 public:
  virtual ~Connector() = default;
  /// Tries the source without taking anything. Does not throw for a source that is away or misconfigured.
  virtual CheckResult check() = 0;
  /// The same answer for the same source. Throws kUnavailable if it is away.
  virtual std::vector<Stream> discover() = 0;
  /// Gives batches from after `cursor` (null = from the beginning) until there is nothing more for now. Throws
  /// kUnavailable if the source is away: what was given out before stays valid.
  virtual void read(const platform::json::value& cursor, const BatchSink& sink) = 0;
};

/// The value of a named secret. Throws kNotFound.
using SecretReader = std::function<std::string(const std::string& name)>;
/// Reads the environment variable ANNEAL_SECRET_<NAME>, upper case, '-' as '_'.
std::string secret_from_environment(const std::string& name);

/// Whether the file or folder at `real`, a path without links, may be read; empty = every one.
using FileRule = std::function<bool(const std::filesystem::path& real)>;

struct SourceConfig {
  std::string id;    // what the supervisor and its sink call the source, as two projects may use one name; empty = name
  std::string name;  // as people call it: in records, key templates and messages
  std::string connector;  // a name of the registry
  platform::json::object settings;
  platform::Profile profile;                 // key template and default input; may be empty
  std::chrono::milliseconds interval{5000};  // between two readings
  FileRule file_allowed;                     // asked at every reading of a file, where its links lead by then
};

/// The profile's input with the source's `settings.input` on top.
InputFormat input_of(const SourceConfig& config);

}  // namespace connectors
