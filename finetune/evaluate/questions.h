// Examples of a language model as questions with an answer. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "platform/dataset/example.h"

namespace finetune {

/// The completion, the chosen one of two answers, or what the assistant says last; nullopt for plain text and for a
/// conversation that ends otherwise.
std::optional<std::string> wanted_answer(const platform::Example& example);

/// The example as a question: without its completion or the assistant's last turn, which becomes its label. nullopt
/// where there is no wanted answer.
std::optional<platform::Example> question_of(const platform::Example& example);
/// Equal for questions that ask the very same: with the same prompt and values, or the same conversation.
std::string question_key(const platform::Example& question);

/// Examples that ask the very same: with the same prompt and values, or the same conversation before its last turn.
struct SameQuestions {
  std::vector<std::size_t> question;  // of each example: the first that asks it; its own place without answer
  std::map<std::size_t, std::set<std::string>> wanted;  // by such a first example: what all want that ask it
  /// What others want that ask the same as example `i`, each once, without its own answer.
  std::vector<std::string> others(std::size_t i, const std::string& own) const;
};
SameQuestions same_questions(const std::vector<const platform::Example*>& examples);

}  // namespace finetune
