#include "platform/http/refusals.h"

namespace platform {

Response refusal(int status, std::string_view code, std::string_view detail) {
  const json::object problem{
      {"type", "about:blank"}, {"title", code}, {"status", status}, {"detail", detail}, {"code", code}};
  return {status, {{"Content-Type", "application/problem+json"}}, json::serialize(problem)};
}

Response not_routed(const RouteTable::Match& match, const Request& request) {
  if (match.allowed.empty())
    return problem_response(
        Error(ErrorCode::kNotFound, "no such address: " + request.path + "; GET /openapi.json lists them"),
        request.request_id);
  Response response = refusal(405, "method_not_allowed",
                              std::string(to_string(request.method)) + " is not possible on " + request.path);
  std::string allowed;
  for (const Method method : match.allowed) {
    allowed +=
        (allowed.empty() ? "" : ", ") + std::string(to_string(method)) + (method == Method::kGet ? ", HEAD" : "");
  }
  response.headers["Allow"] = allowed;
  return response;
}

}  // namespace platform
