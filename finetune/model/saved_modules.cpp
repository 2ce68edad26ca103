#include "finetune/model/saved_modules.h"

#include "platform/base/error.h"

namespace finetune {

using kernels::DataType;
using kernels::PackedWeight;

void SavedModules::add(kernels::Context& context, const std::string& name, const Weight& weight,
                       const LinearWeight* linear) {
  if (linear != nullptr && linear->packed.is_quantised())
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "modules_to_save names " + name +
                              ", which is held in 4 or 8 bits and cannot be trained; load the base as stored",
                          "modules_to_save");
  LinearWeight& copy = copies_[name];
  copy.name = name;
  copy.value = (linear != nullptr ? linear->dense(context) : weight.value.view()).cast_to(DataType::kFloat32);
  if (linear == nullptr || !linear->bias.present()) return;
  copy.bias.name = linear->bias.name;
  copy.bias.value = linear->bias.value.cast_to(DataType::kFloat32);
}

LinearWeight* SavedModules::find(const std::string& name) {
  const auto found = copies_.find(name);
  return found == copies_.end() ? nullptr : &found->second;
}

const LinearWeight* SavedModules::find(const std::string& name) const {
  return const_cast<SavedModules*>(this)->find(name);
}

void SavedModules::for_each(const std::function<void(Weight&)>& visit) {
  for (auto& [name, copy] : copies_) {
    visit(copy);
    if (copy.bias.present()) visit(copy.bias);
  }
}

void SavedModules::refresh() {
  for (auto& [name, copy] : copies_) {
    if (copy.value.rank() == 2) copy.packed = PackedWeight(copy.value.view());
  }
}

void ActiveWeights::begin(bool adapted) {
  adapted_ = adapted;
  if (saved_ != nullptr && adapted) saved_->refresh();
}

Weight& ActiveWeights::of(Weight& weight) {
  LinearWeight* copy = copy_of(weight.name);
  return copy != nullptr ? *copy : weight;
}

LinearWeight& ActiveWeights::of(LinearWeight& weight) {
  LinearWeight* copy = copy_of(weight.name);
  return copy != nullptr ? *copy : weight;
}

LinearWeight& ActiveWeights::embedding() {
  LinearWeight* copy = copy_of(embedding_);
  return copy != nullptr ? *copy : base_.embedding;
}

LinearWeight& ActiveWeights::head() {
  LinearWeight* copy = copy_of(head_);
  return copy != nullptr ? *copy : base_.output_head();
}

}  // namespace finetune
