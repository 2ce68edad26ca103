// What the acceptor and the sessions of one server share. Private to platform/http.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "platform/http/server.h"

namespace platform {

struct ServerCore {
  ServerCore(ServerOptions given, RouteTable table, AuthorizeFunction who, Metrics& numbers, Log lines)
      : options(std::move(given)),
        routes(std::move(table)),
        authorize(std::move(who)),
        metrics(numbers),
        log(std::move(lines)),
        io(static_cast<int>(options.threads)),
        handlers(options.handler_threads) {}

  ServerOptions options;
  RouteTable routes;
  AuthorizeFunction authorize;
  Metrics& metrics;
  Log log;
  boost::asio::io_context io;
  boost::asio::thread_pool handlers;
  std::atomic<bool> stopping{false};
  std::atomic<std::size_t> waiting{0};  // requests at the handler pool
  std::atomic<std::size_t> streams{0};
  std::atomic<std::size_t> body_bytes{0};  // of the request bodies in memory

  std::mutex mutex;
  std::condition_variable all_closed;
  std::uint64_t next_connection = 0;
  // Called on stop with true = also break off a connection that is busy. Guarded by mutex.
  std::map<std::uint64_t, std::function<void(bool)>> connections;
};

/// Serves one connection to its end; never throws.
boost::asio::awaitable<void> serve_connection(ServerCore& core, boost::asio::ip::tcp::socket socket);
/// Sets the identity of the request; the refusal if the sender may not do this. Runs on a handler thread.
std::optional<Response> authorise(ServerCore& core, Request& request, const RouteTable::Match& match);
/// Runs the handler; every failure becomes a problem answer. Runs on a handler thread.
Response answer(ServerCore& core, const Request& request, const RouteTable::Match& match);

}  // namespace platform
