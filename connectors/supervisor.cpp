#include "connectors/supervisor.h"

#include <algorithm>
#include <random>

#include "connectors/registry.h"

namespace connectors {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

struct Supervisor::Reader {
  SourceConfig config;
  std::unique_ptr<Connector> connector;
  SourceStatus status;                       // under mutex_
  bool stopping = false;                     // under mutex_
  std::optional<platform::Time> away_since;  // the reader's thread only
  std::condition_variable wake;
  std::thread thread;
};

// One source's place. `reader` changes only under `turn` and mutex_ together, so either is enough to read it.
struct Supervisor::Slot {
  std::mutex turn;  // starts and stops, one after the other; taken before mutex_
  std::unique_ptr<Reader> reader;
};

json::value to_json(const SourceStatus& status) {
  json::object out{{"name", status.name},         {"state", status.state}, {"records", status.records},
                   {"rejected", status.rejected}, {"gaps", status.gaps},   {"failures", status.failures}};
  if (!status.last_error.empty()) out["last_error"] = status.last_error;
  if (status.last_record != platform::Time{}) out["last_record"] = platform::format_time(status.last_record);
  return out;
}

namespace {

platform::Time now() { return platform::SystemClock().now(); }

std::chrono::milliseconds jittered(std::chrono::milliseconds length) {
  // Only spreads the tries of many sources; nothing that is stored depends on it.
  static thread_local std::minstd_rand random{std::random_device{}()};
  return length / 2 + std::chrono::milliseconds(random() % static_cast<unsigned long>(length.count() / 2 + 1));
}

}  // namespace

Supervisor::Supervisor(RecordSink& sink, platform::Log log, SupervisorOptions options)
    : sink_(sink), log_(std::move(log)), options_(std::move(options)) {}

Supervisor::~Supervisor() { stop_all(); }

void Supervisor::start(const SourceConfig& config) { start(config, make_connector(config, options_.secrets)); }

Supervisor::Slot& Supervisor::slot_of(const std::string& source) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Slot>& slot = slots_[source];
  if (!slot) slot = std::make_unique<Slot>();
  return *slot;
}

void Supervisor::start(const SourceConfig& config, std::unique_ptr<Connector> connector) {
  auto reader = std::make_unique<Reader>();
  reader->config = config;
  if (reader->config.id.empty()) reader->config.id = config.name;
  reader->connector = std::move(connector);
  reader->status.name = config.name;
  reader->status.state = "running";
  Slot& slot = slot_of(reader->config.id);
  const std::lock_guard turn(slot.turn);
  halt(slot);
  Reader& placed = *reader;
  {
    const std::lock_guard lock(mutex_);
    std::swap(slot.reader, reader);  // the one before ends outside the lock
  }
  placed.thread = std::thread([this, &placed] { run(placed); });
}

void Supervisor::stop(const std::string& source) {
  Slot* slot = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = slots_.find(source);
    if (found == slots_.end()) return;
    slot = found->second.get();
  }
  const std::lock_guard turn(slot->turn);
  halt(*slot);
}

// The caller has the slot's turn.
void Supervisor::halt(Slot& slot) {
  if (!slot.reader) return;
  {
    const std::lock_guard lock(mutex_);
    slot.reader->stopping = true;
    slot.reader->wake.notify_all();
  }
  if (slot.reader->thread.joinable()) slot.reader->thread.join();
  const std::lock_guard lock(mutex_);
  slot.reader->status.state = "stopped";
}

void Supervisor::stop_all() {
  std::vector<std::string> sources;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [source, slot] : slots_) {
      sources.push_back(source);
      if (!slot->reader) continue;
      slot->reader->stopping = true;  // all at once, so that their last batches run side by side
      slot->reader->wake.notify_all();
    }
  }
  for (const std::string& source : sources) stop(source);
}

std::optional<SourceStatus> Supervisor::status(const std::string& source) const {
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(source);
  if (found == slots_.end() || !found->second->reader) return std::nullopt;
  return found->second->reader->status;
}

std::vector<SourceStatus> Supervisor::statuses() const {
  const std::lock_guard lock(mutex_);
  std::vector<SourceStatus> all;
  for (const auto& [source, slot] : slots_) {
    if (slot->reader) all.push_back(slot->reader->status);
  }
  return all;
}

bool Supervisor::pause(Reader& reader, std::chrono::milliseconds length) {
  std::unique_lock lock(mutex_);
  reader.wake.wait_for(lock, length, [&] { return reader.stopping; });
  return !reader.stopping;
}

void Supervisor::run(Reader& reader) {
  std::chrono::milliseconds wait{0};
  do {
    try {  // this thread's end of the world: a source that fails is tried again, whatever the reason
      read_once(reader);
      wait = reader.config.interval;
    } catch (const std::exception& error) {
      note_failure(reader, error);
      std::int64_t failures = 0;
      {
        const std::lock_guard lock(mutex_);
        failures = reader.status.failures;
      }
      wait = jittered(std::min(options_.longest_pause,
                               options_.first_pause * (std::int64_t{1} << std::min<std::int64_t>(failures - 1, 10))));
    }
  } while (pause(reader, wait));
}

void Supervisor::read_once(Reader& reader) {
  const std::string& name = reader.config.id;
  reader.connector->read(sink_.cursor(name), [&](RecordBatch&& batch) {
    sink_.store(name, batch);
    const std::lock_guard lock(mutex_);
    SourceStatus& status = reader.status;
    status.failures = 0;  // what is not well with one file of a folder must not slow down the others
    status.records += static_cast<std::int64_t>(batch.records.size());
    status.rejected += static_cast<std::int64_t>(batch.errors.size());
    status.gaps += static_cast<std::int64_t>(batch.gaps.size());
    if (!batch.errors.empty()) status.last_error = batch.errors.back().message;
    for (const Gap& gap : batch.gaps)
      log_.warning("data of a source is lost", {{"source", name}, {"reason", gap.reason}});
    if (!batch.records.empty()) status.last_record = now();
    return !reader.stopping;
  });
  // The source is asked for what it kept while it was away, so an outage alone loses nothing: no gap is written here.
  if (reader.away_since)
    log_.info("the source is back", {{"source", name}, {"away_since", platform::format_time(*reader.away_since)}});
  reader.away_since.reset();
  const std::lock_guard lock(mutex_);
  reader.status.failures = 0;
  reader.status.state = "running";
}

void Supervisor::note_failure(Reader& reader, const std::exception& error) {
  if (!reader.away_since) {
    reader.away_since = now();
    log_.warning("a source cannot be read; it is tried again",
                 {{"source", reader.config.id}, {"error", platform::in_full(error)}});
  }
  const std::lock_guard lock(mutex_);
  reader.status.state = "waiting";
  reader.status.last_error = error.what();
  ++reader.status.failures;
}

}  // namespace connectors
