// The one table of routes. It is the router, the list of permissions and /openapi.json at once, so the three cannot
// differ. Build it in one thread; const use is thread-safe.
//   table.add({Method::kGet, "/api/v1/sources/{name}", "Shows one source", "sources.read",
//              [&](const Request& request) { return json_response(to_json(sources.get(request.param("name")))); }});
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/http/request.h"
#include "platform/http/response.h"

namespace platform {

/// A query parameter, for /openapi.json only; the handler reads it with Request::query_or.
struct QueryParameter {
  std::string name;
  std::string description;
};

struct Route {
  Method method = Method::kGet;
  std::string pattern;  // "/api/v1/sources/{name}/records"; a last part "{path...}" takes the rest with its slashes
  std::string summary;  // one line for /openapi.json
  std::string permission = {};  // "" = public, else what the identity must be allowed to do: "sources.write"
  std::function<Response(const Request&)> handler = {};
  std::size_t body_limit = std::size_t{1} << 20;  // bytes; a larger body is answered with 413
  json::object request_schema = {};               // JSON Schema of the body; empty = not described
  json::object response_schema = {};
  std::string tag = {};  // group in /openapi.json; empty = the part after /api/v1/
  std::vector<QueryParameter> query = {};
  bool direct = false;  // answered on an I/O thread, so also while all handler threads are busy; for public routes
                        // whose handler never waits: "the process lives"
};

class RouteTable {
 public:
  /// Throws kInternal for a pattern that is malformed or stands already with this method, or a route without summary or
  /// handler.
  void add(Route route);

  struct Match {
    const Route* route = nullptr;  // null if nothing matches
    std::map<std::string, std::string, std::less<>> params;
    std::vector<Method> allowed;  // methods of the same path, for 405; empty = 404
  };
  /// Literal parts win over {parameters}. HEAD finds the GET route. Throws kInvalidInput for bad percent-encoding.
  Match match(Method method, std::string_view path) const;

  const std::vector<Route>& routes() const { return routes_; }
  /// OpenAPI 3.1 of every route.
  json::object openapi(std::string_view title, std::string_view version) const;

 private:
  struct Part {
    enum class Kind { kLiteral, kParameter, kRest } kind = Kind::kLiteral;
    std::string text;
  };
  static std::vector<Part> parse(const std::string& pattern);
  static bool fits(const std::vector<Part>& parts, const std::vector<std::string>& segments);
  static bool more_literal(const std::vector<Part>& left, const std::vector<Part>& right);

  std::vector<Route> routes_;
  std::vector<std::vector<Part>> parts_;  // one row a route
};

}  // namespace platform
