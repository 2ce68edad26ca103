// The HTTP/1.1 server: Boost.Asio coroutines read and write on a few threads, handlers run on a pool of their own, so
// that a slow handler or a slow client never holds up the others. Bound and serving when the constructor returns;
// stop() (or the destructor) finishes the requests that are under way and closes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "platform/base/log.h"
#include "platform/base/metrics.h"
#include "platform/http/router.h"

namespace platform {

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0 = any free one, see Server::port()
  std::size_t threads = 2;
  std::size_t handler_threads = 8;
  std::size_t max_connections = 1024;  // more wait in the listen queue
  std::size_t max_queued = 512;        // requests that wait for a handler thread; more are answered with 503
  std::size_t max_streams = 64;        // event streams at a time; more are answered with 503
  std::size_t header_limit_bytes = 16 * 1024;
  std::size_t body_memory_bytes = std::size_t{256} << 20;  // of all bodies at a time; more are answered with 503
  std::chrono::milliseconds header_timeout{10'000};        // from the first byte of a request to the end of its headers
  std::chrono::milliseconds body_timeout{60'000};          // for the whole body
  std::chrono::milliseconds write_timeout{60'000};         // without progress
  std::chrono::milliseconds idle_timeout{75'000};          // between two requests of one connection
  std::chrono::milliseconds stop_grace{10'000};            // what stop() gives requests that are under way
};

/// Says who sends `request` and that this identity may do `permission`. For a public route `permission` is empty and a
/// missing token is fine. Throws kUnauthenticated or kForbidden. Called on handler threads before the body is read:
/// `request` has none.
using AuthorizeFunction = std::function<Identity(const Request& request, std::string_view permission)>;
/// The authorize function of a server without users: everybody is "local" with role "admin".
Identity allow_everything(const Request& request, std::string_view permission);
/// "Authorization: Bearer x" -> "x", however the scheme is written (RFC 9110, 11.1); "" if there is none.
std::string bearer_token(const Request& request);

/// Thread-safe.
class Server {
 public:
  /// Binds and starts. Throws kUnavailable with the address when the port is taken. `metrics` must outlive the server.
  Server(ServerOptions options, RouteTable routes, AuthorizeFunction authorize, Metrics& metrics, Log log);
  ~Server();

  std::uint16_t port() const;
  /// "http://127.0.0.1:8470"
  std::string address() const;
  /// Stops accepting, finishes what is under way (at most stop_grace), breaks off the rest and closes. False if a
  /// handler does not return even then (within stop_grace once more): it is left behind with all that the server holds,
  /// and the process should end without destroying what handlers use. Safe to repeat.
  bool stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace platform
