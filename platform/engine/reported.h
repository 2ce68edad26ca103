// What a step reports of itself, made fit for the database: broken text is mended, numbers that JSON has no word for
// become null, so that a heartbeat never fails for what it carries. Pure; any thread.
#pragma once

#include "platform/base/json.h"

namespace platform {

json::value reported(const json::value& value);

}  // namespace platform
