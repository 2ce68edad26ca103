#include "finetune/evaluate/choices.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "finetune/evaluate/answers.h"
#include "finetune/text/unicode.h"

namespace finetune {
namespace {

using Examples = std::vector<const platform::Example*>;
using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

constexpr std::size_t kMostOfTraining = 100, kMost = 1000;

// Without white space around it, which data often have and people leave out.
std::string bare(const std::string& text) {
  const std::string sound = repair_utf8(text);
  return std::string(strip_space(sound, true, true));
}

std::vector<std::string> answers_of_training(const Examples& train) {
  std::set<std::string> wanted;
  for (const platform::Example* example : train) {
    std::optional<std::string> answer = wanted_answer(*example);
    if (answer && !bare(*answer).empty()) wanted.insert(std::move(*answer));
  }
  if (wanted.empty() || wanted.size() > kMostOfTraining) {
    throw Error(ErrorCode::kInvalidInput,
                "the training part wants " + std::to_string(wanted.size()) +
                    " different answers; choices by auto are 1 to " + std::to_string(kMostOfTraining) +
                    ": name the choices",
                "choices");
  }
  return {wanted.begin(), wanted.end()};
}

// Ids and targets of the example answered by each choice.
std::vector<EncodedExample> answered(const LoadedAdapter& loaded, const platform::Example& example,
                                     std::span<const std::string> choices) {
  std::vector<EncodedExample> all;
  const EncodingRules rules = loaded.rules();
  platform::Example asked = example;
  asked.teacher.reset();
  asked.completion.clear();
  if (!asked.messages.empty() && asked.messages.back().role == "assistant") asked.messages.pop_back();
  for (const std::string& choice : choices) {
    EncodedExample encoded = encode_answer(rules, asked, choice);
    const auto end = loaded.base->tokenizer.eos_id();
    const bool taught = !loaded.adapter_digest.empty() || !asked.messages.empty();
    if (!taught && end && encoded.ids.back() == *end && encoded.ids.size() > 1) {
      encoded.ids.pop_back();
      encoded.targets.pop_back();
      encoded.targets.back() = kernels::kIgnoredTarget;
    }
    if (encoded.supervised() == 0) {
      throw Error(ErrorCode::kInvalidInput,
                  "example " + example.id + " has no token of the choice \"" + choice + "\" to score; leave it out",
                  "choices");
    }
    all.push_back(std::move(encoded));
  }
  return all;
}

// How many tokens all variants begin with, none of which is behind the first that is asked for; 0 where a slot stands
// behind them.
std::size_t common_length(const std::vector<EncodedExample>& variants) {
  std::size_t length = variants.front().ids.size();
  for (const EncodedExample& variant : variants) {
    const auto asked = std::find_if(variant.targets.begin(), variant.targets.end(), [](auto t) { return t >= 0; });
    length = std::min(length, static_cast<std::size_t>(asked - variant.targets.begin()) + 1);
    const auto differs =
        std::mismatch(variant.ids.begin(), variant.ids.end(), variants.front().ids.begin(), variants.front().ids.end());
    length = std::min(length, static_cast<std::size_t>(differs.first - variant.ids.begin()));
  }
  for (const EncodedExample& variant : variants) {
    if (std::count(variant.ids.begin() + static_cast<std::ptrdiff_t>(length), variant.ids.end(), -1) > 0) return 0;
  }
  return length;
}

double sum_of(const std::vector<float>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

class SharedPrompt {
 public:
  // `length`: as common_length() gives it, and not 0.
  SharedPrompt(kernels::Context& context, LoadedAdapter& loaded, const std::vector<EncodedExample>& variants,
               std::size_t length)
      : context_(context),
        loaded_(loaded),
        length_(static_cast<std::int64_t>(length)),
        cache_(config(), longest(variants)) {
    const EncodedExample* first[] = {&variants.front()};
    const Tensor* slots = loaded_.model->slot_embeddings(context_, first);
    const Tensor& hidden = continued(std::span(variants.front().ids).first(length), slots);
    last_ = hidden.slice_rows(hidden.size(0) - 1, hidden.size(0)).clone();
  }

  double log_probability(const EncodedExample& variant) {
    cache_.rewind(length_);
    const auto begin = static_cast<std::size_t>(length_);
    // The last token is followed by nothing that is asked for.
    const std::int64_t rest = std::max<std::int64_t>(0, static_cast<std::int64_t>(variant.ids.size()) - length_ - 1);
    Tensor hidden({rest + 1, config().hidden_size});
    hidden.slice_rows(0, 1).copy_from(last_);
    if (rest > 0) {
      const Tensor& rows = continued(std::span(variant.ids).subspan(begin, static_cast<std::size_t>(rest)), nullptr);
      hidden.slice_rows(1, rest + 1).copy_from(rows.slice_rows(rows.size(0) - rest, rows.size(0)));
    }
    const std::vector<std::int32_t> targets(variant.targets.begin() + static_cast<std::ptrdiff_t>(begin) - 1,
                                            variant.targets.begin() + static_cast<std::ptrdiff_t>(begin) + rest);
    Tensor logs({rest + 1});
    kernels::token_log_probabilities(context_, hidden, loaded_.model->transformer().output_head().weight(),
                                     Tensor::from(targets), config().head_options(), logs);
    const auto values = logs.values<float>();
    return sum_of({values.begin(), values.end()});
  }

 private:
  const ModelConfig& config() const { return loaded_.base->config; }
  static std::int64_t longest(const std::vector<EncodedExample>& variants) {
    std::size_t most = 0;
    for (const EncodedExample& variant : variants) most = std::max(most, variant.ids.size());
    return static_cast<std::int64_t>(most);
  }
  const Tensor& continued(std::span<const std::int32_t> ids, const Tensor* slots) {
    return loaded_.model->transformer().forward_cached(context_, pack_documents({&ids, 1}), slots, cache_);
  }

  kernels::Context& context_;
  LoadedAdapter& loaded_;
  std::int64_t length_;
  KeyValueCache cache_;
  Tensor last_;  // [1, H]: the final hidden state of the last token that all have
};

std::size_t characters_of(std::string_view text) {
  std::size_t count = 0;
  const std::string sound = repair_utf8(text);
  for (std::size_t at = 0; at < sound.size(); ++count) next_code_point(sound, at);
  return count;
}

}  // namespace

std::vector<std::string> resolved_choices(const std::vector<std::string>& asked, const Examples& train,
                                          const Examples& scored) {
  if (asked == std::vector<std::string>{"auto"}) return answers_of_training(train);
  if (asked.size() > kMost)
    throw Error(ErrorCode::kInvalidInput,
                std::to_string(asked.size()) + " choices; at most " + std::to_string(kMost) + " are compared",
                "choices");
  std::map<std::string, std::string> spelled;
  std::set<std::string> exact;
  for (const Examples* part : {&train, &scored}) {
    for (const platform::Example* example : *part) {
      const auto answer = wanted_answer(*example);
      if (!answer) continue;
      spelled.try_emplace(bare(*answer), *answer);
      exact.insert(*answer);
    }
  }
  std::vector<std::string> choices;
  for (const std::string& choice : asked) {
    const auto known = spelled.find(bare(choice));
    choices.push_back(exact.contains(choice) || known == spelled.end() ? choice : known->second);
    if (bare(choice).empty()) throw Error(ErrorCode::kInvalidInput, "a choice is empty; leave it out", "choices");
    if (std::count(choices.begin(), choices.end(), choices.back()) > 1)
      throw Error(ErrorCode::kInvalidInput, "the choice \"" + choice + "\" stands twice; leave one out", "choices");
  }
  return choices;
}

std::vector<double> choice_log_probabilities(kernels::Context& context, LoadedAdapter& loaded,
                                             const platform::Example& example, std::span<const std::string> choices) {
  const std::vector<EncodedExample> variants = answered(loaded, example, choices);
  std::vector<double> sums;
  if (const std::size_t length = common_length(variants)) {
    SharedPrompt prompt(context, loaded, variants, length);
    for (const EncodedExample& variant : variants) sums.push_back(prompt.log_probability(variant));
    return sums;
  }
  for (const EncodedExample& variant : variants) {
    const EncodedExample* one[] = {&variant};
    sums.push_back(sum_of(loaded.model->outputs(context, one).front()));
  }
  return sums;
}

void add_choices(kernels::Context& context, LoadedAdapter& loaded, const Examples& examples,
                 const std::vector<std::string>& choices, ChoiceScore by, const StopQuestion& should_stop,
                 std::vector<Outcome>& outcomes) {
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const std::optional<std::string> wanted = wanted_answer(*examples[i]);
    if (!wanted || bare(*wanted).empty()) continue;
    if (should_stop && should_stop()) throw Error(ErrorCode::kCancelled, "the evaluation was asked to stop");
    std::vector<double> scores = choice_log_probabilities(context, loaded, *examples[i], choices);
    for (std::size_t k = 0; k < scores.size() && by == ChoiceScore::kPerCharacter; ++k)
      scores[k] /= static_cast<double>(characters_of(choices[k]));
    const auto best = std::max_element(scores.begin(), scores.end());
    const double largest = *best;
    const auto truth = std::find(choices.begin(), choices.end(), *wanted);
    Outcome& outcome = outcomes[i];
    outcome.truth = truth == choices.end() ? -1 : static_cast<std::int32_t>(truth - choices.begin());
    outcome.prediction = static_cast<std::int32_t>(best - scores.begin());
    double sum = 0;
    for (double& score : scores) sum += score = std::exp(score - largest);
    for (const double score : scores) outcome.probabilities.push_back(static_cast<float>(score / sum));
  }
}

}  // namespace finetune
