#include "platform/base/log.h"

#include <array>
#include <mutex>

#include "platform/base/clock.h"

namespace platform {

struct Log::Sink {
  std::FILE* stream = nullptr;
  LogLevel least = LogLevel::kInfo;
  std::mutex mutex;
};

Log::Log(std::FILE* stream, LogLevel least) : sink_(std::make_shared<Sink>()) {
  sink_->stream = stream;
  sink_->least = least;
}

Log Log::silent() { return Log(nullptr); }

Log Log::with(json::object fields) const {
  Log copy = *this;
  for (auto& pair : fields) copy.context_[pair.key()] = pair.value();
  return copy;
}

void Log::write(LogLevel level, std::string_view message, json::object fields) const {
  if (sink_->stream == nullptr || level < sink_->least) return;
  static constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warning", "error"};
  json::object line;
  line["time"] = format_time(SystemClock().now());
  line["level"] = kNames[static_cast<std::size_t>(level)];
  line["message"] = message;
  for (const auto& pair : context_) line[pair.key()] = pair.value();
  for (const auto& pair : fields) line[pair.key()] = pair.value();
  const std::string text = json::serialize(line) + "\n";
  const std::lock_guard lock(sink_->mutex);
  std::fwrite(text.data(), 1, text.size(), sink_->stream);
  std::fflush(sink_->stream);
}

}  // namespace platform
