// One connection: read a request within its limits, ask whether it is allowed, read its body, run its handler, write
// the answer, and again. Everything here runs on the connection's strand, except authorisation and handlers.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http.hpp>

#include "platform/base/id.h"
#include "platform/base/shortened.h"
#include "platform/http/connection.h"
#include "platform/http/refusals.h"

namespace platform {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

using Parser = http::request_parser<http::string_body>;

Request to_request(const Connection& connection, const Parser& parser) {
  Request request;
  const auto& message = parser.get();
  request.method = method_from(std::string_view(message.method_string().data(), message.method_string().size()))
                       .value_or(Method::kGet);
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
  return request;
}

// Path and query, checked here once for all routes. Throws kInvalidInput.
void read_target(Request& request, const std::string& target) {
  const std::size_t mark = target.find('?');
  percent_decode(target.substr(0, mark));  // also what no {name} of a route takes comes back in answers and logs
  request.path = target.substr(0, mark);
  if (mark == std::string::npos) return;
  for (std::size_t start = mark + 1; start < target.size();) {
    const std::size_t end = std::min(target.find('&', start), target.size());
    const std::string_view pair = std::string_view(target).substr(start, end - start);
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (!pair.empty())
      request.query[percent_decode(pair.substr(0, equals), true)] =
          percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    start = end + 1;
  }
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

/// The share of the server's memory for bodies that one request holds.
class BodyMemory {
 public:
  explicit BodyMemory(ServerCore& core) : core_(core) {}
  ~BodyMemory() { core_.body_bytes -= held_; }
  BodyMemory(const BodyMemory&) = delete;
  BodyMemory& operator=(const BodyMemory&) = delete;
  bool take(std::size_t bytes) {
    held_ = bytes;
    return (core_.body_bytes += bytes) <= core_.options.body_memory_bytes;
  }

 private:
  ServerCore& core_;
  std::size_t held_ = 0;
};

// The refusal of a body that is not sent as it is: whoever took its bytes for the text would find no records in it.
std::optional<Response> refuse_encoded(const Parser& parser) {
  const auto [first, last] = parser.get().equal_range(http::field::content_encoding);
  for (auto field = first; field != last; ++field) {
    const std::string_view coding(field->value().data(), field->value().size());
    if (coding.empty() || beast::iequals(coding, "identity")) continue;
    constexpr std::size_t kShown = 60;
    Response response = refusal(415, "unsupported_encoding",
                                "the request body has the Content-Encoding '" + shortened(coding, kShown) +
                                    "', which is not taken; send it as it is, without that header");
    response.headers["Accept-Encoding"] = "identity";
    return response;
  }
  return std::nullopt;
}

/// Reads the body that the route allows; nullopt when it is in `parser`, else the refusal.
asio::awaitable<std::optional<Response>> read_body(Connection& connection, Parser& parser,
                                                   const RouteTable::Match& match, BodyMemory& memory) {
  const std::size_t limit = match.route == nullptr ? std::size_t{64} * 1024 : match.route->body_limit;
  const auto announced = parser.content_length();
  error_code failed = announced && *announced > limit ? error_code(http::error::body_limit) : error_code();
  parser.body_limit(limit);
  if (failed) co_return read_failure(connection, failed);
  if (parser.is_done()) co_return std::nullopt;
  if (auto refused = refuse_encoded(parser)) co_return refused;
  if (!memory.take(announced ? static_cast<std::size_t>(*announced) : limit))
    co_return refusal(503, "unavailable", "the server holds as many request bodies as it may; try again");
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

/// Runs `work` on a handler thread; a busy pool is a refusal.
template <class Work>
asio::awaitable<std::optional<Response>> on_handler_thread(std::shared_ptr<Connection> connection,
                                                           const Request& request, Work work) {
  ServerCore& core = connection->core;
  if (core.waiting >= core.options.max_queued)
    co_return problem_response(Error(ErrorCode::kUnavailable, "the server is busy; try again"), request.request_id);
  ++core.waiting;
  watch_for_leaving_client(connection);
  const auto run = [&work]() -> asio::awaitable<std::optional<Response>> { co_return work(); };
  std::optional<Response> response = co_await asio::co_spawn(core.handlers.get_executor(), run, asio::use_awaitable);
  --core.waiting;
  error_code ignored;
  if (connection->socket.is_open()) connection->socket.cancel(ignored);
  co_return response;
}

/// Asks who sends the request before its body is read, so that strangers cannot fill the memory.
asio::awaitable<std::optional<Response>> check_sender(std::shared_ptr<Connection> connection, Request& request,
                                                      const RouteTable::Match& match) {
  if (match.route == nullptr) co_return std::nullopt;
  ServerCore& core = connection->core;
  if (match.route->direct) co_return authorise(core, request, match);
  co_return co_await on_handler_thread(connection, request, [&] { return authorise(core, request, match); });
}

asio::awaitable<Response> run_handler(std::shared_ptr<Connection> connection, const Request& request,
                                      const RouteTable::Match& match) {
  ServerCore& core = connection->core;
  if (match.route == nullptr) co_return not_routed(match, request);
  if (match.route->direct) co_return answer(core, request, match);
  const auto work = [&] { return std::optional(answer(core, request, match)); };
  std::optional<Response> response = co_await on_handler_thread(connection, request, work);
  co_return *std::move(response);
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

/// Waits for the first byte of the next request; false when the connection is to be closed.
asio::awaitable<bool> wait_for_request(Connection& connection) {
  ServerCore& core = connection.core;
  connection.busy = false;
  if (core.stopping) co_return false;  // stop() found the connection busy with its last answer
  if (connection.buffer.size() == 0) {
    error_code failed;
    connection.deadline(core.options.idle_timeout);
    const std::size_t got = co_await connection.socket.async_read_some(
        connection.buffer.prepare(8192), asio::redirect_error(asio::use_awaitable, failed));
    connection.no_deadline();
    if (failed || core.stopping) co_return false;
    connection.buffer.commit(got);
  }
  connection.busy = true;
  co_return true;
}

/// Fills `request` and `match` from the headers; the refusal if they are malformed.
std::optional<Response> read_request_line(const Connection& connection, const Parser& parser, Request& request,
                                          RouteTable::Match& match) {
  const auto method = parser.get().method_string();
  if (!method_from(std::string_view(method.data(), method.size())))
    return refusal(501, "invalid_input", "unknown method");
  const auto target = parser.get().target();
  request = to_request(connection, parser);
  try {
    read_target(request, std::string(target.data(), target.size()));
    match = connection.core.routes.match(request.method, request.path);
    request.params = match.params;
  } catch (const Error& error) {
    return problem_response(error, request.request_id);
  }
  return std::nullopt;
}

/// Reads the headers within their limits.
asio::awaitable<error_code> read_head(Connection& connection, Parser& parser) {
  parser.header_limit(static_cast<std::uint32_t>(connection.core.options.header_limit_bytes));
  parser.body_limit(boost::none);
  error_code failed;
  connection.deadline(connection.core.options.header_timeout);
  co_await http::async_read_header(connection.socket, connection.buffer, parser,
                                   asio::redirect_error(asio::use_awaitable, failed));
  connection.no_deadline();
  co_return failed;
}

/// Reads, runs and answers one request; false when the connection is to be closed.
asio::awaitable<bool> serve_request(std::shared_ptr<Connection> connection) {
  ServerCore& core = connection->core;
  Parser parser;
  const bool begun = co_await wait_for_request(*connection);
  if (!begun) co_return false;
  const error_code failed = co_await read_head(*connection, parser);
  const auto start = std::chrono::steady_clock::now();
  if (failed == http::error::end_of_stream || failed == asio::error::eof || failed == asio::error::connection_reset)
    co_return false;
  Request request;
  RouteTable::Match match;
  BodyMemory memory(core);
  Answer out;
  std::optional<Response> refused =
      failed ? read_failure(*connection, failed) : read_request_line(*connection, parser, request, match);
  out.head = request.method == Method::kHead;
  out.keep_alive = false;
  if (!refused) {
    refused = co_await check_sender(connection, request, match);
    out.keep_alive = parser.is_done() && parser.keep_alive();  // a body that was not read would be taken for a request
  }
  if (!refused) {
    refused = co_await read_body(*connection, parser, match, memory);
    out.keep_alive = !refused && parser.keep_alive();
  }
  if (refused) {
    out.response = *std::move(refused);
  } else {
    request.body = std::move(parser.get().body());
    out.response = co_await run_handler(connection, request, match);
  }
  if (!request.request_id.empty()) out.response.headers["X-Request-Id"] = request.request_id;
  out.keep_alive = out.keep_alive && !core.stopping;
  note(core, request, match, out.response, start);
  co_return co_await write_answer(connection, request, out);
}

/// After a refusal the client may still be sending: take some of it, so that the answer is not lost to a reset.
asio::awaitable<void> drain(Connection& connection) {
  error_code failed;
  connection.socket.shutdown(tcp::socket::shutdown_send, failed);
  connection.deadline(std::chrono::milliseconds(1000));
  std::string waste(64 * 1024, '\0');
  for (int i = 0; i < 256 && !failed; ++i) {
    co_await connection.socket.async_read_some(asio::buffer(waste), asio::redirect_error(asio::use_awaitable, failed));
  }
  connection.no_deadline();
}

}  // namespace

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
    core.log.warning("a connection broke", {{"reason", in_full(failed)}});
  }
  connection->no_deadline();
  connection->close();
  const std::lock_guard lock(core.mutex);
  core.connections.erase(id);
  if (core.connections.empty()) core.all_closed.notify_all();
}

}  // namespace platform
