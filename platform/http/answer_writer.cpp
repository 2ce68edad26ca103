// How an answer goes over a connection (declared in connection.h): text, a file or a stream of events.
#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "platform/base/file.h"
#include "platform/http/byte_range.h"
#include "platform/http/connection.h"
#include "platform/http/refusals.h"
#include "platform/http/response_header.h"

namespace platform {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

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

void watch_for_leaving_client(const std::shared_ptr<Connection>& connection) {
  connection->socket.async_wait(tcp::socket::wait_read, [connection](error_code failed) {
    if (failed) return;
    // The wait may end for bytes that were read long ago: only an end of the stream means that the client left.
    char byte = 0;
    const ssize_t got = ::recv(connection->socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    const bool nothing_yet = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (nothing_yet) return watch_for_leaving_client(connection);
    if (got <= 0) *connection->cancel_flag = true;
  });
}

namespace {

// Which bytes of the file the answer carries: a range that the request asks for, or all; sets status and headers.
ByteRange choose_range(const Request& request, std::uint64_t total, Response& response) {
  response.headers["Accept-Ranges"] = "bytes";
  const auto wanted = requested_range(request.header("Range").value_or(""), total);
  if (!wanted) return {0, total};
  if (wanted->size == 0) {
    response.status = 416;
    response.headers["Content-Range"] = "bytes */" + std::to_string(total);
    return {0, 0};
  }
  response.status = 206;
  response.headers["Content-Range"] = "bytes " + std::to_string(wanted->first) + "-" +
                                      std::to_string(wanted->first + wanted->size - 1) + "/" + std::to_string(total);
  return *wanted;
}

asio::awaitable<bool> write_text(Connection& connection, const Answer& out) {
  const std::string& text = std::get<std::string>(out.response.body);
  std::string all = header_text(out.response, text.size(), out.keep_alive);
  if (!out.head) all += text;
  co_return co_await write_bytes(connection, all);
}

// Reads the file on this thread, a piece at a time: pieces are small and mostly in the page cache.
asio::awaitable<bool> write_file_bytes(Connection& connection, int file, ByteRange range) {
  std::string piece(std::size_t{256} * 1024, '\0');
  bool open = true;
  for (std::uint64_t at = 0; open && at < range.size;) {
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), range.size - at));
    const ssize_t got = ::pread(file, piece.data(), size, static_cast<off_t>(range.first + at));
    if (got <= 0) co_return false;  // the file shrank: only breaking off tells the client
    open = co_await write_bytes(connection, std::string_view(piece.data(), static_cast<std::size_t>(got)));
    at += static_cast<std::uint64_t>(got);
  }
  co_return open;
}

asio::awaitable<bool> write_file(Connection& connection, const Request& request, Answer& out) {
  const FileBody body = std::get<FileBody>(out.response.body);
  const FileDescriptor file(::open(body.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    out.response = problem_response(Error(ErrorCode::kNotFound, "the file is gone: " + body.path.filename().string()),
                                    request.request_id);
    co_return co_await write_text(connection, out);
  }
  const auto on_disk = static_cast<std::uint64_t>(::lseek(file.get(), 0, SEEK_END));
  const std::uint64_t begin = std::min(body.offset, on_disk);
  const std::uint64_t total = std::min(body.length.value_or(on_disk), on_disk - begin);
  const auto etag = out.response.headers.find("ETag");
  if (etag != out.response.headers.end() && names_etag(request.header("If-None-Match").value_or(""), etag->second)) {
    out.response.status = 304;
    co_return co_await write_bytes(connection, header_text(out.response, std::nullopt, out.keep_alive));
  }
  const ByteRange range = choose_range(request, total, out.response);
  const std::string header = header_text(out.response, range.size, out.keep_alive);
  const bool open = co_await write_bytes(connection, header);
  if (!open || out.head) co_return open;
  co_return co_await write_file_bytes(connection, file.get(), {begin + range.first, range.size});
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
      core.log.warning("an event stream ended early", {{"reason", in_full(failed)}});
    }
    asio::post(connection->socket.get_executor(), [&done] { done.cancel(); });
  });
  error_code ignored;
  co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  producer.join();
  --core.streams;
}

}  // namespace

asio::awaitable<bool> write_answer(std::shared_ptr<Connection> connection, const Request& request, Answer& out) {
  if (std::holds_alternative<StreamBody>(out.response.body)) {
    co_await write_stream(connection, out);
    co_return false;
  }
  bool open = false;
  if (std::holds_alternative<FileBody>(out.response.body)) {
    open = co_await write_file(*connection, request, out);
  } else {
    open = co_await write_text(*connection, out);
  }
  co_return open&& out.keep_alive;
}

}  // namespace platform
