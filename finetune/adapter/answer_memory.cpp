#include "finetune/adapter/answer_memory.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "finetune/evaluate/questions.h"
#include "finetune/evaluate/text_metrics.h"
#include "finetune/train/example_encoding.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

constexpr std::size_t kNearestQuestions = 20;
constexpr double kSharpness = 4;
constexpr double kStrangers = 2;  // the distance of a question that shares nothing
// Of two answers to the very same question the model may choose.
constexpr double kMostLikeness = 0.9;
// Agreement is quadratic in these; the lighter votes are left out.
constexpr std::size_t kMostAnswersOfAQuestion = 32;
constexpr std::size_t kMostVotes = 128;
constexpr std::size_t kMostItems = 128;
constexpr std::uint64_t kLargestFile = std::uint64_t{64} << 20;
// Values of all questions: those of an adapter's slots, or what a hostile file holds.
constexpr std::size_t kMostValues = std::size_t{1} << 25;

// Answers as rows of numbers, equal where their steps, or words, are.
class Items {
 public:
  std::vector<int> of(std::string_view answer) {
    std::vector<std::string> texts = steps_of(answer);
    if (texts.size() < 2) texts = words_of(answer);
    texts.resize(std::min(texts.size(), kMostItems));
    std::vector<int> items;
    for (const std::string& text : texts)
      items.push_back(numbers_.try_emplace(text, static_cast<int>(numbers_.size())).first->second);
    return items;
  }

 private:
  static std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; (at = text.find_first_not_of(" \t\r\n", at)) != std::string_view::npos;) {
      const std::size_t end = std::min(text.find_first_of(" \t\r\n", at), text.size());
      words.emplace_back(text.substr(at, end - at));
      at = end;
    }
    return words;
  }

  std::unordered_map<std::string, int> numbers_;
};

std::string line_of(const platform::Example& question) {
  return platform::canonical_json(platform::to_json(question)) + "\n";
}

double agreement(const std::vector<int>& a, const std::vector<int>& b) {
  if (a.empty() && b.empty()) return 1;
  std::vector<int> row(b.size() + 1, 0);
  for (const int item : a) {
    int diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const int above = row[j + 1];
      row[j + 1] = item == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return 2.0 * row.back() / static_cast<double>(a.size() + b.size());
}

struct Vote {
  const std::string* answer = nullptr;
  double weight = 0;
  std::vector<int> items;
};

const std::string& most_agreed(const std::vector<Vote>& votes, const Vote& own) {
  std::vector<double> agreed;
  for (const Vote& vote : votes) agreed.push_back(vote.weight + own.weight * agreement(vote.items, own.items));
  for (std::size_t i = 0; i < votes.size(); ++i) {
    for (std::size_t j = i + 1; j < votes.size(); ++j) {
      const double both = agreement(votes[i].items, votes[j].items);
      agreed[i] += votes[j].weight * both;
      agreed[j] += votes[i].weight * both;
    }
  }
  std::size_t best = 0;
  for (std::size_t i = 1; i < votes.size(); ++i) {
    if (agreed[i] > agreed[best] + 1e-9) best = i;  // rounding must not choose between equals
  }
  return *votes[best].answer;
}

void keep_heaviest(std::vector<Vote>& votes) {
  if (votes.size() <= kMostVotes) return;
  std::stable_sort(votes.begin(), votes.end(), [](const Vote& a, const Vote& b) { return a.weight > b.weight; });
  votes.resize(kMostVotes);
}

std::size_t values_of(const std::vector<const platform::Example*>& questions) {
  std::map<std::string_view, std::size_t> columns;
  for (const platform::Example* question : questions) {
    for (const auto& [name, value] : question->numbers) columns[name] = 1;
    for (const auto& [name, value] : question->categories) columns[name] = 1;
    for (const auto& [name, signal] : question->signals) {
      std::size_t& samples = columns[name];
      samples = std::max(samples, signal.values.size());
    }
  }
  std::size_t each = 0;
  for (const auto& [name, count] : columns) each += count;
  return each * questions.size();
}

}  // namespace

AnswerMemory::AnswerMemory(std::vector<platform::Example> questions) : questions_(std::move(questions)) {
  if (questions_.empty()) return;
  if (questions_.size() > static_cast<std::size_t>(kMostRememberedAnswers)) {
    throw Error(ErrorCode::kInvalidInput, std::to_string(questions_.size()) + " answers to remember; at most " +
                                              std::to_string(kMostRememberedAnswers) + " are");
  }
  std::size_t bytes = 0;
  std::unordered_map<std::string, const platform::Example*> by_key;
  std::vector<const platform::Example*> different;
  for (const platform::Example& question : questions_) {
    if (!question.label)
      throw Error(ErrorCode::kInvalidInput, "the remembered question " + question.id + " has no answer");
    bytes += line_of(question).size();
    if (bytes > kLargestFile) {
      throw Error(
          ErrorCode::kInvalidInput,
          "the answers to remember take more than " + std::to_string(kLargestFile >> 20) + " MiB; remember fewer",
          "remembered_answers");
    }
    const auto [first, is_new] = by_key.try_emplace(question_key(question), &question);
    if (is_new) different.push_back(&question);
    answers_[first->second].push_back(*question.label);
  }
  if (values_of(different) > kMostValues)
    throw Error(ErrorCode::kInvalidInput, "the remembered questions hold more values than fit; remember fewer answers");
  nearest_ = std::make_unique<const NearestExamples>(different, 1, 0);
}

std::string AnswerMemory::answer(const platform::Example& asked, const std::string& own) const {
  if (empty()) return own;
  const platform::Example question = question_of(asked).value_or(asked);
  Items items;
  std::vector<Vote> votes;
  std::map<std::string_view, std::size_t> places;
  double nearest = kStrangers, together = 0;
  for (const auto& [remembered, distance] : nearest_->neighbours(question, kNearestQuestions)) {
    if (distance >= kStrangers) break;
    nearest = std::min(nearest, distance);
    const Answers& answers = answers_.at(remembered);
    const std::size_t count = std::min(answers.size(), kMostAnswersOfAQuestion);
    const double weight = std::exp(-kSharpness * distance);
    together += weight;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string& answer = answers[i * answers.size() / count];
      const auto [at, is_new] = places.try_emplace(answer, votes.size());
      if (is_new) votes.push_back({&answer, 0, {}});
      votes[at->second].weight += weight / static_cast<double>(count);
    }
  }
  if (votes.empty()) return own;
  keep_heaviest(votes);
  for (Vote& vote : votes) vote.items = items.of(*vote.answer);
  const double likeness = std::clamp(1 - nearest / 2, 0.0, kMostLikeness);
  for (Vote& vote : votes) vote.weight *= likeness / together;
  return most_agreed(votes, {&own, 1 - likeness, items.of(own)});
}

void AnswerMemory::write(const std::filesystem::path& file) const {
  std::string lines;
  for (const platform::Example& question : questions_) lines += line_of(question);
  platform::write_file_atomically(file, lines);
}

AnswerMemory AnswerMemory::read(const std::filesystem::path& file) {
  return AnswerMemory(examples_from_lines(platform::read_file(file, kLargestFile), file.string()));
}

}  // namespace finetune
