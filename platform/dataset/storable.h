// Which records PostgreSQL can hold. It refuses a whole COPY for one bad value, so each record is looked at before: at
// the door, where its line is known, and once more by the store. Pure; any thread.
#pragma once

#include <optional>
#include <string>

#include "platform/dataset/observation.h"

namespace platform {

/// Why the database cannot hold the record, ending in what to do, or nullopt: NUL characters, bytes that are not UTF-8,
/// NaN and infinity, a time outside the years 1 to 9999, a key over 1024 bytes.
std::optional<std::string> what_cannot_be_stored(const Observation& record);

}  // namespace platform
