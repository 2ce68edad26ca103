// Source: a configured connector of a project. Plain values.
#pragma once

#include <string>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace platform {

struct Source {
  std::string project = "default";
  std::string name;
  std::string connector;  // a name of the connector table
  json::object settings;
  std::string profile;
  std::string schedule;
  std::string owner;
  std::string location;           // enterprise/site/area/line/cell
  std::string state = "stopped";  // stopped or running: what the operator asked for
  Time created_at{};
};

/// An interval in which a source is known to have lost data.
struct SourceGap {
  Time from{};
  Time to{};
  std::string reason;
};

}  // namespace platform
