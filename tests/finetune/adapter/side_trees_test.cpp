#include "finetune/adapter/side_trees.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "platform/base/error.h"

namespace finetune {
namespace {

using kernels::Tensor;

// Output 0: +1 where column 1 is over 0.5, then +10 or +20 by column 0. Output 1: 5.
SideTrees two_trees() {
  SideTrees made;
  made.start = {100, 200};
  made.trees.push_back(
      {.output = 0, .nodes = {{1, 0.5f, 1, 2, 0}, {.value = -1}, {0, 0.0f, 3, 4, 0}, {.value = 10}, {.value = 20}}});
  made.trees.push_back({.output = 1, .nodes = {{.value = 5}}});
  return made;
}

SideInput input_of(float first, float second) {
  SideInput input;
  input.dense = {first, second};
  return input;
}

std::vector<float> answers_of(const SideTrees& trees, const std::vector<SideInput>& inputs) {
  kernels::Context context = kernels::Context::cpu(2);
  std::vector<const SideInput*> pointers;
  for (const SideInput& input : inputs) pointers.push_back(&input);
  Tensor outputs = Tensor::zeros({static_cast<std::int64_t>(inputs.size()), 2});
  trees.add_to(context, pointers, outputs);
  return {outputs.values<float>().begin(), outputs.values<float>().end()};
}

TEST(SideTrees, GoLeftAtTheThresholdAndAddUpForTheirOutput) {
  EXPECT_EQ(answers_of(two_trees(), {input_of(9, 0.5f), input_of(0, 0.6f), input_of(0.1f, 0.6f)}),
            (std::vector<float>{99, 205, 110, 205, 120, 205}));
}

TEST(SideTrees, SayNothingWhereThereAreNone) {
  EXPECT_EQ(answers_of({}, {input_of(1, 1)}), (std::vector<float>{0, 0}));
}

TEST(SideTrees, AreScaledAsAWhole) {
  SideTrees trees = two_trees();
  trees.scale(0.5f);
  EXPECT_EQ(answers_of(trees, {input_of(9, 0.5f)}), (std::vector<float>{49.5f, 102.5f}));
}

TEST(SideTrees, ComeBackFromTheirTensors) {
  const SideTrees again = trees_from_tensors(to_tensors(two_trees()), 2, 2);
  const std::vector<SideInput> inputs{input_of(9, 0.5f), input_of(0, 0.6f), input_of(0.1f, 0.6f)};
  EXPECT_EQ(answers_of(again, inputs), answers_of(two_trees(), inputs));
  EXPECT_TRUE(to_tensors({}).empty());
}

struct Fault {
  const char* name;
  std::function<void(std::map<std::string, Tensor>&)> make;
  const char* says;
};

class SideTreesFault : public testing::TestWithParam<Fault> {};

TEST_P(SideTreesFault, IsRefused) {
  std::map<std::string, Tensor> tensors = to_tensors(two_trees());
  GetParam().make(tensors);
  try {
    trees_from_tensors(tensors, 2, 2);
    FAIL() << "it was taken";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCorrupt);
    EXPECT_NE(std::string(error.what()).find(GetParam().says), std::string::npos) << error.what();
  }
}

std::int32_t* whole(std::map<std::string, Tensor>& tensors, const char* name) {
  return tensors.at(std::string("side.trees.") + name).data<std::int32_t>();
}
float* number(std::map<std::string, Tensor>& tensors, const char* name) {
  return tensors.at(std::string("side.trees.") + name).data<float>();
}

INSTANTIATE_TEST_SUITE_P(
    Files, SideTreesFault,
    testing::Values(Fault{"AMissingTensor", [](auto& t) { t.erase("side.trees.values"); }, "values"},
                    Fault{"AnotherType", [](auto& t) { t["side.trees.columns"] = Tensor::zeros({6}); }, "another type"},
                    Fault{"AColumnBeyondTheRow", [](auto& t) { whole(t, "columns")[0] = 2; }, "columns"},
                    Fault{"AColumnBelowNone", [](auto& t) { whole(t, "columns")[0] = -2; }, "columns"},
                    Fault{"AWalkThatGoesBack", [](auto& t) { whole(t, "children")[4] = 0; }, "children"},
                    Fault{"AWalkThatStaysWhereItIs", [](auto& t) { whole(t, "children")[4] = 2; }, "children"},
                    Fault{"AWalkIntoTheNextTree", [](auto& t) { whole(t, "children")[5] = 5; }, "children"},
                    Fault{"AnOutputThatThereIsNot", [](auto& t) { whole(t, "outputs")[1] = 2; }, "outputs"},
                    Fault{"ATreeOfNoNode", [](auto& t) { whole(t, "lengths")[1] = 0; }, "lengths"},
                    Fault{"NodesOfNoTree",
                          [](auto& t) {
                            t["side.trees.lengths"] = Tensor::from(std::vector<std::int32_t>{5});
                            t["side.trees.outputs"] = Tensor::from(std::vector<std::int32_t>{0});
                          },
                          "lengths"},
                    Fault{"MoreNodesThanThereAre", [](auto& t) { whole(t, "lengths")[1] = 2; }, "lengths"},
                    Fault{"AnotherNumberOfValues", [](auto& t) { t["side.trees.values"] = Tensor::zeros({5}); },
                          "columns"},
                    Fault{"AStartForAnotherHead", [](auto& t) { t["side.trees.start"] = Tensor::zeros({3}); }, "start"},
                    Fault{"AValueThatIsNoNumber",
                          [](auto& t) { number(t, "values")[1] = std::numeric_limits<float>::quiet_NaN(); }, "values"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace finetune
