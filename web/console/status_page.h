// The status page, compiled in so that the server needs no files beside it.
#pragma once

#include <string_view>

namespace web {

extern const std::string_view kStatusPage;

}  // namespace web
