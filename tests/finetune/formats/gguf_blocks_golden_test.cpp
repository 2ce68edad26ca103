// GGUF blocks beside those of the gguf package, byte for byte.
#include <gtest/gtest.h>

#include <cstring>
#include <iostream>

#include "finetune/formats/gguf_blocks.h"
#include "finetune/formats/safetensors.h"
#include "tests/support/golden_folder.h"

namespace finetune {
namespace {

using kernels::Tensor;

std::vector<float> restored(GgufType type, const Tensor& bytes, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  restore_blocks(type, bytes.values<std::uint8_t>(), values);
  return values;
}

void expect_restored(const SafetensorsFile& file, const std::string& name, const Tensor& bytes) {
  const Tensor wanted = file.read("dequantised." + name);
  const std::vector<float> got = restored(find_gguf_layout(name)->type, bytes, wanted.count());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const float want = wanted.data<float>()[i];
    ASSERT_TRUE(got[i] == want || (std::isnan(got[i]) && std::isnan(want)))
        << name << " " << i << ": " << got[i] << " for " << want;
  }
}

void expect_quantised(const SafetensorsFile& file, const std::string& name, const Tensor& wanted) {
  const Tensor weight = file.read("weight");
  Tensor bytes(wanted.shape(), wanted.type());
  quantise_blocks(find_gguf_layout(name)->type, weight.values<float>(), bytes.values<std::uint8_t>());
  for (std::int64_t i = 0; i < bytes.count(); ++i)
    ASSERT_EQ(bytes.data<std::uint8_t>()[i], wanted.data<std::uint8_t>()[i]) << name << " byte " << i;
}

TEST(GgufBlocksGolden, EveryTypeHasTheBytesAndValuesOfTheGgufPackage) {
  SKIP_WITHOUT_GOLDEN("numbers/gguf.safetensors");
  std::size_t quantised = 0, read = 0;
  for (const auto& path : support::golden_paths("numbers/gguf.safetensors")) {
    const SafetensorsFile file(path);
    for (const std::string& name : file.names()) {
      const std::string type = name.substr(name.find('.') + 1);
      const bool written = name.starts_with("quantised.");
      if (!written && !name.starts_with("blocks.")) continue;
      ASSERT_NE(find_gguf_layout(type), nullptr) << type;
      const Tensor bytes = file.read(name);
      if (written) expect_quantised(file, type, bytes);
      expect_restored(file, type, bytes);
      quantised += written ? 1 : 0;
      ++read;
    }
  }
  std::cout << "cases checked: " << read << ", of them written: " << quantised << "\n";
}

}  // namespace
}  // namespace finetune
