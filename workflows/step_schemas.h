// The options, outputs and needs of every step kind, apart from the code that runs it, so that a workflow can be
// checked where no database is. The table that joins both is steps.h. Pure; any thread.
#pragma once

#include <vector>

#include "workflows/step_kind.h"

namespace workflows {

/// All kinds, alphabetical, without `make`.
const std::vector<StepKind>& step_schemas();

}  // namespace workflows
