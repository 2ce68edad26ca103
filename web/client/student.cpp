#include "web/client/student.h"

#include <algorithm>
#include <limits>

#include "finetune/model/base.h"
#include "finetune/model/base_digest.h"
#include "finetune/train/example_encoding.h"

namespace web {
namespace {

using platform::Example;

// A log probability that no server means: some write -9999 for what was never looked at.
constexpr double kLeastLogprob = -1e4;

Example with_answer(const Example& asked, const std::string& answer) {
  Example example = asked;
  example.chosen.reset();
  example.rejected.reset();
  example.teacher.reset();
  example.label.reset();
  example.value.reset();
  example.labels.reset();
  example.values.clear();
  if (example.messages.empty()) {
    example.completion = answer;
    return example;
  }
  if (example.messages.back().role == "assistant") example.messages.pop_back();
  example.messages.push_back({"assistant", answer});
  return example;
}

}  // namespace

Student::Student(const std::filesystem::path& base)
    : tokenizer_(finetune::load_base_tokenizer(base)),
      chat_(finetune::load_base_chat(base)),
      digest_(finetune::tokenizer_digest(base)) {
  for (std::int32_t id = 0; id < tokenizer_.vocabulary_size(); ++id) {
    if (tokenizer_.is_special(id)) continue;
    const auto [place, fresh] = spellings_.try_emplace(tokenizer_.token_bytes(id), id);
    if (!fresh) place->second = -1;
  }
}

std::vector<platform::TeacherToken> Student::known(const TaughtToken& token) const {
  std::vector<platform::TeacherToken> tokens;
  for (const auto& [bytes, logprob] : token.likely) {
    const auto found = spellings_.find(bytes);
    if (found == spellings_.end() || found->second < 0) continue;
    if (tokens.size() < platform::kMostTeacherTokens)
      tokens.push_back({found->second, static_cast<float>(std::max(kLeastLogprob, logprob))});
  }
  return tokens;
}

// The student's encoding says which token stands where: every place gets a list that names its place, and is compared.
bool Student::same_tokens(const Example& example, const TaughtAnswer& answer) const {
  Example numbered = example;
  numbered.teacher = platform::Teacher{digest_, {}};
  const auto places = static_cast<std::size_t>(tokenizer_.vocabulary_size());
  if (answer.tokens.empty() || answer.tokens.size() > places) return false;
  for (std::size_t i = 0; i < answer.tokens.size(); ++i)
    numbered.teacher->tokens.push_back({{static_cast<std::int32_t>(i), 0.0f}});
  const finetune::EncodingRules rules{.tokenizer = &tokenizer_,
                                      .chat = &chat_,
                                      .schema = &none_,
                                      .max_tokens = std::numeric_limits<std::int32_t>::max()};
  finetune::EncodedExample encoded;
  try {
    encoded = finetune::encode_example(rules, numbered, true);
  } catch (const platform::Error& error) {
    if (error.path() != "teacher") throw;
    return false;  // more tokens than the student has for the answer
  }
  for (std::size_t i = 0; i < encoded.targets.size(); ++i) {
    if (encoded.teacher[i].empty()) continue;
    const TaughtToken& told = answer.tokens[static_cast<std::size_t>(encoded.teacher[i][0].token)];
    if (told.bytes && *told.bytes != tokenizer_.token_bytes(encoded.targets[i])) return false;
  }
  // Behind the teacher's tokens stands what ends an answer, or nothing.
  std::size_t at = encoded.targets.size();
  while (at > 0 && encoded.teacher[at - 1].empty()) --at;
  const auto next = std::find_if(encoded.targets.begin() + static_cast<std::ptrdiff_t>(at), encoded.targets.end(),
                                 [](std::int32_t id) { return id >= 0; });
  return next == encoded.targets.end() || tokenizer_.is_special(*next);
}

Example Student::taught(const Example& asked, const TaughtAnswer& answer) const {
  Example example = with_answer(asked, answer.text);
  if (!same_tokens(example, answer)) return example;
  example.teacher = platform::Teacher{digest_, {}};
  for (const TaughtToken& token : answer.tokens) example.teacher->tokens.push_back(known(token));
  return example;
}

}  // namespace web
