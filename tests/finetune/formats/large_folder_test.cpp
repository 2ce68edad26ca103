// A model folder far larger than the memory: 200 GB of shards, which take no room on the disk because nothing is
// written in them but their headers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <iostream>

#include "finetune/formats/weight_folder.h"
#include "platform/base/file.h"
#include "platform/base/json.h"
#include "tests/support/child_process.h"

namespace finetune {
namespace {

namespace json = platform::json;

constexpr int kLayers = 500, kLayersInAShard = 12;
constexpr std::int64_t kHidden = 4096, kWide = 11008;

struct LayerTensor {
  const char* name;
  kernels::Shape shape;
};
const LayerTensor kLayer[] = {
    {"self_attn.q_proj.weight", {kHidden, kHidden}}, {"self_attn.k_proj.weight", {kHidden, kHidden}},
    {"self_attn.v_proj.weight", {kHidden, kHidden}}, {"self_attn.o_proj.weight", {kHidden, kHidden}},
    {"mlp.gate_proj.weight", {kWide, kHidden}},      {"mlp.up_proj.weight", {kWide, kHidden}},
    {"mlp.down_proj.weight", {kHidden, kWide}}};

std::string name_of(int layer, const LayerTensor& tensor) {
  return "model.layers." + std::to_string(layer) + "." + tensor.name;
}

// A shard of `layers` from `first`; the number of bytes it seems to have, or 0 where the file system has no such files.
std::uint64_t write_shard(const std::filesystem::path& path, int first, int layers) {
  json::object header;
  std::uint64_t at = 0;
  for (int layer = first; layer < first + layers; ++layer) {
    for (const LayerTensor& tensor : kLayer) {
      const std::uint64_t end = at + static_cast<std::uint64_t>(tensor.shape[0] * tensor.shape[1] * 2);
      header[name_of(layer, tensor)] = json::object{{"dtype", "BF16"},
                                                    {"shape", json::array(tensor.shape.begin(), tensor.shape.end())},
                                                    {"data_offsets", json::array{at, end}}};
      at = end;
    }
  }
  std::string text = json::serialize(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size(), size = 8 + length + at;
  const platform::FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  platform::write_all(file.get(), std::string_view(reinterpret_cast<const char*>(&length), 8), path);
  platform::write_all(file.get(), text, path);
  return ::ftruncate(file.get(), static_cast<off_t>(size)) == 0 ? size : 0;
}

// Opens the folder and reads one layer, a tensor behind the other.
void read_a_layer(const std::filesystem::path& path) {
  const WeightFolder folder(path);
  EXPECT_EQ(folder.names().size(), static_cast<std::size_t>(kLayers) * std::size(kLayer));
  for (const LayerTensor& tensor : kLayer) {
    const kernels::Tensor read = folder.read_finite(name_of(377, tensor), kernels::DataType::kBFloat16);
    EXPECT_EQ(read.shape(), tensor.shape);
  }
}

TEST(WeightFolder, OpensTwoHundredGigabytesAndReadsALayerInLittleMemory) {
  if (const char* path = support::child_argument()) return read_a_layer(path);
  const platform::TemporaryFolder folder;
  json::object map;
  std::uint64_t size = 0;
  for (int first = 0; first < kLayers; first += kLayersInAShard) {
    const int layers = std::min(kLayersInAShard, kLayers - first);
    const std::string name = "model-" + std::to_string(first) + ".safetensors";
    const std::uint64_t written = write_shard(folder.path() / name, first, layers);
    if (written == 0) GTEST_SKIP() << "this file system has no files with holes: " << std::strerror(errno);
    size += written;
    for (int layer = first; layer < first + layers; ++layer) {
      for (const LayerTensor& tensor : kLayer) map[name_of(layer, tensor)] = name;
    }
  }
  platform::write_file_atomically(folder.path() / "model.safetensors.index.json",
                                  json::serialize(json::object{{"weight_map", std::move(map)}}));
  ASSERT_GE(size, std::uint64_t{200'000'000'000});
  const long peak = support::peak_memory_of_child(folder.path().string()) / 1024;
  std::cout << size / 1'000'000'000 << " GB in " << (kLayers + kLayersInAShard - 1) / kLayersInAShard
            << " shards, read with " << peak << " MiB at most\n";
  EXPECT_GT(peak, 0);
  EXPECT_LT(peak, 500);
}

}  // namespace
}  // namespace finetune
