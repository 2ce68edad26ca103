// One connection: read a request within its limits, run its handler, write the answer, and again.
// Everything here runs on the connection's strand, except handlers and stream producers.
#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "platform/base/file.h"
#include "platform/base/id.h"
#include "platform/http/byte_range.h"
#include "platform/http/refusals.h"
#include "platform/http/response_header.h"
#include "platform/http/server_core.h"

namespace platform {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Milliseconds = std::chrono::milliseconds;

namespace {

/// The socket with a deadline that cancels (and so leaves the socket usable for a last answer).
struct Connection : std::enable_shared_from_this<Connection> {
  Connection(ServerCore& owner, tcp::socket taken)
      : core(owner), socket(std::move(taken)), timer(socket.get_executor()) {}

  void deadline(Milliseconds limit) {
    const std::uint64_t mine = ++generation;
    expired = false;
    timer.expires_after(limit);
    timer.async_wait([self = shared_from_this(), mine](error_code failed) {
      if (failed || mine != self->generation) return;
      self->expired = true;
      self->socket.cancel(failed);
    });
  }
  void no_deadline() {
    ++generation;
    timer.cancel();
  }
  void close() {
    error_code ignored;
    socket.shutdown(tcp::socket::shutdown_both, ignored);
    socket.close(ignored);
  }

  ServerCore& core;
  tcp::socket socket;
  asio::steady_timer timer;
  beast::flat_buffer buffer;
  std::uint64_t generation = 0;
  bool expired = false;
  bool busy = false;
  std::shared_ptr<std::atomic<bool>> cancel_flag = std::make_shared<std::atomic<bool>>(false);
};
using Parser = http::request_parser<http::string_body>;

struct Answer {
  Response response;
  bool keep_alive = true;
  bool head = false;
};

/// Writes everything; false if the client is gone or too slow.
asio::awaitable<bool> write_bytes(Connection& connection, std::string_view bytes) {
  constexpr std::size_t kPiece = 256 * 1024;  // each piece within the write timeout, so that slow but alive is fine
  error_code failed;
  for (std::size_t at = 0; at < bytes.size() && !failed;) {
    const std::size_t size = std::min(kPiece, bytes.size() - at);
    connection.deadline(connection.core.options.write_timeout);
    co_await asio::async_write(connection.socket, asio::buffer(bytes.data() + at, size),
                               asio::redirect_error(asio::use_awaitable, failed));
    at += size;
  }
  connection.no_deadline();
  co_return !failed;
}

asio::awaitable<bool> write_file(Connection& connection, const Request& request, Answer& out) {
  const FileBody body = std::get<FileBody>(out.response.body);
  const FileDescriptor file(::open(body.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    out.response = problem_response(Error(ErrorCode::kNotFound, "the file is gone: " + body.path.filename().string()),
                                    request.request_id);
    const std::string& text = std::get<std::string>(out.response.body);
    const std::string all = header_text(out.response, text.size(), out.keep_alive) + (out.head ? "" : text);
    co_return co_await write_bytes(connection, all);
  }
  const auto on_disk = static_cast<std::uint64_t>(::lseek(file.get(), 0, SEEK_END));
  const std::uint64_t begin = std::min(body.offset, on_disk);
  const std::uint64_t total = std::min(body.length.value_or(on_disk), on_disk - begin);
  const auto etag = out.response.headers.find("ETag");
  if (etag != out.response.headers.end() && names_etag(request.header("If-None-Match").value_or(""), etag->second)) {
    out.response.status = 304;
    co_return co_await write_bytes(connection, header_text(out.response, std::nullopt, out.keep_alive));
  }
  ByteRange range{0, total};
  out.response.headers["Accept-Ranges"] = "bytes";
  const auto wanted = requested_range(request.header("Range").value_or(""), total);
  if (wanted && wanted->size == 0) {
    out.response.status = 416;
    out.response.headers["Content-Range"] = "bytes */" + std::to_string(total);
    range.size = 0;
  } else if (wanted) {
    range = *wanted;
    out.response.status = 206;
    out.response.headers["Content-Range"] = "bytes " + std::to_string(range.first) + "-" +
                                            std::to_string(range.first + range.size - 1) + "/" + std::to_string(total);
  }
  const std::string header = header_text(out.response, range.size, out.keep_alive);
  bool open = co_await write_bytes(connection, header);
  std::string piece(std::size_t{256} * 1024, '\0');
  for (std::uint64_t at = 0; open && !out.head && at < range.size;) {
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), range.size - at));
    const ssize_t got = ::pread(file.get(), piece.data(), size, static_cast<off_t>(begin + range.first + at));
    if (got <= 0) co_return false;  // the file shrank: only breaking off tells the client
    open = co_await write_bytes(connection, std::string_view(piece.data(), static_cast<std::size_t>(got)));
    at += static_cast<std::uint64_t>(got);
  }
  co_return open;
}

/// A producer's thread hands each piece to the connection's strand and waits until it is written.
class ConnectionSink final : public EventSink {
 public:
  explicit ConnectionSink(Connection& connection) : connection_(connection) {}
  bool open() const override { return open_ && !connection_.core.stopping && !connection_.cancel_flag->load(); }
  bool write(std::string_view bytes) override {
    if (!open()) return false;
    std::future<bool> written =
        asio::co_spawn(connection_.socket.get_executor(), write_bytes(connection_, bytes), asio::use_future);
    open_ = written.get();
    return open_;
  }

 private:
  Connection& connection_;
  bool open_ = true;
};

void watch_for_leaving_client(const std::shared_ptr<Connection>& connection) {
  connection->socket.async_wait(tcp::socket::wait_read, [connection](error_code failed) {
    if (failed) return;
    error_code broken;
    if (connection->socket.available(broken) == 0) *connection->cancel_flag = true;
  });
}

asio::awaitable<void> write_stream(std::shared_ptr<Connection> connection, Answer& out) {
  ServerCore& core = connection->core;
  if (core.streams >= core.options.max_streams) {
    const Response busy = refusal(503, "unavailable", "too many event streams are open; try again later");
    const std::string all =
        header_text(busy, std::get<std::string>(busy.body).size(), false) + std::get<std::string>(busy.body);
    co_await write_bytes(*connection, all);
    co_return;
  }
  const std::string header = header_text(out.response, std::nullopt, false);
  const bool open = co_await write_bytes(*connection, header);
  if (!open || out.head) co_return;
  ++core.streams;
  watch_for_leaving_client(connection);
  asio::steady_timer done(connection->socket.get_executor(), asio::steady_timer::time_point::max());
  std::thread producer([&] {
    ConnectionSink sink(*connection);
    try {
      std::get<StreamBody>(out.response.body).produce(sink);
    } catch (const std::exception& failed) {
      core.log.warning("an event stream ended early", {{"reason", failed.what()}});
    }
    asio::post(connection->socket.get_executor(), [&done] { done.cancel(); });
  });
  error_code ignored;
  co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  producer.join();
  --core.streams;
}

Request to_request(const Connection& connection, const Parser& parser) {
  Request request;
  const auto& message = parser.get();
  request.method = method_from(std::string_view(message.method_string().data(), message.method_string().size()))
                       .value_or(Method::kGet);
  const std::string target(message.target().data(), message.target().size());
  const std::size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  for (const auto& field : message) {
    request.headers[std::string(field.name_string())] = std::string(field.value());
  }
  const auto given = request.header("X-Request-Id").value_or("");
  const bool usable =
      !given.empty() && given.size() <= 64 &&
      given.find_first_not_of("0123456789abcdefABCDEFghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ-_") == std::string::npos;
  request.request_id = usable ? given : new_uuid();
  error_code unknown;
  const tcp::endpoint remote = connection.socket.remote_endpoint(unknown);
  if (!unknown) request.remote = remote.address().to_string() + ":" + std::to_string(remote.port());
  request.cancel_flag = connection.cancel_flag;
  if (mark == std::string::npos) return request;
  for (std::size_t start = mark + 1; start < target.size();) {
    const std::size_t end = std::min(target.find('&', start), target.size());
    const std::string_view pair = std::string_view(target).substr(start, end - start);
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (!pair.empty())
      request.query[percent_decode(pair.substr(0, equals), true)] =
          percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    start = end + 1;
  }
  return request;
}

Response read_failure(const Connection& connection, error_code failed) {
  if (connection.expired) return refusal(408, "timeout", "the request did not arrive in time");
  if (failed == http::error::header_limit)
    return refusal(
        431, "too_large",
        "the request headers are larger than " + std::to_string(connection.core.options.header_limit_bytes) + " bytes");
  if (failed == http::error::body_limit)
    return refusal(413, "too_large", "the request body is larger than this address takes");
  return refusal(400, "invalid_input", "malformed request: " + failed.message());
}

/// Reads the body that the route allows; nullopt when it is in `parser`, else the refusal.
asio::awaitable<std::optional<Response>> read_body(Connection& connection, Parser& parser,
                                                   const RouteTable::Match& match) {
  const std::size_t limit = match.route == nullptr ? std::size_t{64} * 1024 : match.route->body_limit;
  const auto announced = parser.content_length();
  error_code failed = announced && *announced > limit ? error_code(http::error::body_limit) : error_code();
  parser.body_limit(limit);
  if (failed) co_return read_failure(connection, failed);
  if (parser.is_done()) co_return std::nullopt;
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    const bool open = co_await write_bytes(connection, "HTTP/1.1 100 Continue\r\n\r\n");
    if (!open) co_return read_failure(connection, asio::error::eof);
  }
  connection.deadline(connection.core.options.body_timeout);
  co_await http::async_read(connection.socket, connection.buffer, parser,
                            asio::redirect_error(asio::use_awaitable, failed));
  connection.no_deadline();
  if (failed) co_return read_failure(connection, failed);
  co_return std::nullopt;
}

asio::awaitable<Response> run_handler(std::shared_ptr<Connection> connection, const Request& request,
                                      const RouteTable::Match& match) {
  ServerCore& core = connection->core;
  if (core.waiting >= core.options.max_queued)
    co_return problem_response(Error(ErrorCode::kUnavailable, "the server is busy; try again"), request.request_id);
  ++core.waiting;
  watch_for_leaving_client(connection);
  const auto work = [&core, &request, &match]() -> asio::awaitable<Response> {
    co_return answer(core, request, match);
  };
  Response response = co_await asio::co_spawn(core.handlers.get_executor(), work, asio::use_awaitable);
  --core.waiting;
  error_code ignored;
  if (connection->socket.is_open()) connection->socket.cancel(ignored);
  co_return response;
}

void note(ServerCore& core, const Request& request, const RouteTable::Match& match, const Response& response,
          std::chrono::steady_clock::time_point start) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::string route = match.route == nullptr ? "none" : match.route->pattern;
  core.metrics.count("anneal_http_requests_total", "HTTP requests answered", 1,
                     {{"method", std::string(to_string(request.method))},
                      {"route", route},
                      {"status", std::to_string(response.status)}});
  core.metrics.observe("anneal_http_request_seconds", "Time from a request's headers to its answer", seconds,
                       {{"route", route}});
  core.log.debug("request", {{"request_id", request.request_id},
                             {"method", to_string(request.method)},
                             {"path", request.path},
                             {"status", response.status},
                             {"seconds", seconds},
                             {"remote", request.remote}});
}

/// Reads, runs and answers one request; false when the connection is to be closed.
asio::awaitable<bool> serve_request(std::shared_ptr<Connection> connection) {
  ServerCore& core = connection->core;
  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(core.options.header_limit_bytes));
  parser.body_limit(boost::none);
  error_code failed;
  connection->busy = false;
  if (core.stopping) co_return false;  // stop() found the connection busy with its last answer
  if (connection->buffer.size() == 0) {
    connection->deadline(core.options.idle_timeout);
    const std::size_t got = co_await connection->socket.async_read_some(
        connection->buffer.prepare(8192), asio::redirect_error(asio::use_awaitable, failed));
    connection->no_deadline();
    if (failed || core.stopping) co_return false;
    connection->buffer.commit(got);
  }
  connection->busy = true;
  connection->deadline(core.options.header_timeout);
  co_await http::async_read_header(connection->socket, connection->buffer, parser,
                                   asio::redirect_error(asio::use_awaitable, failed));
  connection->no_deadline();
  const auto start = std::chrono::steady_clock::now();
  Request request;
  RouteTable::Match match;
  Answer out;
  std::optional<Response> refused;
  if (failed == http::error::end_of_stream || failed == asio::error::eof || failed == asio::error::connection_reset)
    co_return false;
  if (failed) {
    refused = read_failure(*connection, failed);
  } else if (!method_from(std::string_view(parser.get().method_string().data(), parser.get().method_string().size()))) {
    refused = refusal(501, "invalid_input", "unknown method");
  } else {
    try {
      request = to_request(*connection, parser);
      match = core.routes.match(request.method, request.path);
      request.params = match.params;
    } catch (const Error& error) {
      refused = problem_response(error);
    }
  }
  if (!refused) refused = co_await read_body(*connection, parser, match);
  if (refused) {
    out.response = *refused;
    out.keep_alive = false;
  } else {
    request.body = std::move(parser.get().body());
    out.keep_alive = parser.keep_alive();
    if (match.route == nullptr) {
      out.response = not_routed(match, request);
    } else {
      out.response = co_await run_handler(connection, request, match);
    }
  }
  out.head = request.method == Method::kHead;
  if (!request.request_id.empty()) out.response.headers["X-Request-Id"] = request.request_id;
  out.keep_alive = out.keep_alive && !core.stopping;
  note(core, request, match, out.response, start);
  if (std::holds_alternative<StreamBody>(out.response.body)) {
    co_await write_stream(connection, out);
    co_return false;
  }
  if (std::holds_alternative<FileBody>(out.response.body)) {
    const bool open = co_await write_file(*connection, request, out);
    co_return open&& out.keep_alive;
  }
  const std::string& body = std::get<std::string>(out.response.body);
  std::string all = header_text(out.response, body.size(), out.keep_alive);
  if (!out.head) all += body;
  const bool open = co_await write_bytes(*connection, all);
  co_return open&& out.keep_alive;
}

/// After a refusal the client may still be sending: take some of it, so that the answer is not lost to a reset.
asio::awaitable<void> drain(Connection& connection) {
  error_code failed;
  connection.socket.shutdown(tcp::socket::shutdown_send, failed);
  connection.deadline(Milliseconds(1000));
  std::string waste(64 * 1024, '\0');
  for (int i = 0; i < 256 && !failed; ++i) {
    co_await connection.socket.async_read_some(asio::buffer(waste), asio::redirect_error(asio::use_awaitable, failed));
  }
  connection.no_deadline();
}

}  // namespace

Response answer(ServerCore& core, const Request& request, const RouteTable::Match& match) {
  const json::object context{{"request_id", request.request_id}, {"path", request.path}};
  try {
    Request allowed = request;
    allowed.identity = core.authorize(request, match.route->permission);
    return match.route->handler(allowed);
  } catch (const Error& error) {
    if (http_status(error.code()) >= 500)
      core.log.with(context).warning(error.what(), {{"code", to_string(error.code())}});
    return problem_response(error, request.request_id);
  } catch (const std::exception& error) {
    core.log.with(context).error("a handler failed", {{"reason", error.what()}});
    return problem_response(
        Error(ErrorCode::kInternal, "the server failed at this request; its log has the reason under the request id"),
        request.request_id);
  }
}

asio::awaitable<void> serve_connection(ServerCore& core, tcp::socket socket) {
  auto connection = std::make_shared<Connection>(core, std::move(socket));
  error_code ignored;
  connection->socket.set_option(tcp::no_delay(true), ignored);
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(core.mutex);
    id = core.next_connection++;
    core.connections[id] = [weak = std::weak_ptr(connection)](bool busy_too) {
      if (const auto kept = weak.lock()) {
        asio::post(kept->socket.get_executor(), [kept, busy_too] {
          if (busy_too) *kept->cancel_flag = true;
          if (busy_too || !kept->busy) kept->close();
        });
      }
    };
  }
  try {
    bool open = !core.stopping;
    while (open) {
      open = co_await serve_request(connection);
    }
    if (connection->socket.is_open() && !core.stopping) co_await drain(*connection);
  } catch (const std::exception& failed) {
    core.log.warning("a connection broke", {{"reason", failed.what()}});
  }
  connection->no_deadline();
  connection->close();
  const std::lock_guard lock(core.mutex);
  core.connections.erase(id);
  if (core.connections.empty()) core.all_closed.notify_all();
}

}  // namespace platform
