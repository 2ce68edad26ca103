// What a language model writes for examples whose answer is known, so that the answers can be scored beside the loss.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "finetune/adapter/loaded_adapter.h"
#include "finetune/evaluate/questions.h"

namespace finetune {

struct AnswerLimits {
  std::int64_t answers = 500;  // examples that are asked, evenly spaced over those that have an answer
  std::int64_t tokens = 256;   // of one answer
};

/// The answer of each example that was asked, in their order, greedy or where the adapter remembers answers the one
/// that it settles on; nullopt for the others. What several examples ask is answered once. Throws kCancelled when
/// `should_stop` says so, which is asked with every piece of text.
std::vector<std::optional<std::string>> answers_of(kernels::Context& context, LoadedAdapter& loaded,
                                                   const std::vector<const platform::Example*>& examples,
                                                   const AnswerLimits& limits, const StopQuestion& should_stop);

}  // namespace finetune
