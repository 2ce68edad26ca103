// The labels of a training and their order. Pure function; any thread.
#pragma once

#include <string>
#include <vector>

#include "finetune/train/training_job.h"
#include "platform/dataset/example.h"

namespace finetune {

/// The request's list in its order, which of an ordinal task is theirs from low to high; without a list every label of
/// the training part, sorted by the alphabet, of an ordinal task as the numbers that they must be. None for tasks
/// without labels. Throws kInvalidInput naming the label: one that stands twice in the list, that is empty, that the
/// training part has and the list has not, whose place in the order is not known; and where there are too few.
std::vector<std::string> training_labels(const TrainRequest& request,
                                         const std::vector<const platform::Example*>& train);

}  // namespace finetune
