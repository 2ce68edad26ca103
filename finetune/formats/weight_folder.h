// The weights of a Hugging Face model folder: model.safetensors, or shards named by model.safetensors.index.json.
// Immutable after construction; several threads may read from one object. Pickle files are never read.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/formats/weight_source.h"

namespace finetune {

class WeightFolder final : public WeightSource {
 public:
  /// Opens model.safetensors if it is there, else the shards of the index. Shard names must be plain file names in the
  /// same folder, and index and shards must hold the same tensors. Throws kNotFound or kCorrupt naming the file.
  explicit WeightFolder(const std::filesystem::path& folder);

  std::vector<std::string> names() const override;
  /// Names in the folder of every file that is read: the weights, and the index where there is one.
  std::vector<std::string> files() const;
  bool contains(std::string_view name) const override { return shard_of_.find(name) != shard_of_.end(); }
  const TensorInfo& info(std::string_view name) const override { return shard(name).info(name); }
  kernels::Tensor read(std::string_view name) const { return shard(name).read(name); }
  kernels::Tensor read_finite(std::string_view name, kernels::DataType type) const override {
    return shard(name).read_finite(name, type);
  }
  std::string place() const override { return folder_.string(); }

 private:
  void open_shards(const std::filesystem::path& index_path);
  const SafetensorsFile& shard(std::string_view name) const;

  std::filesystem::path folder_;
  std::vector<std::unique_ptr<SafetensorsFile>> shards_;
  std::map<std::string, const SafetensorsFile*, std::less<>> shard_of_;
};

}  // namespace finetune
