// The files that a run would read, judged before it starts, so that whoever starts it learns at once what its steps may
// not read. Pure; any thread.
#pragma once

#include "connectors/file_access.h"
#include "platform/model/run.h"

namespace workflows {

/// The files and profiles that the steps of a run not yet started name. Throws kForbidden as FileAccess::check does,
/// and for a path made of a step's output, since nobody knows it yet. What counts is asked again of each file that is
/// open (StepServices::file_allowed).
void check_files(const platform::Run& run, const connectors::FileAccess& access);

}  // namespace workflows
