#include "finetune/adapter/merge.h"

#include <gtest/gtest.h>

#include "finetune/adapter/loaded_adapter.h"
#include "finetune/commands/commands.h"
#include "finetune/formats/safetensors.h"
#include "finetune/train/training_job.h"
#include "platform/base/digest.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

constexpr const char* kAdapted = "model.layers.1.self_attn.q_proj.weight";
constexpr const char* kUntouched = "model.embed_tokens.weight";

std::string bytes(const kernels::Tensor& tensor) {
  return {static_cast<const char*>(tensor.raw_data()), tensor.size_bytes()};
}

// A tiny base with more in its folder than the engine reads, and an adapter of one kind of layer.
class Merging : public ::testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(path("base"));
    add_to_base();
    support::write_text_examples(path("data.jsonl"), 12);
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

  void add_to_base() const {
    platform::json::value config = platform::read_json_file(path("base") / "config.json");
    config.as_object()["bos_token_id"] = 1;
    config.as_object()["pad_token_id"] = 0;
    platform::write_json_file(path("base") / "config.json", config);
    for (const char* name : {"generation_config.json", "chat_template.jinja", "special_tokens_map.json"})
      platform::write_file_atomically(path("base") / name, "{}\n");
  }
  void store_base_as(kernels::DataType type) const {
    const ModelConfig config = read_model_config(path("base"));
    save_model(path("base"), config, load_weights(path("base"), config, WeightPrecision::kFloat32), type);
    add_to_base();
  }
  void train(const std::string& base_dtype = "float32") const {
    TrainRequest request;
    request.base_folder = path("base");
    request.dataset = path("data.jsonl");
    request.task = Task::kLanguageModel;
    request.config.base_dtype = base_dtype;
    request.config.max_steps = 80;
    request.config.learning_rate = 1e-2;
    request.config.target_modules = {"q_proj"};
    request.config.target_pattern.clear();
    request.output_folder = path("adapter");
    request.threads = 1;
    TrainObserver observer;
    train_adapter(request, observer);
    remove_checkpoint(request);
  }
  int merge_to(const std::string& out) const {
    return merge_command({"--base", path("base"), "--adapter", path("adapter"), "--out", path(out), "--threads", "1"});
  }
  std::vector<float> answers(const std::string& base, const std::optional<std::filesystem::path>& adapter) const {
    kernels::Context context = kernels::Context::cpu(1);
    LoadedAdapter loaded = load_adapter(context, path(base), adapter);
    platform::Example example;
    example.prompt = "spindle load";
    example.completion = " high";
    const EncodedExample encoded = encode_example(loaded.rules(), example, true);
    return outputs_of(context, *loaded.model, {encoded}, 100).front();
  }
  platform::TemporaryFolder folder_;
};

TEST_F(Merging, TheMergedModelAnswersAsTheBaseWithItsAdapter) {
  store_base_as(kernels::DataType::kFloat32);
  train();
  ASSERT_EQ(merge_to("merged"), 0);
  const std::vector<float> plain = answers("base", {}), adapted = answers("base", path("adapter"));
  const std::vector<float> merged = answers("merged", {});
  ASSERT_EQ(merged.size(), adapted.size());
  for (std::size_t i = 0; i < merged.size(); ++i) EXPECT_NEAR(merged[i], adapted[i], 1e-3f);
  EXPECT_GT(std::abs(plain[0] - adapted[0]), 0.05f) << "the adapter does nothing, so that nothing was shown";
}

TEST_F(Merging, AnAdapterOfACompressedBaseIsMergedIntoTheBaseItself) {
  store_base_as(kernels::DataType::kFloat32);
  train("nf4");
  ASSERT_EQ(merge_to("merged"), 0);
  // What NF4 changes in the base stays out of it: only the adapted layers differ from the base.
  const SafetensorsFile base(path("base") / "model.safetensors"), merged(path("merged") / "model.safetensors");
  EXPECT_TRUE(bytes(base.read(kUntouched)) == bytes(merged.read(kUntouched)));
  const kernels::Tensor plain = base.read(kAdapted);
  kernels::Context context = kernels::Context::cpu(1);
  LoadedAdapter loaded = load_adapter(context, path("base"), path("adapter"));
  ModelWeights weights = load_weights(path("base"), loaded.base->config, WeightPrecision::kFloat32);
  loaded.parts->adapter.merge_into(context, weights);
  EXPECT_TRUE(bytes(weights.layers[1].linears[index_of(LinearKind::kQuery)].value) == bytes(merged.read(kAdapted)));
  EXPECT_FALSE(bytes(plain) == bytes(merged.read(kAdapted)));
}

TEST_F(Merging, EveryTensorKeepsItsTypeAndThoseWithoutAnAdapterTheirBytes) {
  for (const auto type : {kernels::DataType::kFloat32, kernels::DataType::kBFloat16}) {
    const std::string out = "merged " + std::string(kernels::name_of(type));
    store_base_as(type);
    train();
    ASSERT_EQ(merge_to(out), 0);
    const SafetensorsFile before(path("base") / "model.safetensors"), after(path(out) / "model.safetensors");
    ASSERT_EQ(after.names(), before.names());
    for (const std::string& name : before.names()) EXPECT_EQ(after.info(name).dtype, before.info(name).dtype) << name;
    EXPECT_EQ(bytes(after.read(kUntouched)), bytes(before.read(kUntouched)));
    EXPECT_NE(bytes(after.read(kAdapted)), bytes(before.read(kAdapted)));
  }
}

TEST_F(Merging, TheProductIsAddedOnceAndScaled) {
  train();
  kernels::Context context = kernels::Context::cpu(1);
  Base base = Base::load(path("base"));
  Adapter lora = Adapter::load(path("adapter"), base.config, base.weights);
  const LinearAdapter& pair = *lora.linears()[1][index_of(LinearKind::kQuery)];
  const kernels::Tensor& value = base.weights.layers[1].linears[index_of(LinearKind::kQuery)].value;
  const std::int64_t row = 3, column = 5, rank = pair.a.value.size(0);
  double expected = static_cast<double>(value.data<float>()[row * value.size(1) + column]);
  for (std::int64_t r = 0; r < rank; ++r) {
    expected += static_cast<double>(pair.scaling) * static_cast<double>(pair.b.value.data<float>()[row * rank + r]) *
                static_cast<double>(pair.a.value.data<float>()[r * value.size(1) + column]);
  }
  lora.merge_into(context, base.weights);
  EXPECT_NEAR(static_cast<double>(value.data<float>()[row * value.size(1) + column]), expected, 1e-5);
}

TEST_F(Merging, AMergedAdapterComesOffAgainUpToTheRoundingOfTheWeights) {
  train();
  ASSERT_EQ(merge_to("merged"), 0);
  ASSERT_EQ(adapter_command({"unmerge", "--model", path("merged"), "--adapter", path("adapter"), "--out", path("again"),
                             "--threads", "1"}),
            0);
  const std::vector<float> base = answers("base", {}), again = answers("again", {});
  for (std::size_t i = 0; i < base.size(); ++i) EXPECT_NEAR(again[i], base[i], 0.05f);
  const SafetensorsFile before(path("base") / "model.safetensors"), after(path("again") / "model.safetensors");
  const auto wide = [](const SafetensorsFile& file, const char* name) {
    return file.read_as(name, kernels::DataType::kFloat32);
  };
  // bfloat16 keeps 8 bits: of the merged weight, which is larger than the base's, and once more of the result.
  const SafetensorsFile merged(path("merged") / "model.safetensors");
  const double grown = 1.0 + relative_distance(wide(merged, kAdapted), wide(before, kAdapted));
  EXPECT_LT(relative_distance(wide(after, kAdapted), wide(before, kAdapted)), 0.004 * grown);
  EXPECT_EQ(relative_distance(wide(after, kUntouched), wide(before, kUntouched)), 0.0);
}

TEST_F(Merging, AnAdapterThatWasNotMergedIsNotTakenOff) {
  train();
  try {
    adapter_command({"unmerge", "--model", path("base"), "--adapter", path("adapter"), "--out", path("again")});
    FAIL() << "was taken off the base itself";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kConflict);
  }
  EXPECT_FALSE(std::filesystem::exists(path("again")));
}

TEST_F(Merging, AMergeInFewBitsIsTheModelThatSuchABaseComputesWith) {
  store_base_as(kernels::DataType::kFloat32);
  train();
  ASSERT_EQ(adapter_command({"merge", "--base", path("base"), "--adapter", path("adapter"), "--precision", "nf4",
                             "--out", path("merged"), "--threads", "1"}),
            0);
  kernels::Context context = kernels::Context::cpu(1);
  const ModelConfig config = read_model_config(path("base"));
  ModelWeights held = load_weights(path("base"), config, WeightPrecision::kNf4);
  Adapter adapter = Adapter::load(path("adapter"), config, held);
  EXPECT_GT(adapter.merge_into(context, held).largest_error, 0.01);
  // The written values are those that the codes stand for, and loading them in 4 bits finds the same codes.
  const ModelWeights again = load_weights(path("merged"), config, WeightPrecision::kNf4);
  const auto values = [&](const ModelWeights& weights) {
    return weights.layers[1].linears[index_of(LinearKind::kQuery)].dense(context);
  };
  EXPECT_EQ(relative_distance(values(again), values(held)), 0.0);
  EXPECT_THROW(adapter_command({"merge", "--base", path("base"), "--adapter", path("adapter"), "--precision", "int2",
                                "--out", path("other")}),
               platform::Error);
}

TEST_F(Merging, BringsEveryFileOfTheModelAlongAsItIs) {
  train();
  ASSERT_EQ(merge_to("merged"), 0);
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json",
                           "chat_template.jinja", "special_tokens_map.json"})
    EXPECT_EQ(platform::read_file(path("merged") / name), platform::read_file(path("base") / name)) << name;
  EXPECT_FALSE(std::filesystem::exists(path("merged") / "words.txt"));
}

TEST_F(Merging, WritesNothingOverTheBaseAndNothingForAnotherTokenizer) {
  train();
  const std::string before = platform::digest_of_file(path("base") / "model.safetensors");
  EXPECT_THROW(merge_to("base"), platform::Error);
  EXPECT_THROW(merge_to("base/"), platform::Error);
  EXPECT_EQ(platform::digest_of_file(path("base") / "model.safetensors"), before);
  platform::write_file_atomically(path("base") / "tokenizer_config.json",
                                  platform::read_file(path("base") / "tokenizer_config.json") + "\n");
  try {
    merge_to("merged");
    FAIL() << "was merged with another tokenizer";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kConflict);
  }
  EXPECT_FALSE(std::filesystem::exists(path("merged")));
}

}  // namespace
}  // namespace finetune
