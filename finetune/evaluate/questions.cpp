#include "finetune/evaluate/questions.h"

#include <algorithm>
#include <iterator>

#include "platform/base/json.h"

namespace finetune {

std::optional<std::string> wanted_answer(const platform::Example& example) {
  if (example.chosen) return example.chosen;
  if (!example.messages.empty()) {
    const platform::Message& last = example.messages.back();
    return last.role == "assistant" ? std::optional(last.content) : std::nullopt;
  }
  return example.prompt.empty() ? std::nullopt : std::optional(example.completion);
}

std::optional<platform::Example> question_of(const platform::Example& example) {
  std::optional<std::string> wanted = wanted_answer(example);
  if (!wanted) return std::nullopt;
  platform::Example question = example;
  question.label = std::move(*wanted);
  question.completion.clear();
  if (!question.messages.empty()) question.messages.pop_back();
  return question;
}

std::string question_key(const platform::Example& question) {
  platform::Example bare;
  bare.prompt = question.prompt;
  bare.messages = question.messages;
  bare.numbers = question.numbers;
  bare.categories = question.categories;
  bare.signals = question.signals;
  return platform::canonical_json(platform::to_json(bare));
}

SameQuestions same_questions(const std::vector<const platform::Example*>& examples) {
  std::map<std::string, std::size_t> first;  // example by question
  SameQuestions same;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    std::optional<platform::Example> question = question_of(*examples[i]);
    same.question.push_back(i);
    if (!question) continue;
    same.question[i] = first.try_emplace(question_key(*question), i).first->second;
    same.wanted[same.question[i]].insert(std::move(*question->label));
  }
  return same;
}

std::vector<std::string> SameQuestions::others(std::size_t i, const std::string& own) const {
  std::vector<std::string> all;
  const auto found = wanted.find(question.at(i));
  if (found == wanted.end()) return all;
  std::copy_if(found->second.begin(), found->second.end(), std::back_inserter(all),
               [&](const std::string& answer) { return answer != own; });
  return all;
}

}  // namespace finetune
