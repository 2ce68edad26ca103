#include "platform/http/response.h"

#include <array>

namespace platform {

namespace {

constexpr std::array kCodes{ErrorCode::kInvalidInput, ErrorCode::kUnauthenticated, ErrorCode::kForbidden,
                            ErrorCode::kNotFound,     ErrorCode::kConflict,        ErrorCode::kTooLarge,
                            ErrorCode::kCorrupt,      ErrorCode::kCancelled,       ErrorCode::kUnavailable,
                            ErrorCode::kDiskFull,     ErrorCode::kInternal};

ErrorCode code_of_status(int status) {
  switch (status) {
    case 401: return ErrorCode::kUnauthenticated;
    case 403: return ErrorCode::kForbidden;
    case 404: return ErrorCode::kNotFound;
    case 409: return ErrorCode::kConflict;
    case 413: return ErrorCode::kTooLarge;
    case 408:
    case 429:
    case 502:
    case 503:
    case 504: return ErrorCode::kUnavailable;
    default: return status >= 500 ? ErrorCode::kInternal : ErrorCode::kInvalidInput;
  }
}

ErrorCode code_named(std::string_view name, int status) {
  for (const ErrorCode code : kCodes) {
    if (to_string(code) == name) return code;
  }
  return code_of_status(status);
}

}  // namespace

bool EventSink::send(std::string_view event, std::string_view data, std::string_view id) {
  std::string text;
  if (!id.empty()) text.append("id: ").append(id).append("\n");
  if (!event.empty()) text.append("event: ").append(event).append("\n");
  for (std::size_t start = 0; start <= data.size();) {
    const std::size_t end = std::min(data.find('\n', start), data.size());
    text.append("data: ").append(data.substr(start, end - start)).append("\n");
    start = end + 1;
  }
  return write(text.append("\n"));
}

bool EventSink::keep_alive() { return write(":\n\n"); }

Response json_response(const json::value& value, int status) {
  return {status, {{"Content-Type", "application/json"}}, json::serialize(value)};
}

Response text_response(std::string text, std::string content_type, int status) {
  return {status, {{"Content-Type", std::move(content_type)}}, std::move(text)};
}

Response empty_response() { return {204, {}, std::string()}; }

Response file_response(std::filesystem::path path, std::string content_type, std::string etag) {
  Response response{200, {{"Content-Type", std::move(content_type)}}, FileBody{std::move(path), 0, std::nullopt}};
  if (!etag.empty()) response.headers["ETag"] = "\"" + etag + "\"";
  return response;
}

Response event_response(std::function<void(EventSink&)> produce) {
  return {200, {{"Content-Type", "text/event-stream"}}, StreamBody{std::move(produce)}};
}

Response problem_response(const Error& error, std::string_view request_id) {
  const int status = http_status(error.code());
  json::object problem{{"type", "about:blank"},
                       {"title", to_string(error.code())},
                       {"status", status},
                       {"detail", error.what()},
                       {"code", to_string(error.code())}};
  if (!error.path().empty()) problem["path"] = error.path();
  if (!request_id.empty()) problem["request_id"] = request_id;
  Response response{status, {{"Content-Type", "application/problem+json"}}, json::serialize(problem)};
  if (error.code() == ErrorCode::kUnauthenticated) response.headers["WWW-Authenticate"] = "Bearer";
  if (status == 503) response.headers["Retry-After"] = "1";
  return response;
}

Error error_from(int status, std::string_view body, std::string_view what) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(json::string_view(body.data(), body.size()), failed);
  const json::object* problem = failed ? nullptr : parsed.if_object();
  const json::value* detail = problem == nullptr ? nullptr : problem->if_contains("detail");
  if (detail == nullptr || !detail->is_string()) {
    return Error(code_of_status(status), std::string(what) + " answered " + std::to_string(status));
  }
  const json::value* code = problem->if_contains("code");
  const json::value* path = problem->if_contains("path");
  return Error(code_named(code != nullptr && code->is_string() ? std::string_view(code->get_string()) : "", status),
               std::string(detail->get_string()),
               path != nullptr && path->is_string() ? std::string(path->get_string()) : "");
}

}  // namespace platform
