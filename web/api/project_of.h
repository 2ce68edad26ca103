// The project that a request is about: its token's. Pure.
#pragma once

#include <string>

#include "platform/http/request.h"

namespace web {

inline std::string project_of(const platform::Request& request) {
  return request.identity.project.empty() ? "default" : request.identity.project;
}

}  // namespace web
