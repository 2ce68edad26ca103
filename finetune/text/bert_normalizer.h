// The cleaning that BERT vocabularies expect before their text is cut into words. Pure; any thread.
#pragma once

#include <vector>

#include "finetune/text/text_rewriter.h"
#include "platform/base/json.h"

namespace finetune {

/// Controls removed and white space made blank, spaces round Chinese characters, accents removed, lower case: in this
/// order, each where the file wants it.
std::vector<RewriteStep> bert_steps(const platform::json::object& object);

}  // namespace finetune
