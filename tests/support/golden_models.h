// Cases of other engines' outputs (golden_folder.h): tiny models with logits, gradients and training traces. For tests
// only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "finetune/formats/safetensors.h"
#include "finetune/model/base.h"
#include "finetune/train/example_encoding.h"
#include "kernels/ops/cross_entropy.h"
#include "tests/support/golden_folder.h"
#include "tests/support/no_tokenizer.h"

namespace support {

/// Every case folder, by name; those of families that come later apart.
inline std::vector<std::filesystem::path> golden_models(bool later = false) {
  std::vector<std::filesystem::path> cases = golden_cases("models");
  std::erase_if(cases, [&](const auto& path) { return path.filename().string().starts_with("later_") != later; });
  return cases;
}

/// The adapters of one case.
inline std::vector<std::filesystem::path> golden_adapters(const std::filesystem::path& model) {
  std::vector<std::filesystem::path> cases;
  if (!std::filesystem::exists(model / "adapters")) return cases;
  for (const auto& entry : std::filesystem::directory_iterator(model / "adapters")) cases.push_back(entry.path());
  std::sort(cases.begin(), cases.end());
  return cases;
}

inline double largest(const kernels::Tensor& tensor) {
  double most = 0;
  for (const float value : tensor.values<float>()) most = std::max(most, std::fabs(static_cast<double>(value)));
  return most;
}

/// Largest difference over the largest wanted value.
inline double relative_error(const kernels::Tensor& got, const kernels::Tensor& wanted) {
  EXPECT_EQ(got.count(), wanted.count());
  if (got.count() != wanted.count()) return 1e9;
  double difference = 0, largest = 0;
  for (std::int64_t i = 0; i < wanted.count(); ++i) {
    const double value = static_cast<double>(wanted.data<float>()[i]);
    largest = std::max(largest, std::fabs(value));
    difference = std::max(difference, std::fabs(value - static_cast<double>(got.data<float>()[i])));
    if (!std::isfinite(got.data<float>()[i])) return 1e9;
  }
  return difference / std::max(largest, 1e-30);
}

/// The same of gradients. One that is 0 but for rounding (queries that see one key, a bias that shifts all scores of a
/// row) has no size of its own: it is held against `whole`, the largest gradient of the model.
inline double gradient_error(const kernels::Tensor& got, const kernels::Tensor& wanted, double whole) {
  const double size = largest(wanted);
  const double error = relative_error(got, wanted) * std::max(size, 1e-30);
  return error / (size <= 1e-6 * whole ? whole : size);
}

/// The peer's own error from float64, e.g. peer_error(case.json, "float32", "logits").
inline double peer_error(const platform::json::value& document, std::string_view precision, std::string_view what) {
  return document.at("peer_error").at(precision).at(what).to_number<double>();
}

struct GoldenModel {
  std::filesystem::path folder;
  platform::json::value about;  // case.json
  finetune::Base base;
  finetune::SafetensorsFile expected;

  explicit GoldenModel(const std::filesystem::path& path,
                       finetune::WeightPrecision precision = finetune::WeightPrecision::kFloat32)
      : folder(path),
        about(platform::read_json_file(path / "case.json")),
        base(make_base(path, precision)),
        expected(path / "expected.safetensors") {}

  /// The documents of a batch, each with the token that follows where it is supervised.
  std::vector<finetune::EncodedExample> batch(int number) const {
    std::vector<finetune::EncodedExample> documents;
    for (int document = 0;; ++document) {
      const std::string name = "batch." + std::to_string(number) + ".document." + std::to_string(document) + ".";
      if (!expected.contains(name + "ids")) return documents;
      finetune::EncodedExample example;
      example.ids = whole(name + "ids");
      const std::vector<std::int32_t> supervised = whole(name + "supervised");
      for (std::size_t i = 0; i < example.ids.size(); ++i) {
        const bool counts = i + 1 < example.ids.size() && supervised[i + 1] != 0;
        example.targets.push_back(counts ? example.ids[i + 1] : kernels::kIgnoredTarget);
      }
      documents.push_back(std::move(example));
    }
  }

  std::vector<std::int32_t> whole(const std::string& name) const {
    const kernels::Tensor tensor = expected.read(name);
    std::vector<std::int32_t> values;
    for (std::int64_t i = 0; i < tensor.count(); ++i) {
      switch (tensor.type()) {
        case kernels::DataType::kInt64:
          values.push_back(static_cast<std::int32_t>(tensor.data<std::int64_t>()[i]));
          break;
        case kernels::DataType::kUInt8: values.push_back(tensor.data<std::uint8_t>()[i]); break;
        default: values.push_back(tensor.data<std::int32_t>()[i]);
      }
    }
    return values;
  }

 private:
  static finetune::Base make_base(const std::filesystem::path& path, finetune::WeightPrecision precision) {
    finetune::ModelConfig config = finetune::read_model_config(path);
    finetune::ModelWeights weights = finetune::load_weights(path, config, precision);
    return {std::move(config), std::move(weights), support::no_tokenizer(), "", ""};
  }
};

}  // namespace support
