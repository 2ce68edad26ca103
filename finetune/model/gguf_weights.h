// The weights of a GGUF file under the names and in the layout of a Hugging Face folder; quantised ones are restored.
// Immutable after construction; several threads may read from one.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "finetune/formats/weight_source.h"
#include "finetune/model/gguf_architecture.h"

namespace finetune {

class GgufWeights final : public WeightSource {
 public:
  /// Throws as GgufFile does.
  GgufWeights(const std::filesystem::path& path, const ModelConfig& config);

  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override { return infos_.find(name) != infos_.end(); }
  const TensorInfo& info(std::string_view name) const override;
  kernels::Tensor read_finite(std::string_view name, kernels::DataType type) const override;
  std::string place() const override { return file_.path().string(); }

 private:
  GgufFile file_;
  ModelConfig config_;
  const GgufArchitecture& architecture_;
  std::map<std::string, TensorInfo, std::less<>> infos_;
  std::map<std::string, GgufPlace, std::less<>> places_;
};

/// The GGUF file that a base is: `base` itself, or the one in a folder that has no config.json. nullopt for a folder of
/// safetensors. Throws kInvalidInput where a folder holds several.
std::optional<std::filesystem::path> gguf_of_base(const std::filesystem::path& base);

}  // namespace finetune
