// WeightSource: where the weights of a model come from, by the names that a Hugging Face folder has for them: a folder
// of safetensors, or a GGUF file. Interface; implementations are immutable, several threads may read from one.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/formats/safetensors.h"

namespace finetune {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// Sorted bytewise.
  virtual std::vector<std::string> names() const = 0;
  virtual bool contains(std::string_view name) const = 0;
  /// Type and shape; the offset is that of the file at hand. Throws kNotFound with the nearest name.
  virtual const TensorInfo& info(std::string_view name) const = 0;
  /// Converted between floating-point types, rounded to nearest even. Throws kCorrupt, naming the tensor and the first
  /// bad index, where an element is NaN or infinite.
  virtual kernels::Tensor read_finite(std::string_view name, kernels::DataType type) const = 0;
  /// The folder or file, for messages.
  virtual std::string place() const = 0;

  /// Compares with what a configuration expects (name -> shape). Throws kCorrupt listing missing, unexpected and
  /// wrongly shaped tensors, each group apart. Names for which `ignored` is true may be there.
  void check_names(const std::map<std::string, kernels::Shape>& expected,
                   const std::function<bool(std::string_view)>& ignored = {}) const;
};

}  // namespace finetune
