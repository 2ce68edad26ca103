#include "finetune/evaluate/text_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "finetune/text/unicode.h"

namespace finetune {
namespace {

using Tokens = std::vector<std::string>;
using Counts = std::map<std::vector<std::string_view>, double>;

Tokens tokens_of(std::string_view text) {
  const std::string sound = repair_utf8(text);
  Tokens tokens;
  bool open = false;
  for (std::size_t at = 0; at < sound.size();) {
    const std::size_t begin = at;
    const bool space = is_white_space(next_code_point(sound, at));
    if (!space && !open) tokens.emplace_back();
    if (!space) tokens.back() += sound.substr(begin, at - begin);
    open = !space;
  }
  return tokens;
}

// Characters that are not white space, one string each.
Tokens characters_of(std::string_view text) {
  Tokens characters;
  for (const std::string& token : tokens_of(text)) {
    for (std::size_t at = 0; at < token.size();) {
      const std::size_t begin = at;
      next_code_point(token, at);
      characters.push_back(token.substr(begin, at - begin));
    }
  }
  return characters;
}

Counts n_grams(const Tokens& tokens, std::size_t n) {
  Counts counts;
  for (std::size_t i = 0; i + n <= tokens.size(); ++i) {
    counts[{tokens.begin() + static_cast<std::ptrdiff_t>(i), tokens.begin() + static_cast<std::ptrdiff_t>(i + n)}] += 1;
  }
  return counts;
}

struct Matches {
  double matched = 0, reference = 0, hypothesis = 0;
  void operator+=(const Matches& other) {
    matched += other.matched;
    reference += other.reference;
    hypothesis += other.hypothesis;
  }
};

Matches matches_of(const Tokens& reference, const Tokens& hypothesis, std::size_t n) {
  const Counts wanted = n_grams(reference, n);
  Matches matches;
  for (const auto& [gram, count] : wanted) matches.reference += count;
  for (const auto& [gram, count] : n_grams(hypothesis, n)) {
    matches.hypothesis += count;
    const auto found = wanted.find(gram);
    if (found != wanted.end()) matches.matched += std::min(count, found->second);
  }
  return matches;
}

Overlap overlap_of(const Matches& matches) {
  if (matches.matched == 0) return {};
  Overlap overlap{matches.matched / matches.hypothesis, matches.matched / matches.reference, 0};
  overlap.f1 = 2 * overlap.precision * overlap.recall / (overlap.precision + overlap.recall);
  return overlap;
}

// Where the number of a step ends that begins at `at`, its sign and the white space behind it included; `at` where
// there is none.
std::size_t number_end(std::string_view line, std::size_t at) {
  const std::string_view kWord = "step", kKoreanWord = "\xEB\x8B\xA8\xEA\xB3\x84";
  const auto spaces = [&](std::size_t from) { return std::min(line.find_first_not_of(" \t", from), line.size()); };
  std::size_t digits = at;
  const std::string_view rest = line.substr(at);
  if (rest.size() > kWord.size() && std::equal(kWord.begin(), kWord.end(), rest.begin(), [](char word, char given) {
        return word == (given >= 'A' && given <= 'Z' ? given - 'A' + 'a' : given);
      })) {
    digits = spaces(at + kWord.size());
  } else if (rest.starts_with(kKoreanWord)) {
    digits = spaces(at + kKoreanWord.size());
  }
  std::size_t sign = std::min(line.find_first_not_of("0123456789", digits), line.size());
  if (sign == digits) return at;
  if (line.substr(sign).starts_with(kKoreanWord)) sign += kKoreanWord.size();
  if (sign >= line.size() || std::string_view(":.)").find(line[sign]) == std::string_view::npos) return at;
  const std::size_t end = spaces(sign + 1);
  return end == sign + 1 && end < line.size() ? at : end;
}

bool is_punctuation(char character) {
  const auto code = static_cast<unsigned char>(character);
  return code < 0x80 && std::ispunct(code) != 0;
}

// Words with the last, or else the first, ASCII punctuation mark as a word of its own.
Tokens words_of(std::string_view text) {
  Tokens words;
  for (const std::string& token : tokens_of(text)) {
    std::size_t first = 0;
    next_code_point(token, first);
    if (first == token.size()) {
      words.push_back(token);
    } else if (is_punctuation(token.back())) {
      words.push_back(token.substr(0, token.size() - 1));
      words.push_back(token.substr(token.size() - 1));
    } else if (is_punctuation(token.front())) {
      words.push_back(token.substr(0, 1));
      words.push_back(token.substr(1));
    } else {
      words.push_back(token);
    }
  }
  return words;
}

}  // namespace

bool exact_match(std::string_view reference, std::string_view hypothesis) {
  return tokens_of(reference) == tokens_of(hypothesis);
}

double token_f1(std::string_view reference, std::string_view hypothesis) {
  const Tokens wanted = tokens_of(reference), got = tokens_of(hypothesis);
  return wanted.empty() && got.empty() ? 1 : overlap_of(matches_of(wanted, got, 1)).f1;
}

Overlap rouge_n(std::string_view reference, std::string_view hypothesis, int n) {
  return overlap_of(matches_of(tokens_of(reference), tokens_of(hypothesis), static_cast<std::size_t>(n)));
}

Overlap rouge_l(std::string_view reference, std::string_view hypothesis) {
  return common_subsequence(tokens_of(reference), tokens_of(hypothesis));
}

Overlap common_subsequence(std::span<const std::string> reference, std::span<const std::string> hypothesis) {
  std::vector<double> row(hypothesis.size() + 1, 0);  // longest with the first i and j items
  for (const std::string& item : reference) {
    double diagonal = 0;
    for (std::size_t j = 0; j < hypothesis.size(); ++j) {
      const double above = row[j + 1];
      row[j + 1] = item == hypothesis[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return overlap_of({row.back(), static_cast<double>(reference.size()), static_cast<double>(hypothesis.size())});
}

std::vector<std::string> steps_of(std::string_view text) {
  const std::string sound = repair_utf8(text);
  std::vector<std::string> steps;
  for (std::size_t at = 0; at < sound.size();) {
    const std::size_t end = std::min(sound.find_first_of("\r\n", at), sound.size());
    std::string_view line = strip_space(std::string_view(sound).substr(at, end - at), true, true);
    at = end + 1;
    if (line.starts_with("- ") || line.starts_with("* ")) line = strip_space(line.substr(2), true, false);
    line.remove_prefix(number_end(line, 0));
    if (!line.empty()) steps.emplace_back(line);
  }
  return steps;
}

double lcs_f1(std::string_view reference, std::string_view hypothesis) {
  const std::vector<std::string> wanted = steps_of(reference), got = steps_of(hypothesis);
  return wanted.empty() && got.empty() ? 1 : common_subsequence(wanted, got).f1;
}

double chrf(std::string_view reference, std::string_view hypothesis, int word_order) {
  constexpr std::size_t kCharacterOrder = 6;
  constexpr double kBetaSquared = 4;
  double precision = 0, recall = 0, orders = 0;
  const auto add = [&](const Tokens& wanted, const Tokens& got, std::size_t order) {
    for (std::size_t n = 1; n <= order; ++n) {
      const Matches matches = matches_of(wanted, got, n);
      if (matches.reference == 0 || matches.hypothesis == 0) continue;
      precision += matches.matched / matches.hypothesis;
      recall += matches.matched / matches.reference;
      orders += 1;
    }
  };
  add(characters_of(reference), characters_of(hypothesis), kCharacterOrder);
  add(words_of(reference), words_of(hypothesis), static_cast<std::size_t>(word_order));
  if (precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  return 100 * (1 + kBetaSquared) * precision * recall / (kBetaSquared * precision + recall);
}

AnswerScores score_answer(std::string_view wanted, std::string_view answer, std::span<const std::string> others) {
  AnswerScores scores{.exact_match = exact_match(wanted, answer) ? 1.0 : 0.0,
                      .token_f1 = token_f1(wanted, answer),
                      .rouge_1 = rouge_n(wanted, answer, 1).f1,
                      .rouge_2 = rouge_n(wanted, answer, 2).f1,
                      .rouge_l = rouge_l(wanted, answer).f1,
                      .chrf = finetune::chrf(wanted, answer),
                      .lcs_f1 = finetune::lcs_f1(wanted, answer)};
  for (const std::string& other : others) scores.lcs_f1 = std::max(*scores.lcs_f1, finetune::lcs_f1(other, answer));
  return scores;
}

double character_bleu(std::span<const std::string> references, std::span<const std::string> hypotheses) {
  constexpr std::size_t kOrder = 4;
  std::array<Matches, kOrder> orders{};
  for (std::size_t i = 0; i < references.size(); ++i) {
    const Tokens wanted = characters_of(references[i]), got = characters_of(hypotheses[i]);
    for (std::size_t n = 0; n < kOrder; ++n) orders[n] += matches_of(wanted, got, n + 1);
  }
  double sum = 0, unmatched = 1;
  for (const Matches& order : orders) {
    if (order.hypothesis == 0 || orders[0].matched == 0) return 0;
    if (order.matched == 0) unmatched *= 2;
    sum += std::log(order.matched > 0 ? order.matched / order.hypothesis : 1 / (unmatched * order.hypothesis));
  }
  const double too_short = std::max(0.0, orders[0].reference / orders[0].hypothesis - 1);
  return 100 * std::exp(sum / kOrder - too_short);
}

}  // namespace finetune
