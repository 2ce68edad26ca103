// SavedModules: base weights of which an adapter has trained copies of its own (PEFT's modules_to_save); and
// ActiveWeights, the weights that a pass computes with: the base's, or while an adapter acts its copies in their place.
// The copies are float32. One writer or many readers.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "finetune/model/weights.h"

namespace finetune {

class SavedModules {
 public:
  bool empty() const { return copies_.empty(); }
  /// Takes a copy of a base weight, under its name; `bias` too where the layer has one. The base's dtype does not
  /// matter. Throws kInvalidInput for a weight that is held in 4 or 8 bits.
  void add(kernels::Context& context, const std::string& name, const Weight& weight, const LinearWeight* linear);
  /// Null if the adapter has no copy.
  LinearWeight* find(const std::string& name);
  const LinearWeight* find(const std::string& name) const;
  /// Every copy and its bias, by name.
  void for_each(const std::function<void(Weight&)>& visit);
  /// To be called after values changed.
  void refresh();

 private:
  std::map<std::string, LinearWeight> copies_;
};

class ActiveWeights {
 public:
  /// `saved` may be null. All must outlive the object.
  ActiveWeights(const ModelConfig& config, ModelWeights& base, SavedModules* saved)
      : base_(base),
        saved_(saved),
        embedding_(std::string(config.names.embedding) + ".weight"),
        head_(std::string(config.names.head) + ".weight") {}

  /// Before every forward pass.
  void begin(bool adapted);
  Weight& of(Weight& weight);
  LinearWeight& of(LinearWeight& weight);
  LinearWeight& linear(std::size_t layer, LinearKind kind) { return of(base_.layers[layer].linears[index_of(kind)]); }
  LinearWeight& embedding();
  /// A tied head stays the base's embedding where only the embedding has a copy, as in PEFT.
  LinearWeight& head();
  bool tied() const { return base_.tied; }

 private:
  LinearWeight* copy_of(const std::string& name) {
    return adapted_ && saved_ != nullptr ? saved_->find(name) : nullptr;
  }

  ModelWeights& base_;
  SavedModules* saved_;
  std::string embedding_, head_;
  bool adapted_ = true;
};

}  // namespace finetune
