#include "deploy/agent/front_door.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "platform/base/error.h"
#include "platform/base/shortened.h"

namespace deploy {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr std::size_t kLongestShown = 100;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& letter : out)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return out;
}

// "edge-03:8471" -> "edge-03", "[::1]:8471" -> "::1".
std::string without_port(std::string_view host) {
  if (host.starts_with('[')) return lower(host.substr(1, host.find(']') - 1));
  return lower(host.substr(0, host.find(':')));
}

bool is_ip(const std::string& name) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

std::string own_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return lower(name.data());
}

}  // namespace

bool names_this_agent(std::string_view host, const std::string& address, const std::vector<std::string>& names) {
  const std::string name = without_port(host);
  if (name == "localhost" || name == "::1" || (name.starts_with("127.") && is_ip(name))) return true;
  if (name == lower(address)) return true;
  for (const std::string& more : names)
    if (name == lower(more)) return true;
  const bool everywhere = address == "0.0.0.0" || address == "::";
  return everywhere && (is_ip(name) || (!name.empty() && name == own_name()));
}

platform::AuthorizeFunction front_door(std::string address, std::vector<std::string> names) {
  return [address = std::move(address), names = std::move(names)](const platform::Request& request,
                                                                  std::string_view permission) {
    const std::string host = request.header("Host").value_or("");
    if (!names_this_agent(host, address, names))
      throw Error(ErrorCode::kForbidden, "this agent is not called " + platform::shortened(host, kLongestShown) +
                                             "; ask it by its address, or start it with --hosts NAME");
    if (const auto origin = request.header("Origin"); origin && lower(*origin) != "http://" + lower(host))
      throw Error(ErrorCode::kForbidden,
                  "web pages may not ask this agent: " + platform::shortened(*origin, kLongestShown) +
                      "; ask it from a program on the plant's network");
    return platform::allow_everything(request, permission);
  };
}

}  // namespace deploy
