// Scores of answers that may hold several labels (multilabel). A label applies where its probability is at least 0.5.
// A score that has nothing to divide by is 0. Pure functions; any thread.
#pragma once

#include <span>
#include <vector>

namespace finetune {

/// One example: for each of K labels 1 or 0, and the probability that it applies. Borrowed.
struct MarkedLabels {
  std::span<const float> marks, probabilities;
  int unknown = 0;  // labels that apply and are none of the K: misses of label_micro_f1 and subset_accuracy
};

/// Mean over the labels of F1.
double label_macro_f1(const std::vector<MarkedLabels>& examples);
/// F1 of all decisions together.
double label_micro_f1(const std::vector<MarkedLabels>& examples);
/// Share of the examples whose labels are all right.
double subset_accuracy(const std::vector<MarkedLabels>& examples);
/// Mean over examples and labels of the binary cross-entropy, in nats.
double label_loss(const std::vector<MarkedLabels>& examples);

}  // namespace finetune
