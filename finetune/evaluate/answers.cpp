#include "finetune/evaluate/answers.h"

#include <algorithm>
#include <map>

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
      const Generation own = generate(context, *loaded.base, *loaded.model, prompt, options, go_on, computing);
      answers[i] = loaded.parts->memory.answer(*examples[i], own.text);
      said[same.question[i]] = *answers[i];
    }
    if (stop) throw platform::Error(platform::ErrorCode::kCancelled, "the evaluation was asked to stop");
  }
  return answers;
}

}  // namespace finetune
