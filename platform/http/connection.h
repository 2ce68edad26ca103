// One connection of the server: its socket with a deadline, and how an answer goes over it. Everything here runs on the
// connection's strand, except stream producers. Private to platform/http.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <cstdint>
#include <memory>
#include <string_view>

#include "platform/http/server_core.h"

namespace platform {

/// The socket with a deadline that cancels (and so leaves the socket usable for a last answer).
struct Connection : std::enable_shared_from_this<Connection> {
  Connection(ServerCore& owner, boost::asio::ip::tcp::socket taken)
      : core(owner), socket(std::move(taken)), timer(socket.get_executor()) {}

  void deadline(std::chrono::milliseconds limit) {
    const std::uint64_t mine = ++generation;
    expired = false;
    timer.expires_after(limit);
    timer.async_wait([self = shared_from_this(), mine](boost::system::error_code failed) {
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
    boost::system::error_code ignored;
    socket.shutdown(boost::asio::ip::tcp::socket::shutdown_both, ignored);
    socket.close(ignored);
  }

  ServerCore& core;
  boost::asio::ip::tcp::socket socket;
  boost::asio::steady_timer timer;
  boost::beast::flat_buffer buffer;
  std::uint64_t generation = 0;
  bool expired = false;
  bool busy = false;
  std::shared_ptr<std::atomic<bool>> cancel_flag = std::make_shared<std::atomic<bool>>(false);
};

struct Answer {
  Response response;
  bool keep_alive = true;
  bool head = false;
};

/// Writes everything; false if the client is gone or too slow.
boost::asio::awaitable<bool> write_bytes(Connection& connection, std::string_view bytes);
/// Writes the answer with its body, file or events; false if the connection is to be closed.
boost::asio::awaitable<bool> write_answer(std::shared_ptr<Connection> connection, const Request& request, Answer& out);
/// Sets the cancel flag when the client goes away while its request is worked on.
void watch_for_leaving_client(const std::shared_ptr<Connection>& connection);

}  // namespace platform
