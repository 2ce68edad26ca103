// Outbox: what the server must hear, in order, kept on disk until it has heard it. Lines of JSON in
// FOLDER/outbox-N.jsonl and a cursor file; an entry that was handed to `deliver` twice carries the same key, so the
// receiver keeps it once. Thread-safe: many append, one delivers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "platform/base/file.h"
#include "platform/base/json.h"

namespace deploy {

struct OutboxEntry {
  std::string key;   // unique for ever
  std::string kind;  // "prediction", "feedback", "report"
  platform::json::value body;
};

enum class Durability {
  kSynced,   // on disk when append returns: survives a power cut
  kWritten,  // survives the end of the process; synced within a second by `sync`
};

class Outbox {
 public:
  /// Opens or makes the queue; a line that a power cut left half is cut off.
  explicit Outbox(std::filesystem::path folder, std::uint64_t limit_bytes = std::uint64_t{1} << 30);

  /// Throws kDiskFull when the queue holds limit_bytes.
  void append(const OutboxEntry& entry, Durability durability);
  void sync();
  /// Hands the oldest entries (at most `most`) to `deliver`; they count as delivered when it returns and stay when it
  /// throws. Returns how many there were.
  std::size_t deliver(std::size_t most, const std::function<void(const std::vector<OutboxEntry>&)>& deliver);
  /// Bytes that wait.
  std::uint64_t backlog_bytes() const;

 private:
  std::filesystem::path file(std::int64_t number) const;
  void open_newest();
  void save_cursor(std::int64_t number, std::uint64_t offset);
  void drop_if_delivered();

  std::filesystem::path folder_;
  std::uint64_t limit_bytes_;
  mutable std::mutex mutex_;
  platform::FileDescriptor out_;
  std::int64_t number_ = 1;   // of the file that is appended to; only one file is live
  std::uint64_t size_ = 0;    // of that file
  std::uint64_t offset_ = 0;  // delivered up to here
  bool dirty_ = false;
};

}  // namespace deploy
