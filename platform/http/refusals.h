// Answers that the server gives by itself, before or instead of a handler, as application/problem+json. Pure; any
// thread.
#pragma once

#include "platform/http/router.h"

namespace platform {

Response refusal(int status, std::string_view code, std::string_view detail);
/// 404, or 405 with the methods that the address has.
Response not_routed(const RouteTable::Match& match, const Request& request);

}  // namespace platform
