// AnswerMemory: answers that a language model's adapter carries beside its weights, so that what it is asked is
// answered with something that a person once wrote. Of the remembered answers the one is given that agrees best, on
// average, with those to the nearest questions and with what the model itself writes (minimum Bayes risk: Kumar and
// Byrne 2004): the model proposes, the memory settles. Where nothing that is remembered has to do with the question,
// the model's own answer stands. Immutable; any thread.
//
// Votes: each of the 20 nearest questions (evaluate/nearest.h) that is nearer than a stranger, d < 2, has exp(-4 d), d
// being its distance, divided among its answers; the 128 heaviest count. All of them together have the weight s, the
// likeness 1 - d/2 of the nearest but at most 0.9; the model's own answer has 1 - s. Agreement of two answers is the F1
// of their longest common subsequence, of steps where they have several, else of words.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "finetune/evaluate/nearest.h"
#include "platform/dataset/example.h"

namespace finetune {

inline constexpr std::int64_t kMostRememberedAnswers = 10000;
inline constexpr const char* kMemoryName = "answers.jsonl";

class AnswerMemory {
 public:
  /// Remembers nothing.
  AnswerMemory() = default;
  /// Questions as question_of() gives them: each one's answer is its label. Throws kInvalidInput for more than
  /// kMostRememberedAnswers, more than 64 MiB, or one without an answer.
  explicit AnswerMemory(std::vector<platform::Example> questions);

  bool empty() const { return questions_.empty(); }
  /// What is answered to an example where the model itself writes `own`. Completions and labels in it are not read.
  std::string answer(const platform::Example& asked, const std::string& own) const;

  /// One example a line.
  void write(const std::filesystem::path& file) const;
  /// Throws kCorrupt or kInvalidInput naming the line at fault; a file of more than 64 MiB is refused.
  static AnswerMemory read(const std::filesystem::path& file);

 private:
  using Answers = std::vector<std::string>;
  std::vector<platform::Example> questions_;                       // as they were given
  std::unordered_map<const platform::Example*, Answers> answers_;  // of the first that asks each question
  std::unique_ptr<const NearestExamples> nearest_;                 // over those
};

}  // namespace finetune
