// NF4 weights beside those of bitsandbytes, bit for bit.
#include <gtest/gtest.h>

#include <cstring>
#include <iostream>

#include "finetune/formats/safetensors.h"
#include "kernels/ops/quantise.h"
#include "platform/base/json.h"
#include "tests/support/golden_folder.h"

namespace finetune {
namespace {

using kernels::Tensor;

void expect_bytes(const Tensor& got, const Tensor& wanted, const std::string& what) {
  ASSERT_EQ(got.type(), wanted.type()) << what;
  ASSERT_EQ(got.count(), wanted.count()) << what;
  EXPECT_EQ(std::memcmp(got.raw_data(), wanted.raw_data(), wanted.size_bytes()), 0) << what;
}

void check_case(const SafetensorsFile& file, const platform::json::object& about, const std::string& name) {
  kernels::Context context = kernels::Context::cpu(1);
  const bool nested = name.ends_with(".double");
  const Tensor weight = file.read(name + ".weight");
  const kernels::QuantisedWeight got =
      kernels::quantise(context, weight, nested ? kernels::QuantisedType::kNf4Nested : kernels::QuantisedType::kNf4);
  expect_bytes(got.codes, file.read(name + ".packed"), name + " codes");
  expect_bytes(nested ? got.scale_codes : got.scales, file.read(name + ".absmax"), name + " scales");
  if (nested) {
    expect_bytes(got.nested_scales, file.read(name + ".nested_absmax"), name + " nested scales");
    const auto book = kernels::nested_book();
    expect_bytes(Tensor::from(std::vector<float>(book.begin(), book.end())), file.read(name + ".nested_map"),
                 name + " nested book");
    EXPECT_EQ(got.nested_offset, about.at(name).at("nested_offset").to_number<float>()) << name;
  }
  Tensor restored(weight.shape(), weight.type());
  kernels::dequantise(context, got, restored);
  expect_bytes(restored, file.read(name + ".dequantised"), name + " restored");
}

TEST(Nf4Golden, EveryCodeScaleAndRestoredValueIsThatOfBitsandbytes) {
  SKIP_WITHOUT_GOLDEN("numbers/nf4.safetensors");
  const auto path = support::golden_paths("numbers/nf4.safetensors").front();
  const SafetensorsFile file(path);
  const platform::json::value about = platform::read_json_file(path.parent_path() / "nf4.json");
  std::size_t checked = 0;
  for (const std::string& name : file.names()) {
    if (!name.ends_with(".weight")) continue;
    check_case(file, about.as_object(), name.substr(0, name.size() - std::string_view(".weight").size()));
    ++checked;
  }
  std::cout << "cases checked: " << checked << "\n";
}

}  // namespace
}  // namespace finetune
