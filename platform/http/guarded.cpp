// Authorisation and handlers behind the one place where their failures become answers (declared in server_core.h).
#include "platform/http/server_core.h"

namespace platform {

namespace {

// What the client is not told stands in the log, under the request id that the answer carries.
void note(const Log& log, const Error& error) {
  if (http_status(error.code()) < 500 && error.cause().empty()) return;
  json::object told{{"code", to_string(error.code())}};
  if (!error.cause().empty()) told["cause"] = error.cause();
  log.warning(error.what(), std::move(told));
}

/// What `work` returns; every failure becomes a problem answer.
template <class Result, class Work>
Result guarded(ServerCore& core, const Request& request, const Work& work) {
  const json::object context{{"request_id", request.request_id}, {"path", request.path}};
  try {
    return work();
  } catch (const Error& error) {
    note(core.log.with(context), error);
    return problem_response(error, request.request_id);
  } catch (const std::exception& error) {
    core.log.with(context).error("a handler failed", {{"reason", error.what()}});
    return problem_response(
        Error(ErrorCode::kInternal, "the server failed at this request; its log has the reason under the request id"),
        request.request_id);
  }
}

}  // namespace

std::optional<Response> authorise(ServerCore& core, Request& request, const RouteTable::Match& match) {
  return guarded<std::optional<Response>>(core, request, [&]() -> std::optional<Response> {
    request.identity = core.authorize(request, match.route->permission);
    return std::nullopt;
  });
}

Response answer(ServerCore& core, const Request& request, const RouteTable::Match& match) {
  return guarded<Response>(core, request, [&] { return match.route->handler(request); });
}

}  // namespace platform
