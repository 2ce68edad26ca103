#include "platform/http/router.h"

#include <algorithm>

namespace platform {

namespace {

/// "/a//b" -> {"a", "", "b"}; a trailing slash makes an empty last segment, so "/a/" is not "/a".
std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> segments;
  if (path.empty() || path == "/") return segments;
  for (std::size_t start = 1; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    segments.emplace_back(path.substr(start, end - start));
    start = end + 1;
  }
  return segments;
}

std::string tag_of(const Route& route) {
  if (!route.tag.empty()) return route.tag;
  constexpr std::string_view kPrefix = "/api/v1/";
  if (!route.pattern.starts_with(kPrefix)) return "system";
  const std::string rest = route.pattern.substr(kPrefix.size());
  return rest.substr(0, rest.find('/'));
}

std::string operation_id(const Route& route) {
  std::string id(to_string(route.method));
  for (char& letter : id) letter = static_cast<char>(letter - 'A' + 'a');
  for (const char letter : route.pattern) {
    const bool plain =
        (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z');
    if (plain) {
      id += letter;
    } else if (id.back() != '_') {
      id += '_';
    }
  }
  while (id.back() == '_') id.pop_back();
  return id;
}

json::object described(const Route& route, const std::vector<std::string>& parameters) {
  json::array list;
  for (const std::string& name : parameters) {
    list.push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
  }
  for (const QueryParameter& parameter : route.query) {
    list.push_back({{"name", parameter.name},
                    {"in", "query"},
                    {"description", parameter.description},
                    {"schema", {{"type", "string"}}}});
  }
  json::object success{{"description", "done"}};
  if (!route.response_schema.empty()) success["content"] = {{"application/json", {{"schema", route.response_schema}}}};
  const json::object problem{
      {"description", "refused"},
      {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}};
  json::object operation{{"operationId", operation_id(route)},
                         {"summary", route.summary},
                         {"tags", json::array{json::value(tag_of(route))}},
                         {"responses", {{"2XX", success}, {"4XX", problem}, {"5XX", problem}}}};
  if (!list.empty()) operation["parameters"] = list;
  if (!route.request_schema.empty()) {
    operation["requestBody"] = {{"required", true},
                                {"content", {{"application/json", {{"schema", route.request_schema}}}}}};
  }
  if (route.permission.empty()) {
    operation["security"] = json::array();
  } else {
    operation["security"] = json::array{json::object{{"token", json::array()}}};
    operation["x-permission"] = route.permission;
  }
  return operation;
}

}  // namespace

std::vector<RouteTable::Part> RouteTable::parse(const std::string& pattern) {
  if (pattern.empty() || pattern.front() != '/')
    throw Error(ErrorCode::kInternal, "a route pattern starts with '/': " + pattern);
  std::vector<Part> parts;
  for (const std::string& segment : split(pattern)) {
    const bool named = segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
    if (!parts.empty() && parts.back().kind == Part::Kind::kRest)
      throw Error(ErrorCode::kInternal, "{name...} must be the last part: " + pattern);
    if (named && segment.ends_with("...}")) {
      parts.push_back({Part::Kind::kRest, segment.substr(1, segment.size() - 5)});
    } else if (named) {
      parts.push_back({Part::Kind::kParameter, segment.substr(1, segment.size() - 2)});
    } else if (segment.find_first_of("{}") != std::string::npos || segment.empty()) {
      throw Error(ErrorCode::kInternal, "malformed route pattern: " + pattern);
    } else {
      parts.push_back({Part::Kind::kLiteral, segment});
    }
  }
  return parts;
}

void RouteTable::add(Route route) {
  if (route.summary.empty() || !route.handler)
    throw Error(ErrorCode::kInternal, "a route needs a summary and a handler: " + route.pattern);
  for (const Route& known : routes_) {
    if (known.pattern == route.pattern && known.method == route.method) {
      throw Error(ErrorCode::kInternal,
                  "the route stands twice: " + std::string(to_string(route.method)) + " " + route.pattern);
    }
  }
  parts_.push_back(parse(route.pattern));
  routes_.push_back(std::move(route));
}

bool RouteTable::fits(const std::vector<Part>& parts, const std::vector<std::string>& segments) {
  const bool rest = !parts.empty() && parts.back().kind == Part::Kind::kRest;
  if (rest ? segments.size() < parts.size() : segments.size() != parts.size()) return false;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].kind == Part::Kind::kLiteral && parts[i].text != segments[i]) return false;
    if (parts[i].kind == Part::Kind::kParameter && segments[i].empty()) return false;
  }
  return true;
}

bool RouteTable::more_literal(const std::vector<Part>& left, const std::vector<Part>& right) {
  return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end(),
                                      [](const Part& a, const Part& b) { return a.kind < b.kind; });
}

RouteTable::Match RouteTable::match(Method method, std::string_view path) const {
  const Method wanted = method == Method::kHead ? Method::kGet : method;
  const std::vector<std::string> segments = split(path);
  Match match;
  const std::vector<Part>* best = nullptr;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    if (!fits(parts_[i], segments)) continue;
    match.allowed.push_back(routes_[i].method);
    if (routes_[i].method != wanted || (best != nullptr && !more_literal(parts_[i], *best))) continue;
    best = &parts_[i];
    match.route = &routes_[i];
  }
  if (best == nullptr) return match;
  for (std::size_t i = 0; i < best->size(); ++i) {
    const Part& part = (*best)[i];
    if (part.kind == Part::Kind::kParameter) match.params[part.text] = percent_decode(segments[i]);
    if (part.kind != Part::Kind::kRest) continue;
    std::string rest = segments[i];
    for (std::size_t j = i + 1; j < segments.size(); ++j) rest += "/" + segments[j];
    match.params[part.text] = percent_decode(rest);
  }
  return match;
}

json::object RouteTable::openapi(std::string_view title, std::string_view version) const {
  json::object paths;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    std::string path;
    std::vector<std::string> parameters;
    for (const Part& part : parts_[i]) {
      path += "/" + (part.kind == Part::Kind::kLiteral ? part.text : "{" + part.text + "}");
      if (part.kind != Part::Kind::kLiteral) parameters.push_back(part.text);
    }
    if (path.empty()) path = "/";
    std::string method(to_string(routes_[i].method));
    for (char& letter : method) letter = static_cast<char>(letter - 'A' + 'a');
    if (!paths.contains(path)) paths[path] = json::object();
    paths[path].as_object()[method] = described(routes_[i], parameters);
  }
  const json::object text{{"type", "string"}};
  const json::object problem{{"type", "object"},
                             {"required", {"title", "status", "detail", "code"}},
                             {"properties",
                              {{"type", text},
                               {"title", text},
                               {"status", {{"type", "integer"}}},
                               {"detail", text},
                               {"code", text},
                               {"path", text},
                               {"request_id", text}}}};
  return {{"openapi", "3.1.0"},
          {"info", {{"title", title}, {"version", version}}},
          {"paths", paths},
          {"components",
           {{"schemas", {{"Problem", problem}}},
            {"securitySchemes", {{"token", {{"type", "http"}, {"scheme", "bearer"}}}}}}}};
}

}  // namespace platform
