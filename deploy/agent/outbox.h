// Outbox: what the server must hear, in order, kept on disk until it has heard it. Lines of JSON in
// FOLDER/outbox-N.jsonl and a cursor file; an entry that was handed to `deliver` twice carries the same key, so the
// receiver keeps it once. The last part of the room is for reports and feedback, so that many predictions keep neither
// out. Thread-safe: many append, one delivers.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "platform/base/file.h"
#include "platform/base/json.h"

namespace deploy {

struct OutboxEntry {
  std::string key;   // unique for ever
  std::string kind;  // "prediction", "feedback", "report", "notice"
  platform::json::value body;
};

enum class Durability {
  kSynced,   // on disk when append returns: survives a power cut
  kWritten,  // survives the end of the process; synced within about a second
};

class Outbox {
 public:
  /// Opens or makes the queue; a line that a power cut left half is cut off.
  explicit Outbox(std::filesystem::path folder, std::uint64_t limit_bytes = std::uint64_t{1} << 30);
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  /// Throws kDiskFull when the room for this kind is used up: 7/8 of limit_bytes for predictions, 15/16 for feedback,
  /// all of it for what the agent itself has to say.
  void append(const OutboxEntry& entry, Durability durability);
  void sync();
  /// Hands the oldest entries (at most `most`, of together at most `most_bytes`, but one in any case) to `deliver`;
  /// they count as delivered when it returns and stay when it throws. A line that no longer can be read is skipped.
  /// Returns how many lines there were.
  std::size_t deliver(std::size_t most, std::uint64_t most_bytes,
                      const std::function<void(const std::vector<OutboxEntry>&)>& deliver);
  /// Keeps an entry that the server will never take in FOLDER/refused.jsonl, for a person; at most 16 MiB of them.
  void set_aside(const OutboxEntry& entry);
  /// Bytes that wait.
  std::uint64_t backlog_bytes() const;

 private:
  std::filesystem::path file(std::int64_t number) const;
  void open_newest();
  void save_cursor(std::int64_t number, std::uint64_t offset);
  void drop_if_delivered();
  void sync_locked();
  void keep_synced();

  std::filesystem::path folder_;
  std::uint64_t limit_bytes_;
  mutable std::mutex mutex_;
  platform::FileDescriptor out_;
  std::int64_t number_ = 1;   // of the file that is appended to; only one file is live
  std::uint64_t size_ = 0;    // of that file
  std::uint64_t offset_ = 0;  // delivered up to here
  bool dirty_ = false;
  bool closing_ = false;
  std::condition_variable wake_;
  std::thread syncer_;
};

}  // namespace deploy
