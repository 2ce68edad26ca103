// A real server on an ephemeral loopback port with a handful of routes of the test's own.
#pragma once

#include <memory>

#include "platform/http/client.h"
#include "platform/http/server.h"

namespace support {

class HttpFixture {
 public:
  explicit HttpFixture(platform::RouteTable routes, platform::ServerOptions options = {},
                       platform::AuthorizeFunction authorize = platform::allow_everything,
                       platform::Log log = platform::Log::silent())
      : server(std::move(options), std::move(routes), std::move(authorize), metrics, std::move(log)) {}

  platform::HttpClient client(platform::HttpClientOptions options = {}) {
    return platform::HttpClient(server.address(), std::move(options));
  }

  platform::Metrics metrics;
  platform::Server server;
};

}  // namespace support
