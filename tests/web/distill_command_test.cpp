// `anneal datasets distill` against an agent that answers on loopback with a language model of its own.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "finetune/adapter/loaded_adapter.h"
#include "finetune/train/example_encoding.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "tests/deploy/support/serving_fixture.h"
#include "web/client/commands.h"

namespace tests {
namespace {

platform::Example asked(int i, bool chat) {
  platform::Example example;
  example.id = (chat ? "c" : "p") + std::to_string(i);
  const bool spindle = i % 2 == 0;
  if (chat) {
    example.messages = {{"user", spindle ? "spindle load" : "bearing"}};
  } else {
    example.prompt = spindle ? "spindle load" : "bearing";
  }
  return example;
}

std::string lines_of(const std::vector<platform::Example>& examples) {
  std::string lines;
  for (const platform::Example& example : examples)
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  return lines;
}

// A teacher that learnt two answers, asked with a prompt and in conversations.
class TeacherModel {
 public:
  static const TeacherModel& instance() {
    static const TeacherModel model;
    return model;
  }
  std::filesystem::path base() const { return folder_.path() / "base"; }
  std::filesystem::path adapter() const { return folder_.path() / "adapter"; }

 private:
  TeacherModel() {
    support::write_tiny_base(base());
    std::vector<platform::Example> taught;
    for (int i = 0; i < 16; ++i) {
      platform::Example example = asked(i, i % 4 >= 2);
      const std::string answer = i % 2 == 0 ? "high, high" : "cold";
      if (example.messages.empty())
        example.completion = " " + answer;
      else
        example.messages.push_back({"assistant", answer});
      taught.push_back(std::move(example));
    }
    platform::write_file_atomically(folder_.path() / "data.jsonl", lines_of(taught));
    finetune::TrainRequest request;
    request.base_folder = base();
    request.dataset = folder_.path() / "data.jsonl";
    request.task = finetune::Task::kLanguageModel;
    request.config.min_steps = request.config.max_steps = 700;
    request.config.learning_rate = 1e-2;
    request.output_folder = adapter();
    request.threads = 1;
    finetune::TrainObserver observer;
    finetune::train_adapter(request, observer);
  }
  platform::TemporaryFolder folder_;
};

class DistillCommand : public ServingFixture {
 protected:
  void SetUp() override {
    ServingFixture::SetUp();
    serving_.prepare(stage(1, TeacherModel::instance().base(), TeacherModel::instance().adapter()));
    serving_.activate();
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  void write(const std::vector<platform::Example>& examples) {
    platform::write_file_atomically(path("prompts.jsonl"), lines_of(examples));
  }
  json::value distill(std::vector<std::string> more = {}, const std::string& base = {}, std::size_t max_tokens = 24) {
    std::vector<std::string> arguments{"distill",
                                       "--data",
                                       path("prompts.jsonl"),
                                       "--teacher",
                                       server_->address(),
                                       "--base",
                                       base.empty() ? TeacherModel::instance().base().string() : base,
                                       "--out",
                                       path("taught.jsonl"),
                                       "--max-tokens",
                                       std::to_string(max_tokens),
                                       "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    std::exception_ptr failed;
    try {
      web::datasets_command(arguments);
    } catch (...) {
      failed = std::current_exception();
    }
    const std::string out = testing::internal::GetCapturedStdout();
    testing::internal::GetCapturedStderr();
    if (failed) std::rethrow_exception(failed);
    return json::parse(out);
  }
};

TEST_F(DistillCommand, WritesTheAnswersWithWhatTheTeacherFoundLikely) {
  write({asked(0, false), asked(1, false), asked(2, true), asked(3, true)});
  const json::value summary = distill();
  EXPECT_EQ(summary.at("examples").to_number<int>(), 4);
  EXPECT_EQ(summary.at("with_teacher").to_number<int>(), 4);
  const std::vector<platform::Example> taught = finetune::read_examples(path("taught.jsonl"));
  ASSERT_EQ(taught.size(), 4u);
  EXPECT_EQ(taught[0].completion, " high, high");
  EXPECT_EQ(taught[1].completion, " cold");
  EXPECT_EQ(taught[2].messages.back().content, "high, high");
  EXPECT_EQ(taught[3].messages.back().role, "assistant");
  EXPECT_FALSE(std::filesystem::exists(path("taught.jsonl.partial")));

  // What was served is what the model itself gives those tokens.
  kernels::Context context = kernels::Context::cpu(1);
  finetune::LoadedAdapter teacher =
      finetune::load_adapter(context, TeacherModel::instance().base(), TeacherModel::instance().adapter());
  for (const platform::Example& example : taught) {
    ASSERT_TRUE(example.teacher) << example.id;
    const finetune::EncodedExample encoded = finetune::encode_example(teacher.rules(), example, true);
    const finetune::EncodedExample* batch[] = {&encoded};
    const std::vector<float> own = teacher.model->outputs(context, batch).at(0);
    std::size_t number = 0;
    int told = 0;
    for (std::size_t i = 0; i < encoded.targets.size(); ++i) {
      if (encoded.targets[i] < 0) continue;
      for (const platform::TeacherToken& token : encoded.teacher[i]) {
        if (token.token != encoded.targets[i]) continue;
        EXPECT_NEAR(token.logprob, own[number], 2e-3) << example.id << " token " << number;
        ++told;
      }
      ++number;
    }
    EXPECT_EQ(told, static_cast<int>(number) - 1) << "all but the end of the answer";
  }
}

TEST_F(DistillCommand, MakesADatasetThatAStudentLearnsFrom) {
  std::vector<platform::Example> prompts;
  for (int i = 0; i < 8; ++i) prompts.push_back(asked(i, false));
  write(prompts);
  distill({"--top", "5"});
  finetune::TrainRequest request;
  request.base_folder = TeacherModel::instance().base();
  request.dataset = path("taught.jsonl");
  request.task = finetune::Task::kLanguageModel;
  request.config.objective.kind = finetune::ObjectiveKind::kDistillation;
  request.config.min_steps = request.config.max_steps = 60;
  request.config.learning_rate = 1e-2;
  request.output_folder = path("student");
  request.threads = 1;
  struct Losses final : finetune::TrainObserver {
    std::vector<double> all;
    void on_step(const finetune::TrainProgress& progress) override { all.push_back(progress.loss); }
  } losses;
  finetune::train_adapter(request, losses);
  EXPECT_LT(losses.all.back(), 0.8 * losses.all.front());
}

TEST_F(DistillCommand, OfAStudentWithAnotherTokenizerKeepsTheAnswersAlone) {
  write({asked(0, false), asked(1, false)});
  const json::value summary = distill({}, "finetune/bases/anneal-nano");
  EXPECT_EQ(summary.at("examples").to_number<int>(), 2);
  EXPECT_EQ(summary.at("with_teacher").to_number<int>(), 0);
  EXPECT_FALSE(finetune::read_examples(path("taught.jsonl"))[0].teacher);
}

TEST_F(DistillCommand, LeavesOutAnAnswerThatWasCutOff) {
  const finetune::Tokenizer tokenizer = finetune::Tokenizer::load(TeacherModel::instance().base());
  const std::size_t room = tokenizer.encode(" cold").size() + 1;
  ASSERT_GT(tokenizer.encode(" high, high").size(), room);
  write({asked(0, false), asked(1, false)});
  const json::value summary = distill({}, {}, room);
  EXPECT_EQ(summary.at("left_out").to_number<int>(), 1);
  EXPECT_EQ(finetune::read_examples(path("taught.jsonl")).at(0).completion, " cold");
  write({asked(0, false)});
  try {
    distill({}, {}, 1);
    FAIL() << "no answer was whole";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("raise --max-tokens"), std::string::npos) << error.what();
  }
}

TEST_F(DistillCommand, GoesOnWhereItStoppedAndRefusesTheRestOfAnotherRequest) {
  platform::Example slot = asked(2, false);
  slot.prompt += " {{ number:load }}";
  slot.numbers["load"] = 1.0;
  write({asked(0, false), asked(1, false), slot});
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      distill();
      FAIL() << "a slot was asked for";
    } catch (const platform::Error& error) {
      EXPECT_NE(std::string(error.what()).find("example p2 has the slot load"), std::string::npos) << error.what();
    }
    EXPECT_EQ(queued().size(), attempt == 0 ? 2u : 0u) << "the answers that are there are not asked for again";
  }
  write({asked(0, false), asked(1, false)});
  try {
    distill();
    FAIL() << "took the answers to another request";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kConflict) << error.what();
  }
}

TEST_F(DistillCommand, SaysWhatTheTeacherSays) {
  write({asked(0, false)});
  try {
    distill({"--model", "no-such-model"});
    FAIL() << "was answered";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("no-such-model"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("serves \"bearing\""), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace tests
