// One HTTP request as a handler sees it: parsed, bounded, authorised. Value type; a handler reads it on one thread,
// only the cancelled flag is set from another. No Boost type appears here, so that routes compile fast.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace platform {

enum class Method { kGet, kHead, kPost, kPut, kPatch, kDelete };
/// "GET", "HEAD", ...
std::string_view to_string(Method method);
/// nullopt for a method that no route can have.
std::optional<Method> method_from(std::string_view text);

/// Orders ASCII text without regard to case, as header names are compared.
struct CaseInsensitiveLess {
  using is_transparent = void;
  bool operator()(std::string_view left, std::string_view right) const;
};
using Headers = std::map<std::string, std::string, CaseInsensitiveLess>;

/// Who asks. Filled by the server's authorize function; all empty on a public route asked without a token.
struct Identity {
  std::string name;
  std::string role;
  std::string project;
};

struct Request {
  Method method = Method::kGet;
  std::string path;                                        // as sent, without the query: "/api/v1/sources/line%203"
  std::map<std::string, std::string, std::less<>> params;  // the pattern's {names}, percent-decoded
  std::map<std::string, std::string, std::less<>> query;   // percent-decoded; of a repeated key the last value
  Headers headers;
  std::string body;  // at most the route's body_limit
  Identity identity;
  std::string request_id;  // also in the X-Request-Id answer header and in every log line of this request
  std::string remote;      // "127.0.0.1:51234"
  std::shared_ptr<std::atomic<bool>> cancel_flag;  // shared with the connection, which outlives neither

  /// True once the client is gone or the server stops; long handlers look at it now and then.
  bool cancelled() const { return cancel_flag && cancel_flag->load(); }
  /// The value of {name}; a name that the pattern lacks is a bug and throws kInternal.
  const std::string& param(std::string_view name) const;
  std::string query_or(std::string_view name, std::string_view fallback) const;
  /// Throws kInvalidInput if the value is no whole number between `least` and `most`.
  std::int64_t query_int(std::string_view name, std::int64_t fallback, std::int64_t least, std::int64_t most) const;
  std::optional<std::string> header(std::string_view name) const;
  /// The media type without parameters, lower case; "" if none was sent.
  std::string content_type() const;
  /// The body as JSON; throws kInvalidInput if it is none.
  json::value json_body() const;
  /// The body as a JSON object; an empty body is an empty object.
  json::object json_object() const;
};

/// Percent-decoding of one path segment or query part ('+' is a blank only in a query). Throws kInvalidInput also where
/// what was encoded is no UTF-8 or holds a NUL: nothing behind this door can keep it.
std::string percent_decode(std::string_view text, bool plus_is_blank = false);
/// Encodes everything but unreserved characters; for building paths: "/api/v1/sources/" + percent_encode(name).
std::string percent_encode(std::string_view text);

}  // namespace platform
