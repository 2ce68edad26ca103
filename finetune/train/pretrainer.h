// Pretraining: a model from random weights on plain documents, all weights trained, resumable to the byte.
// The documents of a step follow from seed and step number alone, so the step number is the whole position.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "finetune/model/model_config.h"
#include "finetune/train/training_job.h"

namespace finetune {

struct PretrainRequest {
  ModelConfig model;             // vocab_size and end_tokens are taken from the tokenizer
  std::filesystem::path corpus;  // as write_corpus() makes it
  std::filesystem::path tokenizer_folder;
  std::filesystem::path output_folder;  // base folder, checkpoint.safetensors and loss.jsonl
  std::int64_t steps = 2000;
  std::int64_t sequence_tokens = 512;
  std::int64_t batch_sequences = 8;
  double learning_rate = 2e-3;
  double warmup_fraction = 0.03;
  double weight_decay = 0.05;
  std::int64_t checkpoint_steps = 100;
  std::uint64_t seed = 1;
  int threads = 0;

  /// Throws kInvalidInput naming the first setting out of range.
  void validate() const;
};

/// Runs or resumes; writes the base folder (bfloat16) at the end and at each checkpoint. Throws kCancelled when
/// stopped, kConflict when the folder holds a model but no checkpoint of this run.
void pretrain(const PretrainRequest& request, TrainObserver& observer);

}  // namespace finetune
