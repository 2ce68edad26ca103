// The five-field time table of `on: schedule`: minute hour day-of-month month day-of-week, each `*`, numbers, ranges
// a-b, lists a,b and steps */n. Day 0 and 7 are Sunday. Times are UTC. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace workflows {

/// Empty if `text` is a time table, else what is wrong with it ("hour 25 is not between 0 and 23").
std::string schedule_trouble(std::string_view text);

}  // namespace workflows
