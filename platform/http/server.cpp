#include "platform/http/server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "platform/http/server_core.h"

namespace platform {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

std::size_t connection_count(ServerCore& core) {
  const std::lock_guard lock(core.mutex);
  return core.connections.size();
}

asio::awaitable<void> accept_all(ServerCore& core, tcp::acceptor& acceptor) {
  asio::steady_timer pause(acceptor.get_executor());
  while (!core.stopping) {
    boost::system::error_code failed;
    if (connection_count(core) >= core.options.max_connections) {
      pause.expires_after(std::chrono::milliseconds(20));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failed));
      continue;
    }
    tcp::socket socket(asio::make_strand(core.io));
    co_await acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, failed));
    if (core.stopping) co_return;
    if (failed) {  // out of descriptors and the like: breathe, then go on
      core.log.warning("cannot accept a connection", {{"reason", failed.message()}});
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failed));
      continue;
    }
    const auto executor = socket.get_executor();
    asio::co_spawn(executor, serve_connection(core, std::move(socket)), asio::detached);
  }
}

bool is_bearer(std::string_view scheme) {
  constexpr std::string_view kBearer = "bearer";
  const CaseInsensitiveLess less;
  return !less(scheme, kBearer) && !less(kBearer, scheme);
}

}  // namespace

Identity allow_everything(const Request&, std::string_view) { return {"local", "admin", "default"}; }

std::string bearer_token(const Request& request) {
  const std::string value = request.header("Authorization").value_or("");
  const std::size_t blank = std::min(value.find(' '), value.size());
  const std::size_t token = std::min(value.find_first_not_of(' ', blank), value.size());
  return is_bearer(std::string_view(value).substr(0, blank)) ? value.substr(token) : "";
}

struct Server::State {
  State(ServerOptions options, RouteTable routes, AuthorizeFunction authorize, Metrics& metrics, Log log)
      : core(std::move(options), std::move(routes), std::move(authorize), metrics, std::move(log)),
        acceptor(asio::make_strand(core.io)) {}

  void listen() {
    try {
      const tcp::endpoint endpoint(asio::ip::make_address(core.options.address), core.options.port);
      acceptor.open(endpoint.protocol());
      acceptor.set_option(asio::socket_base::reuse_address(true));
      acceptor.bind(endpoint);
      acceptor.listen();
      port = acceptor.local_endpoint().port();
    } catch (const boost::system::system_error& failed) {
      throw Error(ErrorCode::kUnavailable, "cannot listen on " + core.options.address + ":" +
                                               std::to_string(core.options.port) + ": " + failed.code().message() +
                                               "; is another server running there?");
    }
    asio::co_spawn(acceptor.get_executor(), accept_all(core, acceptor), asio::detached);
    for (std::size_t i = 0; i < core.options.threads; ++i) {
      threads.emplace_back([this] { core.io.run(); });
    }
  }

  void close_connections(bool busy_too) {
    const std::lock_guard lock(core.mutex);
    for (const auto& [id, close] : core.connections) close(busy_too);
  }

  bool stop() {
    if (core.stopping.exchange(true)) return stopped;
    asio::post(acceptor.get_executor(), [this] { acceptor.close(); });
    close_connections(false);
    const auto none_left = [this] { return core.connections.empty(); };
    std::unique_lock lock(core.mutex);
    if (!core.all_closed.wait_for(lock, core.options.stop_grace, none_left)) {
      lock.unlock();
      close_connections(true);
      lock.lock();
      stopped = core.all_closed.wait_for(lock, core.options.stop_grace, none_left);
    }
    lock.unlock();
    if (!stopped) core.log.error("a request does not end and is left behind", {{"requests", core.waiting.load()}});
    if (stopped) core.handlers.join();
    core.io.stop();
    for (std::thread& thread : threads) thread.join();
    return stopped;
  }

  ServerCore core;
  tcp::acceptor acceptor;
  std::uint16_t port = 0;
  bool stopped = true;  // all requests ended when it was stopped
  std::vector<std::thread> threads;
};

Server::Server(ServerOptions options, RouteTable routes, AuthorizeFunction authorize, Metrics& metrics, Log log)
    : state_(std::make_unique<State>(std::move(options), std::move(routes), std::move(authorize), metrics,
                                     std::move(log))) {
  state_->listen();
}

Server::~Server() {
  // What a handler that does not return still uses must stay where it is.
  if (!stop()) static_cast<void>(state_.release());
}

std::uint16_t Server::port() const { return state_->port; }

std::string Server::address() const {
  const std::string& host = state_->core.options.address;
  return "http://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
         std::to_string(state_->port);
}

bool Server::stop() { return state_->stop(); }

}  // namespace platform
