// A synchronous HTTP client for the command line, the plant agent and the connectors: one base address, one kept-alive
// connection, deadlines on everything but the look-up of a host's name, which takes as long as the system's resolver
// does. One thread at a time; make one client a thread.
//   HttpClient client("http://127.0.0.1:8470", {.token = token});
//   json::value source = client.get("/api/v1/sources/line-3").checked().json();
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "platform/base/json.h"
#include "platform/http/request.h"

namespace platform {

struct HttpClientOptions {
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds timeout{60'000};  // of one exchange; for downloads: without progress
  std::string token;                          // sent as Authorization: Bearer
  Headers headers;                            // sent with every request
  /// Further tries after a failed connection, and for GET, HEAD, PUT, DELETE and anything with an Idempotency-Key also
  /// after a lost connection or an answer 429, 502, 503, 504.
  int retries = 0;
  std::chrono::milliseconds backoff{200};  // doubles with each try, with jitter; Retry-After wins
  std::chrono::milliseconds backoff_limit{10'000};
  std::uint64_t body_limit_bytes = std::uint64_t{256} << 20;
};

struct HttpResponse {
  int status = 0;
  Headers headers;
  std::string body;
  std::string request;  // "GET http://127.0.0.1:8470/x", for messages

  /// This answer if its status is 2xx; throws the Error that the problem body (or the status) stands for.
  const HttpResponse& checked() const;
  /// The body as JSON. Throws kCorrupt naming the request.
  json::value json() const;
};

struct ServerEvent {
  std::string event;  // "" if the server names none
  std::string data;
  std::string id;
};

class HttpClient {
 public:
  /// `base_url`: http://host[:port][/prefix]. Throws kInvalidInput for anything else, also for a user's name in it;
  /// https is not spoken yet.
  explicit HttpClient(std::string base_url, HttpClientOptions options = {});
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  /// `target`: "/path?query" relative to the base address. All throw kUnavailable naming host and reason when no answer
  /// comes, and kInvalidInput before anything is sent for a blank or control character in the target, a header's name
  /// that is none, and a line break or NUL in its value.
  HttpResponse get(std::string_view target, const Headers& headers = {});
  HttpResponse post(std::string_view target, std::string body, std::string_view content_type = "application/json",
                    const Headers& headers = {});
  HttpResponse put(std::string_view target, std::string body, std::string_view content_type = "application/json",
                   const Headers& headers = {});
  HttpResponse remove(std::string_view target, const Headers& headers = {});
  HttpResponse request(Method method, std::string_view target, std::string body, std::string_view content_type,
                       const Headers& headers);

  /// Appends what is missing of the file at `target` to `partial` (If-Range with the remembered ETag is not needed:
  /// `target` is immutable, artifacts are named by digest) and returns its size when it is complete. Bytes already
  /// there stay when it throws, and the next call goes on after them. A server that ignores Range makes it start over.
  std::uint64_t download(std::string_view target, const std::filesystem::path& partial,
                         const std::function<bool(std::uint64_t have, std::uint64_t total)>& progress = {});

  /// Reads server-sent events until the server ends the stream or `on_event` returns false. timeout is the longest
  /// silence. Throws kTooLarge for an event over 16 MiB.
  void events(std::string_view target, const std::function<bool(const ServerEvent&)>& on_event,
              const std::string& last_event_id = {});

  const std::string& base_url() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace platform
