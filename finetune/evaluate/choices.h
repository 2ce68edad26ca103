// A language model that is asked which of a closed set of answers it finds most likely, without writing any.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "finetune/adapter/loaded_adapter.h"

namespace finetune {

/// How likely a choice is held to be.
enum class ChoiceScore {
  kSum,           // log probability of the whole answer ("acc" of lm-evaluation-harness)
  kPerCharacter,  // the same divided by the answer's code points ("acc_norm" there)
};

/// The choices as the data spell them. {"auto"}: all answers that `train` wants, at most 100, sorted. Else `asked` in
/// its order, each replaced by an answer of `train` or `scored` that differs from it by white space at the ends alone.
/// Throws kInvalidInput for an empty or repeated choice, more than 1,000, and for an "auto" that finds none or too
/// many.
std::vector<std::string> resolved_choices(const std::vector<std::string>& asked,
                                          const std::vector<const platform::Example*>& train,
                                          const std::vector<const platform::Example*>& scored);

/// For each choice the log probability (base e) of the tokens that a training on it as the answer of `example` would
/// teach: the answer and its end, in a conversation as the template writes them. A bare base, which was taught no end,
/// is asked for the answer's tokens alone. What the choices have in common is computed once.
std::vector<double> choice_log_probabilities(kernels::Context& context, LoadedAdapter& loaded,
                                             const platform::Example& example, std::span<const std::string> choices);

/// Sets truth (-1: not among the choices), prediction and probabilities (softmax of the scores) of each example that
/// wants an answer; the others stay without probabilities. Throws kCancelled when `should_stop` says so.
void add_choices(kernels::Context& context, LoadedAdapter& loaded,
                 const std::vector<const platform::Example*>& examples, const std::vector<std::string>& choices,
                 ChoiceScore by, const StopQuestion& should_stop, std::vector<Outcome>& outcomes);

}  // namespace finetune
