#include "finetune/evaluate/answers.h"

#include <algorithm>
#include <iterator>

#include <map>
#include <set>

#include "finetune/generate/generator.h"

namespace finetune {
namespace {

// The indices of the examples that are asked.
std::vector<std::size_t> asked_of(const std::vector<const platform::Example*>& examples, std::int64_t most) {
  std::vector<std::size_t> with_answer, asked;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    if (wanted_answer(*examples[i])) with_answer.push_back(i);
  }
  const std::size_t count = std::min(with_answer.size(), static_cast<std::size_t>(std::max<std::int64_t>(0, most)));
  for (std::size_t i = 0; i < count; ++i) asked.push_back(with_answer[i * with_answer.size() / count]);
  return asked;
}

}  // namespace

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

SameQuestions same_questions(const std::vector<const platform::Example*>& examples) {
  std::map<std::string, std::size_t> first;  // example by question
  SameQuestions same;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    std::optional<platform::Example> question = question_of(*examples[i]);
    same.question.push_back(i);
    if (!question) continue;
    platform::Example bare;
    bare.prompt = std::move(question->prompt);
    bare.messages = std::move(question->messages);
    bare.numbers = std::move(question->numbers);
    bare.categories = std::move(question->categories);
    bare.signals = std::move(question->signals);
    same.question[i] = first.try_emplace(platform::canonical_json(platform::to_json(bare)), i).first->second;
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

std::vector<std::optional<std::string>> answers_of(kernels::Context& context, LoadedAdapter& loaded,
                                                   const std::vector<const platform::Example*>& examples,
                                                   const AnswerLimits& limits, const StopQuestion& should_stop) {
  const GenerateOptions options{.max_tokens = limits.tokens};
  const EncodingRules rules = loaded.prompt_rules(options.max_tokens);
  const auto stopped = [&] { return should_stop && should_stop(); };
  FairMutex computing;
  std::vector<std::optional<std::string>> answers(examples.size());
  const SameQuestions same = same_questions(examples);
  std::map<std::size_t, std::string> said;  // greedy: the very same question gets the very same answer
  for (const std::size_t i : asked_of(examples, limits.answers)) {
    if (const auto known = said.find(same.question[i]); known != said.end()) {
      answers[i] = known->second;
      continue;
    }
    bool stop = stopped();
    const OnPiece go_on = [&](std::string_view) { return !(stop = stopped()); };
    if (!stop) {
      const EncodedExample prompt = encode_example(rules, *examples[i], false);
      answers[i] = generate(context, *loaded.base, *loaded.model, prompt, options, go_on, computing).text;
      said[same.question[i]] = *answers[i];
    }
    if (stop) throw platform::Error(platform::ErrorCode::kCancelled, "the evaluation was asked to stop");
  }
  return answers;
}

}  // namespace finetune
