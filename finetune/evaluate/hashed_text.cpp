#include "finetune/evaluate/hashed_text.h"

namespace finetune {
namespace {

std::uint32_t hash_of(std::string_view text) {
  std::uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

}  // namespace

std::string words_of_example(const platform::Example& example) {
  std::string text = example.text;
  for (const platform::Message& message : example.messages) text += message.content + "\n";
  for (const platform::PromptPart& part : platform::prompt_parts(example)) {
    if (part.kind == platform::PromptPart::Kind::kText) text += part.text;
  }
  return text;
}

std::map<std::uint32_t, float> hashed_pieces(std::string_view text, std::uint32_t buckets) {
  constexpr std::string_view kBetweenWords = " \n\t.,:;";
  std::map<std::uint32_t, float> counts;
  const auto count = [&](std::string_view piece) { counts[hash_of(piece) % buckets] += 1; };
  std::string before;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = text.find_first_not_of(kBetweenWords, at);
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(kBetweenWords, begin), text.size());
    std::string word = " " + std::string(text.substr(begin, end - begin)) + " ";
    count("w" + word);
    count("p" + before + word);
    for (std::size_t length = 3; length <= 5; ++length) {
      for (std::size_t i = 0; i + length <= word.size(); ++i) count(std::string_view(word).substr(i, length));
    }
    before = std::move(word);
    at = end;
  }
  return counts;
}

}  // namespace finetune
