// Scores of generated text against a reference. Texts are UTF-8 (an ill-formed part counts as U+FFFD) and compared as
// they are: no case folding, no stemming. Tokens are what stands between white space. Pure functions; any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

struct Overlap {
  double precision = 0;  // matches over what the hypothesis has
  double recall = 0;     // matches over what the reference has
  double f1 = 0;
};

/// True if both hold the same tokens in the same order.
bool exact_match(std::string_view reference, std::string_view hypothesis);
/// F1 of the tokens as a bag; two texts without tokens agree (1).
double token_f1(std::string_view reference, std::string_view hypothesis);
/// Overlap of the token n-grams as bags (ROUGE-1, ROUGE-2, ...); 0 where either side has none.
Overlap rouge_n(std::string_view reference, std::string_view hypothesis, int n);
/// Longest common subsequence of the tokens (ROUGE-L).
Overlap rouge_l(std::string_view reference, std::string_view hypothesis);
/// Longest common subsequence of any items, such as the steps of a plan.
Overlap common_subsequence(std::span<const std::string> reference, std::span<const std::string> hypothesis);

/// The steps of a plan: its lines without the white space around them, empty ones left out, and without a number before
/// them, so that "Step 2: Walk to kitchen", "2. Walk to kitchen" and "Walk to kitchen" are one step. A number is "Step
/// N" or "N" (digits; the word in any case), or "N단계" and "단계 N" in Korean, with ":", "." or ")" behind it and then
/// white space or nothing ("2.5 mm drill" stays); "-" and "*" before a space go too. What is left empty is no step.
std::vector<std::string> steps_of(std::string_view text);
/// 2 LCS / (steps of both) of two plans, their steps compared as they are: the F1 of common_subsequence(). Two texts
/// without steps agree (1).
double lcs_f1(std::string_view reference, std::string_view hypothesis);

/// chrF of 0 to 100: mean precision and recall of character n-grams of 1 to 6, white space removed, recall weighing
/// twice (beta 2); `word_order` 2 adds word n-grams of 1 and 2 with one punctuation mark split off (chrF++).
double chrf(std::string_view reference, std::string_view hypothesis, int word_order = 0);
/// BLEU-4 of 0 to 100 of a whole set by characters without white space; the n-th order without a match counts as
/// 1 / (2^k total), k counting such orders. Pairs in equal order and number.
double character_bleu(std::span<const std::string> references, std::span<const std::string> hypotheses);

/// One answer beside the wanted one.
struct AnswerScores {
  double exact_match = 0;  // 0 or 1
  double token_f1 = 0;     // 0 to 1, as the F1 of the three that follow
  double rouge_1 = 0;
  double rouge_2 = 0;
  double rouge_l = 0;
  double chrf = 0;  // 0 to 100
  /// 0 to 1; of the wanted answers of this question the one that is met best. Absent where the question was scored
  /// already.
  std::optional<double> lcs_f1;
};
/// `others`: what else would have been right, such as the answers that other examples give to the same question.
AnswerScores score_answer(std::string_view wanted, std::string_view answer, std::span<const std::string> others = {});

}  // namespace finetune
