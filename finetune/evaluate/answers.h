// What a language model writes for examples whose answer is known, so that the answers can be scored beside the loss.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "finetune/adapter/loaded_adapter.h"

namespace finetune {

/// The completion, the chosen one of two answers, or what the assistant says last; nullopt for plain text and for a
/// conversation that ends otherwise.
std::optional<std::string> wanted_answer(const platform::Example& example);

/// The example as a question: without its completion or the assistant's last turn, which becomes its label. nullopt
/// where there is no wanted answer.
std::optional<platform::Example> question_of(const platform::Example& example);
/// Examples that ask the very same: with the same prompt and values, or the same conversation before its last turn.
struct SameQuestions {
  std::vector<std::size_t> question;  // of each example: the first that asks it; its own place without answer
  std::map<std::size_t, std::set<std::string>> wanted;  // by such a first example: what all want that ask it
  /// What others want that ask the same as example `i`, each once, without its own answer.
  std::vector<std::string> others(std::size_t i, const std::string& own) const;
};
SameQuestions same_questions(const std::vector<const platform::Example*>& examples);

struct AnswerLimits {
  std::int64_t answers = 500;  // examples that are asked, evenly spaced over those that have an answer
  std::int64_t tokens = 256;   // of one answer
};

/// The greedy answer of each example that was asked, in their order; nullopt for the others. What several examples ask
/// is answered once. Throws kCancelled when `should_stop` says so, which is asked with every piece of text.
std::vector<std::optional<std::string>> answers_of(kernels::Context& context, LoadedAdapter& loaded,
                                                   const std::vector<const platform::Example*>& examples,
                                                   const AnswerLimits& limits, const StopQuestion& should_stop);

}  // namespace finetune
