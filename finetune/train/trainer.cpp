#include "finetune/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "finetune/adapter/reference.h"
#include "finetune/evaluate/label_order.h"
#include "finetune/train/class_weights.h"
#include "finetune/train/schedule.h"
#include "finetune/train/token_dropout.h"
#include "kernels/ops/elementwise.h"

namespace finetune {
namespace {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;
using Clock = std::chrono::steady_clock;

// A checkpoint at most this often, and never more than a twentieth of the time goes into writing them.
constexpr double kCheckpointSeconds = 1.0;
constexpr double kCheckpointShare = 0.05;
// Histograms of so many take three megabytes a leaf.
constexpr std::int64_t kMostTreeColumns = 512;
// Bins of all rows and columns, a byte each.
constexpr std::int64_t kMostTreeBytes = std::int64_t{1} << 28;

// Gradients are float32 and of no scale that could be too large for a while: ten in a row are no accident.
constexpr std::int64_t kMostSkippedInARow = 10;

double seconds_since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

std::vector<TrainedWeight> trained_weights(AdapterParts& parts, const TrainConfig& config) {
  parts.make_trainable();
  std::vector<TrainedWeight> trained;
  for (Weight* weight : parts.weights()) {
    const bool sensor = weight->name.starts_with("sensor.") || weight->name.starts_with("head.");
    // Factors and rows of embeddings are no directions that should shrink.
    const bool decay = weight->value.rank() == 2 && !weight->name.ends_with(".rows") &&
                       !weight->name.ends_with(".ia3_l") && !weight->name.ends_with(".trainable_tokens_delta");
    const double scale = sensor                              ? config.head_learning_rate_scale
                         : weight->name.ends_with(".lora_B") ? config.loraplus_lr_ratio
                                                             : 1.0;
    trained.push_back({weight, decay, static_cast<float>(scale)});
  }
  return trained;
}

// Of labels that the adapter knows.
bool none_is_wrong(Task task, const std::vector<Outcome>& outcomes) {
  return has_labels(task) && std::all_of(outcomes.begin(), outcomes.end(), [&](const Outcome& outcome) {
           if (has_one_label(task)) return outcome.truth < 0 || outcome.truth == outcome.prediction;
           return std::equal(outcome.marks.begin(), outcome.marks.end(), outcome.probabilities.begin(),
                             [](float mark, float probability) { return (mark > 0.5f) == (probability >= 0.5f); });
         });
}

ExamplePointers pointers_to(const std::vector<EncodedExample>& examples) {
  ExamplePointers pointers;
  for (const EncodedExample& example : examples) pointers.push_back(&example);
  return pointers;
}

}  // namespace

Trainer::Trainer(kernels::Context& context, AdaptedModel& model, AdapterParts& parts, TrainerData& data,
                 const TrainRequest& request, std::string request_key)
    : context_(context),
      model_(model),
      parts_(parts),
      data_(data),
      request_(request),
      key_(std::move(request_key)),
      optimizer_(trained_weights(parts, request.config),
                 {.kind = request.config.optimizer == "sgd" ? OptimizerKind::kSgd : OptimizerKind::kAdamW,
                  .weight_decay = static_cast<float>(request.config.weight_decay),
                  .clip_norm = request.config.clip_norm}) {
  const TrainConfig& config = request.config;
  model_.set_objective(config.objective);
  model_.transformer().set_embedding_noise(static_cast<float>(config.neftune_noise_alpha));
  const auto count = static_cast<std::int64_t>(data.train.size());
  steps_per_epoch_ = (count + config.batch_examples - 1) / config.batch_examples;
  const auto by_epochs =
      static_cast<std::int64_t>(std::ceil(config.max_epochs * static_cast<double>(steps_per_epoch_)));
  total_steps_ = std::max(by_epochs, config.min_steps);
  if (config.max_steps > 0) total_steps_ = std::min(total_steps_, config.max_steps);
  evaluation_steps_ = std::max<std::int64_t>(1, total_steps_ / config.evaluations);
  metric_ = checkpoint_metric(config, request.task);
  if (has_one_label(request.task)) {
    std::vector<std::int32_t> truths;
    for (const EncodedExample& example : data.train) truths.push_back(example.label);
    positive_ = positive_class(request.profile, parts.labels, truths);
    if (config.class_weights == "balanced") class_weights_ = balanced_weights(data.train, parts.labels.size());
  }
  if (config.weight_average > 0) {
    for (const TrainedWeight& trained : optimizer_.weights()) average_.push_back(trained.weight->value.clone());
  }
  std::filesystem::create_directories(request.work_folder);
  resume();
}

// Early steps count less long, so that the average does not remember the random start.
void Trainer::update_average() {
  const auto steps = static_cast<double>(step_);
  const auto memory = static_cast<float>(std::min(request_.config.weight_average, (1.0 + steps) / (10.0 + steps)));
  for (std::size_t i = 0; i < average_.size(); ++i) {
    kernels::scale(context_, average_[i], memory);
    kernels::add(context_, optimizer_.weights()[i].weight->value, average_[i], 1.0f - memory);
  }
}

void Trainer::swap_with_average() {
  for (std::size_t i = 0; i < average_.size(); ++i) std::swap(optimizer_.weights()[i].weight->value, average_[i]);
}

// Each epoch has its own order, made from the seed alone.
std::vector<std::size_t> Trainer::examples_of_step(std::int64_t step) {
  const std::int64_t epoch = step / steps_per_epoch_;
  if (epoch != order_epoch_) {
    order_.resize(data_.train.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    kernels::Random random(kernels::random_bits(request_.seed, static_cast<std::uint64_t>(epoch)));
    for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
    order_epoch_ = epoch;
  }
  const auto begin = static_cast<std::size_t>((step % steps_per_epoch_) * request_.config.batch_examples);
  const std::size_t end = std::min(order_.size(), begin + static_cast<std::size_t>(request_.config.batch_examples));
  return {order_.begin() + static_cast<std::ptrdiff_t>(begin), order_.begin() + static_cast<std::ptrdiff_t>(end)};
}

// The same set wherever a run goes on, so that its batches, and with them the last bits, are the same.
void Trainer::set_references(TrainObserver& observer) {
  if (request_.config.objective.kind != ObjectiveKind::kDpo) return;
  std::vector<std::size_t> seen;
  for (std::int64_t step = 0; step < std::min(total_steps_, steps_per_epoch_); ++step) {
    for (const std::size_t index : examples_of_step(step)) seen.push_back(index);
  }
  std::sort(seen.begin(), seen.end());
  const std::int64_t tokens = 2 * request_.config.micro_batch_tokens;
  const auto stopped = [&] { return observer.should_stop(); };
  set_reference_margins(context_, model_, data_.train, seen, tokens, stopped);
  set_reference_margins(context_, model_, data_.validation, tokens, stopped);
}

double Trainer::step_weight(const std::vector<std::size_t>& indices) const {
  double weight = 0;
  for (const std::size_t index : indices) {
    const EncodedExample& example = data_.train[index];
    if (request_.task != Task::kLanguageModel) {
      weight += loss_weight(parts_.head_target(), example, class_weights_ ? &*class_weights_ : nullptr);
      continue;
    }
    const auto each = request_.config.objective.of_pairs() ? 1.0 : static_cast<double>(example.supervised());
    weight += static_cast<double>(example.weight) * each;
  }
  return weight;
}

TrainProgress Trainer::one_step(TrainObserver& observer) {
  const auto begin = Clock::now();
  const TrainConfig& config = request_.config;
  const std::vector<std::size_t> indices = examples_of_step(step_);
  const double weight = step_weight(indices);
  const float scale = weight > 0 ? static_cast<float>(1.0 / weight) : 0.0f;
  const ActivationMode mode = config.activations == "recompute" ? ActivationMode::kRecompute : ActivationMode::kKeep;
  optimizer_.zero_gradients();
  double loss = 0;
  std::uint64_t micro_batch = 0;
  for (const auto& group : group_by_tokens(data_.train, indices, config.micro_batch_tokens)) {
    if (observer.should_stop()) stop();
    std::vector<const EncodedExample*> batch;
    std::vector<EncodedExample> changed;
    changed.reserve(group.size());
    for (const std::size_t index : group) {
      batch.push_back(&data_.train[index]);
      tokens_ += data_.train[index].tokens();
      if (config.token_dropout == 0 || request_.task == Task::kLanguageModel) continue;
      changed.push_back(
          thinned(data_.train[index], config.token_dropout,
                  kernels::random_bits(request_.seed ^ 0x70c3u, static_cast<std::uint64_t>(step_) << 32 | index)));
      batch.back() = &changed.back();
    }
    const std::uint64_t dropout_seed =
        kernels::random_bits(request_.seed ^ 0x5eedu, static_cast<std::uint64_t>(step_) * 1024 + micro_batch++);
    loss += model_.train(context_, batch, scale, class_weights_ ? &*class_weights_ : nullptr, mode, dropout_seed).loss;
  }
  const auto warmup = static_cast<std::int64_t>(config.warmup_fraction * static_cast<double>(total_steps_));
  TrainProgress progress;
  progress.learning_rate = config.learning_rate * step_factor(config.schedule, step_, warmup, total_steps_);
  progress.gradient_norm = optimizer_.step(context_, progress.learning_rate);
  progress.step = ++step_;
  update_average();
  progress.total_steps = total_steps_;
  progress.epoch = static_cast<double>(step_) / static_cast<double>(steps_per_epoch_);
  progress.loss = weight > 0 ? loss / weight : 0;
  progress.step_seconds = seconds_since(begin);
  check_progress(progress);
  return progress;
}

// A run that nothing is learnt in any more, or that ends without a step that was one, is worth no adapter.
void Trainer::check_progress(const TrainProgress& progress) const {
  const std::int64_t skipped = optimizer_.skipped_in_a_row();
  const bool in_vain = step_ == total_steps_ && optimizer_.steps() == 0;
  if (skipped < kMostSkippedInARow && !(in_vain && skipped > 0)) return;
  const std::string where = optimizer_.first_not_finite();
  throw Error(ErrorCode::kInvalidInput,
              "the training cannot go on: the last " + std::to_string(skipped) +
                  " steps had gradients that are no finite numbers and changed nothing, up to step " +
                  std::to_string(step_) + " of " + std::to_string(total_steps_) + ", with the loss " +
                  std::to_string(progress.loss) + (where.empty() ? "" : "; the first such numbers are in " + where) +
                  "; lower learning_rate or alpha, and look for examples unlike all others",
              "learning_rate");
}

bool Trainer::validation_is_due() const {
  if (data_.validation.empty()) return false;
  if (step_ == 0) return parts_.side && !best_score_;  // what the side network alone is worth
  return validated_step_ < step_ && (step_ % evaluation_steps_ == 0 || step_ == total_steps_);
}

void Trainer::validate(TrainObserver& observer, TrainProgress& progress) {
  const AveragedWeights averaged(*this);
  const auto outputs = outputs_of(context_, model_, data_.validation, 2 * request_.config.micro_batch_tokens,
                                  [&] { return observer.should_stop(); });
  const std::vector<Outcome> outcomes = outcomes_of(parts_, data_.validation, outputs, request_.config.objective);
  const std::vector<std::string> labels = scored_labels(request_.task, parts_.labels);
  const double value = score(metric_, outcomes, labels, positive_);
  progress.metric = metric_;
  if (std::isfinite(value)) progress.validation_metric = value;
  if (!has_numbers(request_.task)) {
    const char* loss = request_.task == Task::kMultilabel ? "label_loss" : "loss";
    progress.validation_loss = score(loss, outcomes, labels, positive_);
  }
  if (request_.config.objective.of_pairs()) {
    progress.reward_accuracy = score("reward_accuracy", outcomes, labels, positive_);
    progress.reward_margin = score("reward_margin", outcomes, labels, positive_);
  }
  if (step_ == 0) settled_ = side_choice_.network_share > 0 && none_is_wrong(request_.task, outcomes);
  const bool better = std::isfinite(value) && (step_ == 0 || !settled_) &&
                      (!best_score_ || (higher_is_better(metric_) ? value > *best_score_ : value < *best_score_));
  if (better) {
    best_score_ = value;
    best_step_ = step_;
    passes_without_gain_ = 0;
    remember_best();
  } else {
    ++passes_without_gain_;
  }
  validated_step_ = step_;
  // Beside a side network the first pass has a good score already, and steps that do not better it are of no use.
  const bool may_stop = parts_.side || step_ >= request_.config.min_steps;
  stopped_early_ = request_.config.patience > 0 && passes_without_gain_ >= request_.config.patience && may_stop;
}

SideFitting Trainer::side_fitting(const HeadTarget& target, const ExamplePointers& train,
                                  const ExamplePointers& validation) const {
  return {
      .target = target,
      .train = train,
      .validation = validation,
      .class_weights = class_weights_ ? &*class_weights_ : nullptr,
      .tree_columns = tree_columns(
          parts_.schema, std::min(kMostTreeColumns,
                                  kMostTreeBytes / std::max<std::int64_t>(1, static_cast<std::int64_t>(train.size())))),
      .tree_rounds = request_.config.side_trees,
      .seed = request_.seed};
}

void Trainer::make_side(TrainObserver& observer) {
  if (!parts_.side || parts_.side_is_fitted) return;
  const HeadTarget target = parts_.head_target();
  const ExamplePointers train = pointers_to(data_.train), validation = pointers_to(data_.validation);
  side_choice_ = fit_side(context_, *parts_.side, parts_.side_trees, side_fitting(target, train, validation),
                          [&] { return observer.should_stop(); });
  parts_.side_is_fitted = true;
}

Trainer::Side Trainer::remade_side(TrainObserver& observer) {
  if (!parts_.side || side_choice_.network_share == 0 || data_.validation.empty())
    return {std::move(parts_.side), std::move(parts_.side_trees)};
  kernels::Random random(kernels::random_bits(request_.seed, 0x51deU));
  Side fresh;
  fresh.network.emplace(parts_.side->shape(), random);
  const HeadTarget target = parts_.head_target();
  ExamplePointers all = pointers_to(data_.train);
  for (const EncodedExample& example : data_.validation) all.push_back(&example);
  refit_side(context_, *fresh.network, fresh.trees, side_fitting(target, all, {}), side_choice_,
             [&] { return observer.should_stop(); });
  return fresh;
}

void Trainer::remember_best() {
  best_.clear();
  for (const TrainedWeight& trained : optimizer_.weights()) best_.push_back(trained.weight->value.clone());
}

void Trainer::restore_best() {
  for (std::size_t i = 0; i < best_.size(); ++i) optimizer_.weights()[i].weight->value.copy_from(best_[i]);
}

void Trainer::save() const {
  std::map<std::string, const Tensor*> tensors = optimizer_.tensors();
  for (std::size_t i = 0; i < average_.size(); ++i)
    tensors["average." + optimizer_.weights()[i].weight->name] = &average_[i];
  for (std::size_t i = 0; i < best_.size(); ++i) tensors["best." + optimizer_.weights()[i].weight->name] = &best_[i];
  if (parts_.side_is_fitted) {
    for (const Weight* weight : parts_.side->weights()) tensors[weight->name] = &weight->value;
  }
  const std::map<std::string, Tensor> trees = to_tensors(parts_.side_trees);
  for (const auto& [name, tensor] : trees) tensors[name] = &tensor;
  platform::json::object state{{"request", key_},
                               {"side", parts_.side_is_fitted},
                               {"side_choice", to_json(side_choice_)},
                               {"step", step_},
                               {"updates", optimizer_.steps()},
                               {"skipped", optimizer_.skipped()},
                               {"validated", validated_step_},
                               {"best_step", best_step_},
                               {"without_gain", passes_without_gain_},
                               {"settled", settled_},
                               {"stopped", stopped_early_}};
  if (best_score_) state["best_score"] = *best_score_;
  save_checkpoint(request_.work_folder / kCheckpointName, tensors, state);
}

void Trainer::resume() {
  auto checkpoint = load_checkpoint(request_.work_folder / kCheckpointName, key_);
  if (!checkpoint) return;
  const auto whole = [&](std::string_view key) { return platform::require_int(checkpoint->state, key, "checkpoint"); };
  optimizer_.restore(checkpoint->tensors, whole("updates"), whole("skipped"));
  const auto take = [&](const std::string& name, const Tensor& like) {
    const auto found = checkpoint->tensors.find(name);
    if (found == checkpoint->tensors.end() || found->second.shape() != like.shape())
      throw Error(ErrorCode::kCorrupt, "the checkpoint does not hold " + name + "; remove it and start again");
    return std::move(found->second);
  };
  for (std::size_t i = 0; i < average_.size(); ++i)
    average_[i] = take("average." + optimizer_.weights()[i].weight->name, average_[i]);
  parts_.side_is_fitted = platform::require_bool(checkpoint->state, "side", "checkpoint");
  side_choice_ = side_choice_from_json(platform::require(checkpoint->state, "side_choice", "checkpoint"));
  if (parts_.side_is_fitted) {
    for (Weight* weight : parts_.side->weights()) weight->value = take(weight->name, weight->value);
    if (checkpoint->tensors.contains(tree_tensor_names().front())) {
      const SideShape& shape = parts_.side->shape();
      parts_.side_trees = trees_from_tensors(checkpoint->tensors, shape.dense, shape.outputs);
    }
  }
  step_ = whole("step");
  validated_step_ = whole("validated");
  best_step_ = whole("best_step");
  passes_without_gain_ = whole("without_gain");
  settled_ = platform::bool_or(checkpoint->state, "settled", false, "checkpoint");
  stopped_early_ = platform::require_bool(checkpoint->state, "stopped", "checkpoint");
  if (platform::find(checkpoint->state, "best_score") != nullptr) {
    best_score_ = platform::require_number(checkpoint->state, "best_score", "checkpoint");
    for (const TrainedWeight& trained : optimizer_.weights()) {
      best_.push_back(take("best." + trained.weight->name, trained.weight->value));
    }
  }
}

void Trainer::stop() const { throw Error(ErrorCode::kCancelled, "training was asked to stop"); }

void Trainer::go_on(TrainObserver& observer) {
  auto saved = Clock::now();
  double pause = kCheckpointSeconds;
  make_side(observer);
  if (step_ == 0 && parts_.side_is_fitted) save();  // a fit is not made twice
  set_references(observer);
  if (validation_is_due()) {  // where the last process was stopped
    TrainProgress unreported;
    validate(observer, unreported);
  }
  const std::int64_t first = step_;
  const auto loop = Clock::now();  // what went before says nothing about the time that is left
  while (step_ < total_steps_ && !stopped_early_) {
    if (observer.should_stop()) stop();
    TrainProgress progress = one_step(observer);
    if (validation_is_due()) validate(observer, progress);
    const double seconds = seconds_since(loop);
    progress.tokens_per_second = static_cast<double>(tokens_) / seconds;
    progress.seconds_left = seconds / static_cast<double>(step_ - first) * static_cast<double>(total_steps_ - step_);
    if (seconds_since(saved) > pause || step_ == total_steps_ || stopped_early_) {
      const auto writing = Clock::now();
      save();
      saved = Clock::now();
      pause = std::max(kCheckpointSeconds, seconds_since(writing) / kCheckpointShare);
    }
    observer.on_step(progress);
  }
}

TrainResult Trainer::run(TrainObserver& observer) {
  begin_ = Clock::now();
  Side remade;
  try {
    go_on(observer);
    remade = remade_side(observer);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
    save();
    throw Error(ErrorCode::kCancelled, "training stopped after step " + std::to_string(step_) +
                                           "; the same request goes on from its checkpoint");
  }
  TrainResult result;
  best_.empty() ? swap_with_average() : restore_best();
  parts_.side = std::move(remade.network);
  parts_.side_trees = std::move(remade.trees);
  result.steps = step_;
  result.best_step = best_.empty() ? step_ : best_step_;
  result.skipped_steps = optimizer_.skipped();
  result.seconds = seconds_since(begin_);
  result.tokens_per_second = result.seconds > 0 ? static_cast<double>(tokens_) / result.seconds : 0;
  result.trained_parameters = optimizer_.parameter_count();
  result.validation_metric = best_score_;
  result.metric = metric_;
  return result;
}

}  // namespace finetune
