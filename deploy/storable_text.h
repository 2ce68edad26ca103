// What a plant sends must be what the server's database can keep: JSON may hold a NUL character, PostgreSQL may not.
// Checked where text comes in, at the agent's own port, and once more by the server. Pure; any thread.
#pragma once

#include <string>

#include "platform/base/json.h"

namespace deploy {

/// Throws kInvalidInput, with the path of the text at fault below `path`, if a name or a text in `value` holds a NUL.
void refuse_nul(const platform::json::value& value, const std::string& path);

}  // namespace deploy
