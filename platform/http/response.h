// What a handler answers: a status, headers and either bytes, a file or a stream of events. Value type.
// Handlers throw platform::Error for failures; the server turns it into application/problem+json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "platform/base/error.h"
#include "platform/base/json.h"
#include "platform/http/request.h"

namespace platform {

/// Where a producer writes. Every function returns false once the client is gone or the server stops: the producer then
/// returns. Writes block while the client is slow.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual bool write(std::string_view bytes) = 0;
  /// True while somebody listens; for producers that wait between events.
  virtual bool open() const = 0;

  /// One server-sent event. `data` may hold newlines. Empty `event` and `id` are left out.
  bool send(std::string_view event, std::string_view data, std::string_view id = {});
  /// A comment line, so that proxies and dead clients are noticed.
  bool keep_alive();
};

/// Bytes of a file, sent without reading it whole. The server answers Range and If-None-Match itself.
struct FileBody {
  std::filesystem::path path;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;  // absent = to the end
};

/// Runs on a thread of its own until it returns; the connection closes after it.
struct StreamBody {
  std::function<void(EventSink&)> produce;
};

struct Response {
  int status = 200;
  Headers headers;
  std::variant<std::string, FileBody, StreamBody> body = std::string();
};

Response json_response(const json::value& value, int status = 200);
Response text_response(std::string text, std::string content_type = "text/plain; charset=utf-8", int status = 200);
/// 204 without a body.
Response empty_response();
/// `etag` (without quotes) makes the answer cachable and Range resumable; for an artifact it is the digest.
Response file_response(std::filesystem::path path, std::string content_type, std::string etag = {});
/// text/event-stream.
Response event_response(std::function<void(EventSink&)> produce);
/// application/problem+json {type, title, status, detail, code, path, request_id}.
Response problem_response(const Error& error, std::string_view request_id = {});
/// The Error that such an answer stands for: its code if known, else by status. `what` names the call ("GET
/// http://...").
Error error_from(int status, std::string_view body, std::string_view what);

}  // namespace platform
