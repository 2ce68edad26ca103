// RunStore: workflows, runs, steps, the journal, curves and logs. SQL of these tables lives here only. Thread-safe:
// every call takes a connection of its own. Whatever changes a run goes through change() or change_next(): they lock
// the run, let the caller alter a copy, and write the new states and the journal lines in one transaction.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "platform/model/run.h"

namespace platform {

class Database;

struct SavedWorkflow {
  std::string project = "default";
  std::string name;
  std::string content_hash;
  std::string text;
  std::string saved_by;
  Time saved_at{};
};

/// A journal line to be written.
struct NewEvent {
  std::string step;  // empty: about the run
  std::string what;
  json::object data = {};
};

/// Alters the run it is given and says what happened. What it throws rolls everything back and reaches the caller.
using RunChange = std::function<std::vector<NewEvent>(Run& run)>;
using NextStepChange = std::function<std::vector<NewEvent>(Run& run, const std::string& step)>;

class RunStore {
 public:
  explicit RunStore(Database& database) : database_(database) {}

  /// Keeps the text under name and content hash; the same text again changes only when it was saved last.
  void save_workflow(const SavedWorkflow& workflow);
  /// The text saved last, or the one with `content_hash`, which a removal leaves.
  std::optional<SavedWorkflow> find_workflow(const std::string& project, const std::string& name,
                                             const std::string& content_hash = {});
  /// The newest text of every name, by name.
  std::vector<SavedWorkflow> workflows(const std::string& project);
  /// The name stands for nothing any more until a text is saved under it; the texts stay, since runs were started from
  /// them. Returns false if it stood for nothing.
  bool remove_workflow(const std::string& project, const std::string& name);

  void create(const Run& run, const std::vector<NewEvent>& events);
  std::optional<Run> find(const RunId& id);
  /// Newest first, those before `before` (empty = from the newest), at most `limit`; of their steps those that wait.
  std::vector<Run> list(const std::string& project, const std::string& before, std::int64_t limit);

  /// Throws kNotFound. Returns the run as written.
  Run change(const RunId& id, const RunChange& change);
  /// Picks one step of `kinds` that may be leased: ready and due, or running under a lease that has ended. Steps of
  /// runs that somebody else is changing are passed over. nullopt if there is none.
  std::optional<std::pair<Run, std::string>> change_next(const std::vector<std::string>& kinds,
                                                         const NextStepChange& change);
  /// Extends the lease and keeps `progress` (null = as it was). A `position` above all earlier ones of the step (its
  /// metrics'; -1 = none) ends the count of lost leases. The run's state, or nullopt if the lease is lost.
  std::optional<RunState> heartbeat(const RunId& id, const std::string& step, std::int64_t fence,
                                    std::chrono::milliseconds lease, const json::value& progress,
                                    std::int64_t position);

  void add_metrics(const RunId& id, const std::vector<RunMetric>& metrics);
  /// By step, name and position; those of `step` only unless it is empty.
  std::vector<RunMetric> metrics(const RunId& id, const std::string& step = {});
  void add_log(const RunId& id, const std::string& step, std::int64_t attempt, const std::vector<std::string>& lines);
  /// The last `limit` lines after line `after`, oldest first; of all steps if `step` is empty.
  std::vector<StepLogLine> log(const RunId& id, const std::string& step, std::int64_t after, std::int64_t limit);
  /// Journal lines with an id above `after`, oldest first, at most `limit`.
  std::vector<RunEvent> events(const RunId& id, std::int64_t after, std::int64_t limit);

 private:
  Database& database_;
};

}  // namespace platform
