// A base and an adapter folder, read, checked against each other and against the probe. Move-only; one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "finetune/adapter/adapted_model.h"
#include "finetune/adapter/manifest.h"
#include "finetune/evaluate/metrics.h"

namespace finetune {

/// How parts that are trained with `max_tokens`, or were, encode an example; borrows from both. Task, labels, form,
/// schema and the size of the network beside the base must be settled, weights need not be there.
EncodingRules rules_of(const Base& base, const AdapterParts& parts, std::int64_t max_tokens);

struct LoadedAdapter {
  std::unique_ptr<Base> base;  // behind pointers, so that the model's references survive a move
  std::unique_ptr<AdapterParts> parts;
  std::unique_ptr<AdaptedModel> model;
  Manifest manifest;
  std::string adapter_digest;  // empty for a bare base

  /// How the adapter's training encoded an example.
  EncodingRules rules() const;
  /// The same for a prompt that will be continued: of the base's positions, as many as the answer may have tokens stay
  /// free, but a quarter at most.
  EncodingRules prompt_rules(std::int64_t answer_tokens) const;
};

/// The parts of an adapter folder whose manifest was read, beside a base that is loaded already; the probe is the
/// caller's. Throws kConflict for another base or tokenizer, kCorrupt for shapes that do not fit.
AdapterParts load_parts(const std::filesystem::path& adapter_folder, const Manifest& manifest, const Base& base);

/// Without an adapter folder: the bare base. `precision`: how the base is held; if absent as in the adapter's training,
/// a bare base in float32. Throws kCorrupt for a file that differs from the manifest, kConflict for another base or
/// tokenizer or a probe that does not reproduce.
LoadedAdapter load_adapter(kernels::Context& context, const std::filesystem::path& base_folder,
                           const std::optional<std::filesystem::path>& adapter_folder,
                           std::optional<WeightPrecision> precision = {});

/// Asked between batches; true ends the computation with Error kCancelled.
using StopQuestion = std::function<bool()>;

/// Outputs (see AdaptedModel::outputs) of many examples in packed batches, in the order given.
std::vector<std::vector<float>> outputs_of(kernels::Context& context, AdaptedModel& model,
                                           const std::vector<EncodedExample>& examples, std::int64_t max_tokens,
                                           const StopQuestion& should_stop = {});
/// Outputs (AdaptedModel::outputs) of these parts as scored outcomes: labels, values in their unit and in double, or
/// summed token losses; of a pair those of the chosen answer, and what the objective makes of both.
std::vector<Outcome> outcomes_of(const AdapterParts& parts, const std::vector<EncodedExample>& examples,
                                 const std::vector<std::vector<float>>& outputs, const Objective& objective = {});

}  // namespace finetune
