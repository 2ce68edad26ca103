// The results of a bench for people and programs: the same rows on a terminal and in Markdown, and everything, every
// single run with it, as JSON. Pure; any thread.
#pragma once

#include <string>

#include "finetune/bench/adaptation.h"
#include "platform/base/json.h"

namespace finetune {

/// Columns in line, a note below.
std::string results_text(const AdaptationResults& results);
std::string results_markdown(const AdaptationResults& results);
platform::json::value to_json(const AdaptationResults& results);

}  // namespace finetune
