// What a dataset needs to know of one record: where it came from, when, and what it says. The store's records, a pushed
// row and the plant agent's prediction request all become this before a profile reads them. Plain value; any thread.
#pragma once

#include <map>
#include <string>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/dataset/example.h"

namespace platform {

struct Observation {
  std::string source;
  std::string key;      // unique within the source
  Time event_time{};    // zero if the record has none
  json::object fields;  // raw values as they came in: text, numbers, booleans, arrays of numbers for signals;
                        // a record's free text stands here under `text`
  std::map<std::string, Signal> signals;
  bool usable = true;  // false: the source marked the record's quality as bad; a snapshot leaves it out and says so
};

}  // namespace platform
