// What every REST resource does alike: handlers made of member functions, values that may be absent, pages of lists.
// Pure; any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "platform/base/clock.h"
#include "platform/dataset/storable.h"
#include "platform/http/request.h"
#include "platform/http/response.h"

namespace web {

/// Makes handlers of the members of one object, made of `services`.
template <typename Routes>
class Handlers {
 public:
  template <typename Services>
  explicit Handlers(Services&& services) : routes_(std::make_shared<const Routes>(std::forward<Services>(services))) {}

  std::function<platform::Response(const platform::Request&)> operator()(
      platform::Response (Routes::*member)(const platform::Request&) const) const {
    return [routes = routes_, member](const platform::Request& request) { return ((*routes).*member)(request); };
  }

 private:
  std::shared_ptr<const Routes> routes_;  // shared by the handlers, which outlive whoever made them
};

/// The body as a JSON object that the database can hold; an empty body is an empty object. Throws kInvalidInput with
/// the place of what it cannot hold.
inline platform::json::object body_of(const platform::Request& request) {
  platform::json::object body = request.json_object();
  platform::require_storable(body, "body");
  return body;
}

/// Absent = null; a time as text.
template <typename Value>
platform::json::value or_null(const std::optional<Value>& value) {
  return value ? platform::json::value(*value) : platform::json::value();
}
inline platform::json::value or_null(const std::optional<platform::Time>& time) {
  return time ? platform::json::value(platform::format_time(*time)) : platform::json::value();
}

/// {"items": [...]}, and behind a full page "next": what to put into the query to have the rest, such as
/// "after=line-3". `last`: where the next page goes on; empty = nowhere.
inline platform::json::object page(platform::json::array items, std::int64_t limit, const std::string& key,
                                   const std::string& last) {
  platform::json::object body;
  const bool full = static_cast<std::int64_t>(items.size()) >= limit;
  body["items"] = std::move(items);
  if (full && !last.empty()) body["next"] = key + "=" + platform::percent_encode(last);
  return body;
}

}  // namespace web
