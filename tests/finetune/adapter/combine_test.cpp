#include "finetune/adapter/combine.h"

#include <gtest/gtest.h>

#include <cmath>

#include "finetune/adapter/loaded_adapter.h"
#include "finetune/commands/commands.h"
#include "finetune/model/singular_values.h"
#include "finetune/train/training_job.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using kernels::Tensor;

const char* const kFirst = "model.layers.0.self_attn.q_proj";
const char* const kSecond = "model.layers.0.mlp.up_proj";

Tensor random_tensor(kernels::Shape shape, kernels::Random& random) {
  Tensor tensor(std::move(shape));
  for (float& value : tensor.values<float>()) value = static_cast<float>(random.normal());
  return tensor;
}

PeftAdapter lora(int rank, double alpha, std::uint64_t seed, const std::vector<std::string>& modules) {
  kernels::Random random(seed);
  PeftAdapter adapter;
  adapter.config.r = rank;
  adapter.config.lora_alpha = alpha;
  adapter.config.target_modules = {"q_proj", "up_proj"};
  for (const std::string& module : modules) {
    adapter.modules[module].a = random_tensor({rank, 7}, random);
    adapter.modules[module].b = random_tensor({9, rank}, random);
  }
  return adapter;
}

// s B A, in double.
Matrix delta(const PeftAdapter& adapter, const std::string& module) {
  Matrix sum(9, 7);
  const auto found = adapter.modules.find(module);
  if (found == adapter.modules.end()) return sum;
  sum = product(Matrix::from(found->second.b), Matrix::from(found->second.a));
  for (double& value : sum.values) value *= adapter.config.scaling_of(module);
  return sum;
}

double distance(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) sum += (a.values[i] - b.values[i]) * (a.values[i] - b.values[i]);
  return std::sqrt(sum);
}

Matrix weighted_sum(const PeftAdapter& a, double wa, const PeftAdapter& b, double wb, const std::string& module) {
  Matrix sum = delta(a, module);
  const Matrix other = delta(b, module);
  for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] = wa * sum.values[i] + wb * other.values[i];
  return sum;
}

TEST(CombinedAdapters, CatIsTheWeightedSumAlsoOfDifferentRanksAndModules) {
  const PeftAdapter a = lora(2, 6, 1, {kFirst, kSecond}), b = lora(3, 2, 2, {kFirst});
  const PeftAdapter both = combined({{&a, 0.7}, {&b, -0.4}}, CombinationType::kCat, 0);
  EXPECT_EQ(both.config.r, 5);
  for (const char* module : {kFirst, kSecond}) {
    EXPECT_EQ(both.modules.at(module).a.size(0), 5);
    EXPECT_LT(distance(delta(both, module), weighted_sum(a, 0.7, b, -0.4, module)), 1e-5) << module;
  }
}

TEST(CombinedAdapters, SvdIsTheSumWhereTheRankSufficesAndElseTheNearestOfItsRank) {
  const PeftAdapter a = lora(2, 6, 1, {kFirst}), b = lora(3, 2, 2, {kFirst});
  const Matrix sum = weighted_sum(a, 0.7, b, -0.4, kFirst);
  EXPECT_LT(distance(delta(combined({{&a, 0.7}, {&b, -0.4}}, CombinationType::kSvd, 5), kFirst), sum), 1e-5);
  const std::vector<double> values = singular_values(sum).values;
  const PeftAdapter near = combined({{&a, 0.7}, {&b, -0.4}}, CombinationType::kSvd, 0);
  EXPECT_EQ(near.config.r, 3);
  EXPECT_NEAR(distance(delta(near, kFirst), sum), std::hypot(values[3], values[4]), 1e-5);
  EXPECT_EQ(combined({{&a, 1}, {&b, 1}}, CombinationType::kSvd, 8).modules.at(kFirst).a.size(0), 8);
}

TEST(CombinedAdapters, LinearAddsTheFactorsWithTheRootsOfTheirWeights) {
  const PeftAdapter a = lora(2, 6, 1, {kFirst}), b = lora(2, 2, 2, {kFirst});
  const PeftAdapter both = combined({{&a, 0.7}, {&b, -0.4}}, CombinationType::kLinear, 0);
  const double root_a = std::sqrt(0.7 * 3), root_b = std::sqrt(0.4 * 1);
  const auto value = [](const Tensor& tensor) { return static_cast<double>(tensor.data<float>()[4]); };
  const PeftModule &one = a.modules.at(kFirst), &two = b.modules.at(kFirst), &sum = both.modules.at(kFirst);
  EXPECT_NEAR(value(sum.a), root_a * value(one.a) - root_b * value(two.a), 1e-6);
  EXPECT_NEAR(value(sum.b), root_a * value(one.b) + root_b * value(two.b), 1e-6);
  EXPECT_EQ(both.config.scaling_of(kFirst), 1.0);
}

TEST(CombinedAdapters, RefusesWhatHasNoSum) {
  const PeftAdapter a = lora(2, 6, 1, {kFirst}), b = lora(3, 2, 2, {kFirst});
  EXPECT_THROW(combined({{&a, 1}, {&b, 1}}, CombinationType::kLinear, 0), platform::Error);
  PeftAdapter dora = lora(2, 6, 1, {kFirst});
  dora.config.use_dora = true;
  EXPECT_THROW(combined({{&a, 1}, {&dora, 1}}, CombinationType::kCat, 0), platform::Error);
  PeftAdapter saved = lora(2, 6, 1, {kFirst});
  saved.saved["lm_head.weight"] = Tensor::zeros({2, 2});
  EXPECT_THROW(combined({{&saved, 1}}, CombinationType::kCat, 0), platform::Error);
  EXPECT_THROW(combined({{&a, std::nan("")}}, CombinationType::kCat, 0), platform::Error);
  EXPECT_THROW(combined({}, CombinationType::kCat, 0), platform::Error);
}

// Two adapters of one base as a person has them on disk.
class CombineCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(path("base"));
    train("day", "high", "[q_proj, v_proj]");
    train("night", "cold", "all-linear");
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  void train(const std::string& name, const std::string& answer, const std::string& targets) const {
    std::string lines;
    for (int i = 0; i < 8; ++i) {
      platform::Example example;
      example.id = "m" + std::to_string(i);
      example.prompt = i % 2 == 0 ? "spindle load" : "bearing";
      example.completion = " " + answer;
      lines += platform::canonical_json(platform::to_json(example)) + "\n";
    }
    platform::write_file_atomically(path("data.jsonl"), lines);
    platform::write_file_atomically(path("train.yaml"),
                                    "task: lm\nmax_steps: 40\nlearning_rate: 0.01\nr: 4\n"
                                    "target_modules: " +
                                        targets + "\n");
    ASSERT_EQ(train_command({"--base", path("base"), "--data", path("data.jsonl"), "--config", path("train.yaml"),
                             "--threads", "1", "--out", path(name)}),
              0);
  }
  std::vector<float> answers(const std::string& adapter) const {
    kernels::Context context = kernels::Context::cpu(1);
    LoadedAdapter loaded = load_adapter(context, path("base"), path(adapter));
    platform::Example example;
    example.prompt = "spindle load";
    example.completion = " high";
    return outputs_of(context, *loaded.model, {encode_example(loaded.rules(), example, true)}, 100).front();
  }
  platform::TemporaryFolder folder_;
};

TEST_F(CombineCommand, WritesAnAdapterThatLoadsAndAnswersAsTheWeightedSum) {
  const auto combine = [&](const Arguments& more) {
    Arguments arguments{"combine", "--base", path("base"), "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return adapter_command(arguments);
  };
  ASSERT_EQ(combine({"--adapter", path("day"), "--adapter", path("night"), "--weight", "1", "--weight", "0", "--out",
                     path("only day")}),
            0);
  const std::vector<float> day = answers("day"), again = answers("only day");
  for (std::size_t i = 0; i < day.size(); ++i) EXPECT_NEAR(again[i], day[i], 1e-4f);
  ASSERT_EQ(combine({"--adapter", path("day"), "--adapter", path("night"), "--out", path("sum")}), 0);
  ASSERT_EQ(combine({"--adapter", path("day"), "--adapter", path("night"), "--type", "svd", "--svd-rank", "8", "--out",
                     path("svd")}),
            0);
  const std::vector<float> sum = answers("sum"), svd = answers("svd");
  for (std::size_t i = 0; i < sum.size(); ++i) EXPECT_NEAR(svd[i], sum[i], 1e-4f);
  EXPECT_NE(sum, day);
}

TEST_F(CombineCommand, SaysWhatIsWrong) {
  EXPECT_EQ(adapter_command({"--help"}), 0);
  EXPECT_EQ(adapter_command({"combine", "--help"}), 0);
  EXPECT_THROW(adapter_command({"divide"}), platform::Error);
  const auto refused = [&](const Arguments& more) {
    Arguments arguments{"combine", "--base", path("base"), "--adapter", path("day"), "--out", path("out")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_THROW(adapter_command(arguments), platform::Error);
    EXPECT_FALSE(std::filesystem::exists(path("out")));
  };
  refused({"--weight", "much"});
  refused({"--weight", "1", "--weight", "2"});
  refused({"--type", "ties"});
  refused({"--weight", "0"});  // an adapter that does nothing
}

}  // namespace
}  // namespace finetune
