// The head of an answer as it goes over the wire. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "platform/http/response.h"

namespace platform {

/// Status line and headers with the safe defaults that every answer carries; a value with a line break is left out.
/// `length`: bytes of the body; absent = not known, or none by the status.
std::string header_text(const Response& response, std::optional<std::uint64_t> length, bool keep_alive);

}  // namespace platform
