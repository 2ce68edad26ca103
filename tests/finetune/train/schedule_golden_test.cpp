// Schedules and optimizers beside those of transformers and torch.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iostream>

#include "finetune/train/optimizer.h"
#include "finetune/train/schedule.h"
#include "platform/base/json.h"
#include "tests/support/golden_folder.h"

namespace finetune {
namespace {

namespace json = platform::json;

ScheduleOptions options_of(const std::string& name, const json::object& settings) {
  ScheduleOptions options;
  if (name == "polynomial") options.minimum = 1e-7;  // where that schedule ends unless told otherwise
  for (const auto& [key, value] : settings) {
    if (key == "num_cycles") options.cycles = value.to_number<double>();
    if (key == "min_lr_rate" || key == "min_lr_ratio") options.minimum = value.to_number<double>();
    if (key == "num_decay_steps") options.decay_steps = value.to_number<std::int64_t>();
    if (key == "num_stable_steps") options.stable_steps = value.to_number<std::int64_t>();
  }
  return options;
}

std::size_t check_schedules(const std::filesystem::path& path) {
  std::size_t checked = 0;
  const json::value rows = platform::read_json_file(path);
  for (const json::value& row : rows.as_array()) {
    const std::string name(row.at("name").as_string());
    const ScheduleOptions options = options_of(name, row.at("settings").as_object());
    const auto wanted = json::value_to<std::vector<double>>(row.at("multiplier"));
    for (std::size_t step = 0; step < wanted.size(); ++step) {
      EXPECT_NEAR(schedule_factor(name, static_cast<std::int64_t>(step), row.at("warmup").to_number<std::int64_t>(),
                                  row.at("steps").to_number<std::int64_t>(), options),
                  wanted[step], 1e-12)
          << name << " step " << step;
    }
    ++checked;
  }
  return checked;
}

TEST(ScheduleGolden, EveryMultiplierIsThatOfTransformers) {
  SKIP_WITHOUT_GOLDEN("numbers/schedules.json");
  std::size_t checked = 0;
  for (const auto& path : support::golden_paths("numbers/schedules.json")) checked += check_schedules(path);
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0u);
}

// The float64 tensors of a safetensors file, which the library itself does not read.
std::map<std::string, std::vector<double>, std::less<>> doubles_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::uint64_t header_bytes = 0;
  stream.read(reinterpret_cast<char*>(&header_bytes), sizeof header_bytes);
  std::string header(header_bytes, ' ');
  stream.read(header.data(), static_cast<std::streamsize>(header_bytes));
  std::map<std::string, std::vector<double>, std::less<>> tensors;
  const json::value parsed = json::parse(header);
  for (const auto& [name, info] : parsed.as_object()) {
    if (name == "__metadata__") continue;
    const auto range = json::value_to<std::vector<std::int64_t>>(info.at("data_offsets"));
    std::vector<double> values(static_cast<std::size_t>(range[1] - range[0]) / sizeof(double));
    stream.seekg(static_cast<std::streamoff>(8 + header_bytes) + range[0]);
    stream.read(reinterpret_cast<char*>(values.data()), range[1] - range[0]);
    tensors[std::string(name)] = std::move(values);
  }
  return tensors;
}

kernels::Tensor narrow(const double* values, std::size_t count) {
  return kernels::Tensor::from(std::vector<float>(values, values + count));
}

void expect_steps(const OptimizerOptions& options, double rate, const std::vector<double>& initial,
                  const std::vector<double>& gradients, const std::vector<double>& wanted, const std::string& name) {
  Weight weight;
  weight.name = name;
  weight.value = narrow(initial.data(), initial.size());
  weight.gradient = kernels::Tensor::zeros(weight.value.shape());
  Optimizer optimizer({{&weight}}, options);
  kernels::Context context = kernels::Context::cpu(1);
  for (std::size_t begin = 0; begin < gradients.size(); begin += initial.size()) {
    weight.gradient.copy_from(narrow(gradients.data() + begin, initial.size()));
    optimizer.step(context, rate);
    for (std::size_t i = 0; i < initial.size(); ++i) {
      const double want = wanted[begin + i];
      EXPECT_NEAR(static_cast<double>(weight.value.data<float>()[i]), want, 1e-6 + 1e-6 * std::fabs(want))
          << name << " element " << i << " after value " << begin;
    }
  }
}

std::size_t check_optimizers(const std::filesystem::path& path) {
  const auto tensors = doubles_of(path);
  const json::value settings = platform::read_json_file(path.parent_path() / "optimisers.json");
  std::size_t checked = 0;
  for (const json::value& setting : settings.at("adamw").as_array()) {
    OptimizerOptions options;
    options.clip_norm = 0;
    options.weight_decay = setting.at("weight_decay").to_number<float>();
    options.beta1 = setting.at("betas").as_array()[0].to_number<float>();
    options.beta2 = setting.at("betas").as_array()[1].to_number<float>();
    options.epsilon = setting.at("eps").to_number<float>();
    const std::string name = "adamw." + std::to_string(checked);
    expect_steps(options, setting.at("lr").to_number<double>(), tensors.at("initial"), tensors.at("gradients"),
                 tensors.at(name), name);
    ++checked;
  }
  const json::value& sgd = settings.at("sgd");
  OptimizerOptions options{.kind = OptimizerKind::kSgd, .clip_norm = 0};
  options.weight_decay = sgd.at("weight_decay").to_number<float>();
  options.beta1 = sgd.at("momentum").to_number<float>();
  expect_steps(options, sgd.at("lr").to_number<double>(), tensors.at("initial"), tensors.at("gradients"),
               tensors.at("sgd_momentum"), "sgd_momentum");
  return checked + 1;
}

TEST(OptimizerGolden, EveryStepIsThatOfTorch) {
  SKIP_WITHOUT_GOLDEN("numbers/optimisers.safetensors");
  std::size_t checked = 0;
  for (const auto& path : support::golden_paths("numbers/optimisers.safetensors")) checked += check_optimizers(path);
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0u);
}

}  // namespace
}  // namespace finetune
