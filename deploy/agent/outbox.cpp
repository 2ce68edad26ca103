#include "deploy/agent/outbox.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <utility>

#include "platform/base/error.h"

namespace deploy {
namespace {

namespace fs = std::filesystem;
namespace json = platform::json;

constexpr std::uint64_t kFreshFileBytes = std::uint64_t{4}
                                          << 20;  // a delivered file of this size makes way for a new one

std::string line_of(const OutboxEntry& entry) {
  return platform::canonical_json(json::object{{"key", entry.key}, {"kind", entry.kind}, {"body", entry.body}}) + "\n";
}

OutboxEntry entry_of(const std::string& line) {
  const json::value document = platform::parse_json(line, "outbox");
  const json::object& object = platform::as_object(document, "outbox");
  const json::value* body = object.if_contains("body");  // may be null
  return {platform::require_string(object, "key", "outbox"), platform::require_string(object, "kind", "outbox"),
          body == nullptr ? json::value() : *body};
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
  if (size_ - offset_ + line.size() > limit_bytes_)
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
  if (durability == Durability::kWritten) return;
  if (::fdatasync(out_.get()) != 0) platform::throw_errno("syncing " + file(number_).string(), errno);
  dirty_ = false;
}

void Outbox::sync() {
  const std::lock_guard lock(mutex_);
  if (!dirty_) return;
  if (::fdatasync(out_.get()) != 0) platform::throw_errno("syncing " + file(number_).string(), errno);
  dirty_ = false;
}

std::size_t Outbox::deliver(std::size_t most, const std::function<void(const std::vector<OutboxEntry>&)>& deliver) {
  std::vector<OutboxEntry> entries;
  std::uint64_t offset = 0, size = 0;
  {
    const std::lock_guard lock(mutex_);
    offset = offset_;
    size = size_;
  }
  std::ifstream in(file(number_), std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset));
  std::string line;
  while (entries.size() < most && offset < size && std::getline(in, line)) {
    offset += line.size() + 1;
    entries.push_back(entry_of(line));
  }
  if (entries.empty()) return 0;
  deliver(entries);
  const std::lock_guard lock(mutex_);
  save_cursor(number_, offset);
  offset_ = offset;
  drop_if_delivered();
  return entries.size();
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
