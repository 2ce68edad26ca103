#include "deploy/agent/outbox.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <optional>
#include <utility>

#include "platform/base/error.h"

namespace deploy {
namespace {

namespace fs = std::filesystem;
namespace json = platform::json;

// A delivered file of this size makes way for a new one.
constexpr std::uint64_t kFreshFileBytes = std::uint64_t{4} << 20;
constexpr std::uint64_t kSetAsideBytes = std::uint64_t{16} << 20;
constexpr std::chrono::seconds kSyncEvery{1};

std::string line_of(const OutboxEntry& entry) {
  return platform::canonical_json(json::object{{"key", entry.key}, {"kind", entry.kind}, {"body", entry.body}}) + "\n";
}

std::optional<OutboxEntry> entry_of(const std::string& line) {
  try {
    const json::value document = platform::parse_json(line, "outbox");
    const json::object& object = platform::as_object(document, "outbox");
    const json::value* body = object.if_contains("body");  // may be null
    return OutboxEntry{platform::require_string(object, "key", "outbox"),
                       platform::require_string(object, "kind", "outbox"), body == nullptr ? json::value() : *body};
  } catch (const platform::Error&) {
    return std::nullopt;  // a damaged disk must not hold up what comes after
  }
}

std::uint64_t room_for(const std::string& kind, std::uint64_t limit_bytes) {
  if (kind == "prediction") return limit_bytes / 8 * 7;
  return kind == "feedback" ? limit_bytes / 16 * 15 : limit_bytes;
}

// Bytes up to and with the last newline.
std::uint64_t whole_lines(const fs::path& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  auto at = static_cast<std::streamoff>(in.tellg());
  for (char byte = 0; at > 0; --at) {
    in.seekg(at - 1);
    if (in.get(byte) && byte == '\n') break;
  }
  return static_cast<std::uint64_t>(at);
}

}  // namespace

Outbox::Outbox(fs::path folder, std::uint64_t limit_bytes) : folder_(std::move(folder)), limit_bytes_(limit_bytes) {
  fs::create_directories(folder_);
  if (fs::exists(folder_ / "cursor.json")) {
    const json::value cursor = platform::read_json_file(folder_ / "cursor.json");
    number_ = platform::require_int(cursor.as_object(), "file", "cursor.json");
    offset_ = static_cast<std::uint64_t>(platform::require_int(cursor.as_object(), "offset", "cursor.json"));
  }
  open_newest();
  syncer_ = std::thread([this] { keep_synced(); });
}

Outbox::~Outbox() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  syncer_.join();
}

// What was written is synced a moment later; many appends share one sync.
void Outbox::keep_synced() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    wake_.wait(lock, [this] { return closing_ || dirty_; });
    wake_.wait_for(lock, kSyncEvery, [this] { return closing_; });
    try {
      sync_locked();
    } catch (const platform::Error&) {
      // still dirty: tried again in a second, and told by whoever asks for a sync
    }
  }
}

fs::path Outbox::file(std::int64_t number) const { return folder_ / ("outbox-" + std::to_string(number) + ".jsonl"); }

void Outbox::open_newest() {
  const fs::path path = file(number_);
  out_ = platform::FileDescriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!out_) platform::throw_errno("writing " + path.string(), errno);
  size_ = whole_lines(path);
  if (::ftruncate(out_.get(), static_cast<off_t>(size_)) != 0) platform::throw_errno("writing " + path.string(), errno);
  if (offset_ > size_) offset_ = size_;  // lines that were delivered but lost by a power cut
  platform::sync_folder(folder_);
}

void Outbox::append(const OutboxEntry& entry, Durability durability) {
  const std::string line = line_of(entry);
  const std::lock_guard lock(mutex_);
  if (size_ - offset_ + line.size() > room_for(entry.kind, limit_bytes_))
    throw platform::Error(platform::ErrorCode::kDiskFull, "the queue for the server is full: " + folder_.string() +
                                                              "; reach the server or raise the limit");
  try {
    platform::write_all(out_.get(), line, file(number_));
  } catch (...) {
    // A half line would spoil the next one.
    if (::ftruncate(out_.get(), static_cast<off_t>(size_)) != 0) size_ = whole_lines(file(number_));
    throw;
  }
  size_ += line.size();
  dirty_ = true;
  if (durability == Durability::kSynced) return sync_locked();
  wake_.notify_one();
}

void Outbox::sync() {
  const std::lock_guard lock(mutex_);
  sync_locked();
}

void Outbox::sync_locked() {
  if (!dirty_) return;
  if (::fdatasync(out_.get()) != 0) platform::throw_errno("syncing " + file(number_).string(), errno);
  dirty_ = false;
}

std::size_t Outbox::deliver(std::size_t most, std::uint64_t most_bytes,
                            const std::function<void(const std::vector<OutboxEntry>&)>& deliver) {
  std::vector<OutboxEntry> entries;
  std::uint64_t begin = 0, size = 0;
  {
    const std::lock_guard lock(mutex_);
    begin = offset_;
    size = size_;
  }
  std::ifstream in(file(number_), std::ios::binary);
  in.seekg(static_cast<std::streamoff>(begin));
  std::string line;
  std::size_t lines = 0;
  std::uint64_t end = begin;
  while (lines < most && end < size && std::getline(in, line)) {
    if (lines > 0 && end - begin + line.size() > most_bytes) break;
    end += line.size() + 1;
    ++lines;
    if (auto entry = entry_of(line)) entries.push_back(*std::move(entry));
  }
  if (lines == 0) return 0;
  if (!entries.empty()) deliver(entries);
  const std::lock_guard lock(mutex_);
  offset_ = end;  // before the cursor's file: where the disk is full, nothing is sent again and again
  save_cursor(number_, offset_);
  drop_if_delivered();
  return lines;
}

void Outbox::set_aside(const OutboxEntry& entry) {
  const fs::path path = folder_ / "refused.jsonl";
  const std::string line = line_of(entry);
  std::error_code absent;
  const std::uint64_t used = fs::exists(path) ? fs::file_size(path, absent) : 0;
  if (used + line.size() > kSetAsideBytes) return;
  const platform::FileDescriptor out(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!out) platform::throw_errno("writing " + path.string(), errno);
  platform::write_all(out.get(), line, path);
  if (::fdatasync(out.get()) != 0) platform::throw_errno("syncing " + path.string(), errno);
}

void Outbox::save_cursor(std::int64_t number, std::uint64_t offset) {
  platform::write_json_file(folder_ / "cursor.json", json::object{{"file", number}, {"offset", offset}});
}

void Outbox::drop_if_delivered() {
  if (offset_ < size_ || size_ < kFreshFileBytes) return;
  const fs::path old = file(number_);
  save_cursor(number_ + 1, 0);  // from here on the new file counts, whether it exists yet or not
  ++number_;
  offset_ = 0;
  open_newest();
  fs::remove(old);
}

std::uint64_t Outbox::backlog_bytes() const {
  const std::lock_guard lock(mutex_);
  return size_ - offset_;
}

}  // namespace deploy
