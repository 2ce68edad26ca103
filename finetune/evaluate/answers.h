// What a language model writes for examples whose answer is known, so that the answers can be scored beside the loss.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "finetune/adapter/loaded_adapter.h"

namespace finetune {

/// The completion, the chosen one of two answers, or what the assistant says last; nullopt for plain text and for a
/// conversation that ends otherwise.
std::optional<std::string> wanted_answer(const platform::Example& example);

struct AnswerLimits {
  std::int64_t answers = 500;  // examples that are asked, evenly spaced over those that have an answer
  std::int64_t tokens = 256;   // of one answer
};

/// The greedy answer of each example that was asked, in their order; nullopt for the others. Throws kCancelled when
/// `should_stop` says so, which is asked with every piece of text.
std::vector<std::optional<std::string>> answers_of(kernels::Context& context, LoadedAdapter& loaded,
                                                   const std::vector<const platform::Example*>& examples,
                                                   const AnswerLimits& limits, const StopQuestion& should_stop);

}  // namespace finetune
