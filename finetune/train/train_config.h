// TrainConfig: every setting of a training run with the default that suits a few hundred to some ten thousand examples.
// Plain value; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "finetune/formats/peft.h"
#include "finetune/train/objective.h"
#include "platform/base/json.h"

namespace finetune {

/// lm: continue the prompt. classify: one of K labels. ordinal: one of K labels that have an order. multilabel: any of
/// K labels. regress: one number. forecast: the next numbers of a signal.
enum class Task { kLanguageModel, kClassify, kOrdinal, kMultilabel, kRegress, kForecast };
std::string_view to_string(Task task);  // "lm", "classify", "ordinal", "multilabel", "regress", "forecast"
Task task_from(std::string_view name);  // throws kInvalidInput
const std::vector<std::string_view>& task_names();
/// classify and ordinal: exactly one label is true.
bool has_one_label(Task task);
/// These and multilabel.
bool has_labels(Task task);
/// regress and forecast.
bool has_numbers(Task task);

struct TrainConfig {
  // What is trained, in PEFT's words and with PEFT's meaning (formats/peft.h)
  std::string peft_type = "LORA";  // LORA, IA3, BOTTLENECK
  // Which layers: names such as [q_proj, v_proj], or one text: "all-linear" or a regular expression that must match the
  // whole module name. One of the two is empty; IA3 and BOTTLENECK with neither take their usual layers.
  std::vector<std::string> target_modules;
  std::string target_pattern = "all-linear";
  std::vector<std::string> exclude_modules;
  std::vector<std::string> modules_to_save;  // weights trained whole: [lm_head], [embed_tokens], [norm]
  std::vector<int> trainable_token_indices;  // rows of the embedding, and of a tied head; LORA only
  // LoRA
  int r = 16;
  double alpha = 32;
  double dropout = 0.0;
  double token_dropout = 0.0;  // share of a prompt's text tokens left out at random; against overfitting on few texts
  std::vector<int> layers_to_transform;                       // empty = all
  std::vector<std::pair<std::string, int>> rank_pattern;      // end of a module's name, as an expression -> its r
  std::vector<std::pair<std::string, double>> alpha_pattern;  // likewise its alpha
  std::string init_lora_weights = "true";                     // true, gaussian, pissa, pissa_niter_K
  bool use_rslora = false;                                    // alpha / sqrt(r) instead of alpha / r
  bool use_dora = false;                                      // a trained magnitude for each row
  bool lora_bias = false;                                     // a trained bias behind B
  // IA3: the targets whose input is scaled, of the others the output; empty = the usual
  std::vector<std::string> feedforward_modules;
  // Bottleneck: up(act(down y)) added to a layer's output; [o_proj, down_proj] is Houlsby's, [down_proj] Pfeiffer's
  int bottleneck_size = 64;
  std::string non_linearity = "silu";  // silu, gelu_new
  double loraplus_lr_ratio = 1.0;      // learning rate of B over that of A (LoRA+)
  double neftune_noise_alpha = 0.0;    // uniform noise on token embeddings in training (NEFTune), 5 is usual; 0 = none

  std::int64_t remembered_answers = 0;  // lm: that the adapter carries, see adapter/answer_memory.h; 0 = none
  Objective objective;                  // lm: what is minimised; its settings are keys beside the others

  // Length and batches
  double max_epochs = 30;
  std::int64_t min_steps = 300;      // small sets repeat until this many steps; no early stop before, but beside a
                                     // side network
  std::int64_t max_steps = 600;      // large sets stop here; over min_steps; 0 = no limit
  std::int64_t batch_examples = 32;  // per optimizer step; ranges: train/setting_rules.cpp
  std::int64_t micro_batch_tokens = 2048;  // packed tokens computed at once
  std::int64_t max_example_tokens = 1024;  // longer prompts lose their beginning

  // Optimizer
  std::string optimizer = "adamw";        // adamw, sgd (with momentum 0.9)
  double learning_rate = 1e-3;            // suits small bases; about 2e-4 for bases of a billion weights
  double head_learning_rate_scale = 1.0;  // heads and sensor encoder
  double weight_decay = 0.01;
  double clip_norm = 1.0;
  std::string schedule = "cosine";  // constant, or with warm-up: constant_with_warmup, cosine, inverse_sqrt, linear,
                                    // polynomial, warmup_stable_decay
  double warmup_fraction = 0.05;
  double weight_average =
      0.98;  // the adapter is a moving average of the steps' weights with this memory; 0 = the last step's

  // Choice of the checkpoint
  std::string metric = "auto";  // auto: rmse for numbers, label_loss for multilabel, else loss (of the objective)
  int evaluations = 24;         // validation passes over the run
  int patience = 3;             // passes without a better score before it stops; 0 = never
  std::string class_weights = "none";  // none, balanced

  // Sensor fields
  std::int64_t patch_size = 32;  // samples a slot
  // What the head learns; see adapter/head_loss.h
  double huber_delta = 0;  // regress, forecast: errors beyond so many deviations count linearly; 0 = squared error
  std::vector<double> quantiles;  // regress: these instead of the mean, rising, in (0, 1), 0.5 in the middle
  std::string continues;          // forecast: the signal that goes on; its last value is what a forecast starts from
  // What stands beside the base, see train/side_choice.h; not for lm
  bool side_network = true;
  std::int64_t text_features = 32768;  // n-grams of the wording that it reads; 0 = none
  std::int64_t side_trees = 100;       // rounds of trees beside it, at most; 0 = none
  // Memory
  std::string activations = "keep";    // keep, recompute
  std::string base_dtype = "float32";  // how the frozen base is held: see WeightPrecision in model/weights.h

  /// Throws kInvalidInput naming the first field out of range, and one that was given (differs from its default) and
  /// that another setting leaves without effect.
  void validate() const;
};

/// The metric that chooses the checkpoint: `metric`, or what auto stands for.
std::string checkpoint_metric(const TrainConfig& config, Task task);
/// The adapter that the settings ask for.
PeftConfig peft_config(const TrainConfig& config);
/// Absent keys keep their defaults; unknown keys, wrong types and bad values throw kInvalidInput with the key.
TrainConfig train_config_from_json(const platform::json::value& value);
platform::json::value to_json(const TrainConfig& config);
/// The keys that a configuration may have, for checks that run before training.
const std::vector<std::string_view>& train_config_keys();

}  // namespace finetune
