// A run as people read it: its steps, the scores beside their baselines, and a line that moves while it works. Reads
// the JSON of GET /api/v1/runs/{id}. One thread; prints to standard output, the moving line to standard error of a
// terminal.
#pragma once

#include <string>

#include "platform/base/json.h"

namespace web {

class ServerConnection;

/// "approval of ok (approver), rollout of ship"; empty if the run waits for nothing. Pure.
std::string waits_for(const platform::json::object& run);
/// The run, then its steps, one a row.
void print_run(const platform::json::object& run);
/// Metric, value with its interval, each baseline; nothing if no step evaluated.
void print_scores(const platform::json::object& run);
/// "step 120/600  loss 0.4297  3,439 tokens/s  ETA 37 s"; empty text if the progress says nothing of the kind. Pure.
std::string progress_of(const platform::json::value& progress);

/// "worker plant-2/18560 was lost; the step is ready for another one" of an entry of the run's journal that says so;
/// empty of any other. Pure.
std::string loss_of(const platform::json::object& event);
/// Prints what happens to the run until it is over, waits for a person, or (never) the server is gone for good; while
/// the server is away it keeps asking. Returns the run as it stood last.
platform::json::object follow_run(ServerConnection& server, const std::string& id);
/// Exit code of a followed run: 0 succeeded or waiting for approval, 1 otherwise.
int exit_code_of(const platform::json::object& run);

}  // namespace web
