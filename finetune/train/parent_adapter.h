// ParentAdapter: the adapter that a training goes on from, an adapter folder of ours or one as PEFT saves it. Ours is
// bound to its base, its statistics and its probe and is checked as wherever it is loaded; of PEFT's own folder nothing
// but its settings and shapes can be checked. What the adapter is (its kind, ranks and targets; of ours also how the
// base is held, labels and slots) is the parent's; how it is trained is the request's. Plain value; one thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "finetune/adapter/adapted_model.h"
#include "finetune/adapter/manifest.h"
#include "finetune/train/training_job.h"

namespace finetune {

struct ParentAdapter {
  std::filesystem::path folder;
  /// "sha256:...": the adapter's digest; of a folder without anneal.json, of the digests of PEFT's two files.
  std::string digest;
  std::optional<Manifest> manifest;  // absent in PEFT's own folder
  PeftConfig config;

  bool has_head() const;
  /// Of its prompts; none without a manifest.
  SensorSchema slots() const;
};

/// Reads what the folder says, not yet its weights. Throws kNotFound where there is no adapter, and as read_manifest
/// and peft_config_from_json do.
ParentAdapter read_parent(const std::filesystem::path& folder);

/// The request with the parent's settings where it has the default's. Throws kConflict naming the first that asks for
/// something else than the parent is: a setting of the adapter, `task`, `labels` or `base_dtype`.
TrainRequest continued(TrainRequest request, const ParentAdapter& parent);

/// Gives the parts what the parent's head was trained with: its form, target statistics, slots and wording, and the
/// size of the network beside the base. Labels are in the request already. For a parent with a head.
void take_statistics(const ParentAdapter& parent, AdapterParts& parts);

/// Starts the parts with the parent's weights; a head, a sensor encoder or a network beside the base that it lacks
/// starts fresh, and one that it has beside the base stays as it is. Throws kConflict for another base or tokenizer or
/// a probe that does not reproduce, kCorrupt for shapes that do not fit the base.
void start_from(kernels::Context& context, Base& base, const ParentAdapter& parent, std::uint64_t seed,
                AdapterParts& parts);

/// Throws kConflict where what was started from a parent has no finite loss for an example, here the one that is named
/// and its encoding: weights that are damaged, or that belong to another base.
void check_finite_effect(kernels::Context& context, AdaptedModel& model, const platform::Example& example,
                         const EncodedExample& encoded);

}  // namespace finetune
