// Trainer: the loop of an adapter's training. Which examples a step takes follows from seed and step number, so the
// step number is the whole position in the data. Its state goes into one checkpoint file. Belongs to one thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "finetune/adapter/adapted_model.h"
#include "finetune/train/checkpoint.h"
#include "finetune/train/optimizer.h"
#include "finetune/train/side_choice.h"
#include "finetune/train/training_job.h"

namespace finetune {

struct TrainerData {
  std::vector<EncodedExample> train;
  std::vector<EncodedExample> validation;
};

class Trainer {
 public:
  /// `request_key` names base, data and settings; a checkpoint with another key is refused.
  Trainer(kernels::Context& context, AdaptedModel& model, AdapterParts& parts, TrainerData& data,
          const TrainRequest& request, std::string request_key);
  /// Trains to the end (or resumes) and leaves the best weights in the parts. Asked to stop, in a step or in a
  /// validation pass, it saves what was done up to the last whole one and throws kCancelled.
  TrainResult run(TrainObserver& observer);

 private:
  std::vector<std::size_t> examples_of_step(std::int64_t step);
  /// dpo: what the bare base gives the pairs that this run will see.
  void set_references(TrainObserver& observer);
  double step_weight(const std::vector<std::size_t>& indices) const;
  TrainProgress one_step(TrainObserver& observer);
  /// Throws kInvalidInput after too many steps in a row without finite gradients.
  void check_progress(const TrainProgress& progress) const;
  /// The loop of run(); a wish to stop leaves it as kCancelled.
  void go_on(TrainObserver& observer);
  bool validation_is_due() const;
  void validate(TrainObserver& observer, TrainProgress& progress);
  void update_average();
  void swap_with_average();
  /// While it lives the model computes with the averaged weights; nothing without weight_average.
  struct AveragedWeights {
    explicit AveragedWeights(Trainer& owner) : trainer(owner) { trainer.swap_with_average(); }
    ~AveragedWeights() { trainer.swap_with_average(); }
    AveragedWeights(const AveragedWeights&) = delete;
    Trainer& trainer;
  };
  /// Where something is to stand beside the base that no checkpoint brought: fits it to the data.
  void make_side(TrainObserver& observer);
  struct Side {
    std::optional<SideNetwork> network;
    SideTrees trees;
  };
  /// When all is chosen: both fitted anew to both parts, as the first fit found to be best; as they are where the first
  /// fit was not made here.
  Side remade_side(TrainObserver& observer);
  SideFitting side_fitting(const HeadTarget& target, const ExamplePointers& train,
                           const ExamplePointers& validation) const;
  void remember_best();
  void restore_best();
  void save() const;
  void resume();
  [[noreturn]] void stop() const;

  kernels::Context& context_;
  AdaptedModel& model_;
  AdapterParts& parts_;
  TrainerData& data_;
  const TrainRequest& request_;
  std::string key_;
  Optimizer optimizer_;
  std::optional<kernels::Tensor> class_weights_;
  std::size_t positive_ = 0;
  std::string metric_;
  std::int64_t steps_per_epoch_ = 1;
  std::int64_t total_steps_ = 1;
  std::int64_t evaluation_steps_ = 1;

  SideChoice side_choice_;  // what the first fit found; no share: it was not made here
  std::int64_t step_ = 0;
  std::int64_t validated_step_ = 0;  // the last validation pass stood after this step
  std::int64_t best_step_ = 0;
  std::int64_t passes_without_gain_ = 0;
  bool settled_ = false;  // what stands beside the base makes no mistake in the validation part, as sure as suits it
  bool stopped_early_ = false;
  std::optional<double> best_score_;
  std::vector<kernels::Tensor> average_;  // of the weights over the steps; empty = off
  std::vector<kernels::Tensor> best_;
  std::vector<std::size_t> order_;
  std::int64_t order_epoch_ = -1;
  std::int64_t tokens_ = 0;  // of this process
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace finetune
