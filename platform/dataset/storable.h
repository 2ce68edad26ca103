// What PostgreSQL can hold. It refuses a whole COPY for one bad value, so each record is looked at before: at the door,
// where its line is known, and once more by the store; what a plant asks and says, at the agent's own port and once
// more by the server. Pure; any thread.
#pragma once

#include <optional>
#include <string>

#include "platform/base/json.h"
#include "platform/dataset/observation.h"

namespace platform {

/// Why the database cannot hold the record, ending in what to do, or nullopt: NUL characters, bytes that are not UTF-8,
/// NaN and infinity, a time outside the years 1 to 9999, a key over 1024 bytes.
std::optional<std::string> what_cannot_be_stored(const Observation& record);

/// Throws kInvalidInput, with the place of what is at fault below `path`, if a name or a value anywhere in `value` is
/// one that no record may hold.
void require_storable(const json::value& value, const std::string& path);

}  // namespace platform
