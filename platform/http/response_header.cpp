#include "platform/http/response_header.h"

#include <boost/beast/http/status.hpp>

namespace platform {

namespace http = boost::beast::http;

std::string header_text(const Response& response, std::optional<std::uint64_t> length, bool keep_alive) {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " ";
  const auto reason = http::obsolete_reason(static_cast<http::status>(response.status));
  text.append(reason.data(), reason.size()).append("\r\n");
  static const Headers kDefaults{{"Cache-Control", "no-store"},
                                 {"Referrer-Policy", "no-referrer"},
                                 {"Server", "anneal"},
                                 {"X-Content-Type-Options", "nosniff"},
                                 {"X-Frame-Options", "DENY"}};
  Headers all = response.headers;
  all.insert(kDefaults.begin(), kDefaults.end());
  if (length && response.status != 204 && response.status != 304) all["Content-Length"] = std::to_string(*length);
  all["Connection"] = keep_alive ? "keep-alive" : "close";
  for (const auto& [name, value] : all) {
    if (value.find_first_of("\r\n") == std::string::npos) text += name + ": " + value + "\r\n";
  }
  return text + "\r\n";
}

}  // namespace platform
