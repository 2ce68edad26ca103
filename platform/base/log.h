// Structured log: one JSON object a line on standard error (or a file), e.g.
//   {"time":"2026-03-01T08:15:30Z","level":"info","message":"step finished","run":"0190...","step":"tune"}
// A Log is cheap to copy and carries the fields of its context: `log.with({{"run", id}})`. Thread-safe: lines never
// mix. Secrets are the caller's duty: pass names of tokens, never tokens.
#pragma once

#include <cstdio>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "platform/base/json.h"

namespace platform {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

class Log {
 public:
  /// Writes to `stream`, which must outlive every copy.
  explicit Log(std::FILE* stream = stderr, LogLevel least = LogLevel::kInfo);
  /// A log that writes nowhere; for tests.
  static Log silent();

  /// This log with more fields on each line.
  Log with(json::object fields) const;
  void debug(std::string_view message, json::object fields = {}) const {
    write(LogLevel::kDebug, message, std::move(fields));
  }
  void info(std::string_view message, json::object fields = {}) const {
    write(LogLevel::kInfo, message, std::move(fields));
  }
  void warning(std::string_view message, json::object fields = {}) const {
    write(LogLevel::kWarning, message, std::move(fields));
  }
  void error(std::string_view message, json::object fields = {}) const {
    write(LogLevel::kError, message, std::move(fields));
  }
  void write(LogLevel level, std::string_view message, json::object fields) const;

 private:
  struct Sink;
  std::shared_ptr<Sink> sink_;  // shared: every copy of a log writes to the one stream
  json::object context_;
};

}  // namespace platform
