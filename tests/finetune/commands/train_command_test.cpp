#include <gtest/gtest.h>

#include "finetune/adapter/manifest.h"
#include "finetune/commands/commands.h"
#include "platform/base/folder_lock.h"
#include "platform/dataset/example.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

// A tiny base, a data set of two classes and a configuration of a few steps, as a person has them on disk.
class TrainCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(path("base"));
    std::string lines;
    for (int i = 0; i < 20; ++i) {
      platform::Example example;
      example.id = "e" + std::to_string(i);
      example.prompt = "load {{ number:load }}";
      example.numbers["load"] = i % 2 == 0 ? 1.0 : -1.0;
      example.label = i % 2 == 0 ? "high" : "low";
      lines += platform::canonical_json(platform::to_json(example)) + "\n";
    }
    platform::write_file_atomically(path("data.jsonl"), lines);
    platform::write_file_atomically(path("train.yaml"), "task: classify\nmax_steps: 60\nlearning_rate: 0.01\n");
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  int train_to(const std::string& out, const Arguments& more = {}) const {
    Arguments arguments{
        "--base", path("base"), "--data", path("data.jsonl"), "--config", path("train.yaml"), "--threads",
        "1",      "--out",      out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return train_command(arguments);
  }
  platform::TemporaryFolder folder_;
};

TEST_F(TrainCommand, LeavesAFolderThatIsNoAdapterAsItWas) {
  const std::string before = platform::read_file(path("base") / "model.safetensors");
  try {
    train_to(path("base"));
    FAIL() << "the base was taken for an output";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kConflict);
    EXPECT_NE(std::string(error.what()).find("no adapter"), std::string::npos);
  }
  EXPECT_EQ(platform::read_file(path("base") / "model.safetensors"), before);
}

TEST_F(TrainCommand, TakesAFolderNameWithASlashAtItsEndAndLeavesOnlyTheAdapter) {
  ASSERT_EQ(train_to(path("adapter").string() + "/"), 0);
  EXPECT_EQ(read_manifest(path("adapter")).labels.size(), 2u);
  EXPECT_FALSE(std::filesystem::exists(path("adapter.work")));
  EXPECT_FALSE(std::filesystem::exists(path(".adapter.new")));
}

TEST_F(TrainCommand, ReplacesAnAdapterAndDeletesOnlyItsOwnCheckpoint) {
  ASSERT_EQ(train_to(path("adapter")), 0);
  const std::string first = adapter_digest(path("adapter"));
  std::filesystem::create_directory(path("work"));
  platform::write_file_atomically(path("work") / "notes.txt", "mine");
  platform::write_file_atomically(path("train.yaml"), "task: classify\nmax_steps: 60\nlearning_rate: 0.01\nseed: 9\n");
  ASSERT_EQ(train_to(path("adapter"), {"--work", path("work")}), 0);
  EXPECT_NE(adapter_digest(path("adapter")), first);
  EXPECT_EQ(platform::read_file(path("work") / "notes.txt"), "mine");
  EXPECT_FALSE(std::filesystem::exists(path("work") / "checkpoint.safetensors"));
}

TEST_F(TrainCommand, TwoTrainingsNeverShareAWorkFolder) {
  std::filesystem::create_directory(path("work"));
  {
    const auto other = platform::FolderLock::take(path("work"));
    ASSERT_TRUE(other);
    try {
      train_to(path("adapter"), {"--work", path("work")});
      FAIL() << "both trained";
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kConflict);
      EXPECT_NE(std::string(error.what()).find("--work"), std::string::npos) << error.what();
    }
  }
  EXPECT_EQ(train_to(path("adapter"), {"--work", path("work")}), 0);
  EXPECT_FALSE(std::filesystem::exists(path("work")));
}

TEST_F(TrainCommand, AnOutputThatIsALinkToNothingIsRefusedBeforeTheTraining) {
  std::filesystem::create_symlink(path("nowhere"), path("link"));
  try {
    train_to(path("link"));
    FAIL() << "was accepted";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("leads nowhere"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(path("link.work")));
}

TEST_F(TrainCommand, PredictionsNeverReplaceTheExamplesTheyAreMadeFor) {
  ASSERT_EQ(train_to(path("adapter")), 0);
  const std::string before = platform::read_file(path("data.jsonl"));
  std::filesystem::create_hard_link(path("data.jsonl"), path("same.jsonl"));
  for (const char* file : {"data.jsonl", "same.jsonl"}) {
    EXPECT_THROW(evaluate_command({"--base", path("base"), "--adapter", path("adapter"), "--data", path("data.jsonl"),
                                   "--split", "train", "--predictions", path(file), "--threads", "1"}),
                 platform::Error)
        << file;
    EXPECT_EQ(platform::read_file(path("data.jsonl")), before) << file;
  }
}

TEST_F(TrainCommand, AnAdapterWithAHeadWritesNoText) {
  ASSERT_EQ(train_to(path("adapter")), 0);
  for (const Arguments& more : {Arguments{}, Arguments{"--chat"}}) {
    Arguments arguments{"--base", path("base"), "--adapter", path("adapter"), "--prompt", "load", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    try {
      generate_command(arguments);
      FAIL() << "the bare base answered";
    } catch (const platform::Error& error) {
      EXPECT_NE(std::string(error.what()).find("classify"), std::string::npos) << error.what();
    }
  }
}

TEST_F(TrainCommand, DataThatAreNoJsonLinesAreToldByWhatTheyAre) {
  const auto refusal = [&](const std::string& bytes) {
    platform::write_file_atomically(path("data.jsonl"), bytes);
    try {
      train_to(path("adapter"));
    } catch (const platform::Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const std::string good = platform::read_file(path("data.jsonl"));
  EXPECT_NE(refusal(std::string("\xFF\xFE{\0", 4)).find("UTF-16"), std::string::npos);
  EXPECT_NE(refusal("load,label\n1,high\n").find("anneal ingest"), std::string::npos);
  EXPECT_NE(refusal(R"({"id":"a","prompt":"x","label":"y","numbers":{"load":NaN}})").find("null"), std::string::npos);
  EXPECT_NE(refusal(good + R"({"id":"e7","prompt":"load {{ number:load","label":"low"})").find("example e7"),
            std::string::npos);
  EXPECT_EQ(refusal("\xEF\xBB\xBF" + good), "accepted") << "a byte order mark is no fault";
}

TEST_F(TrainCommand, ScoringAndWritingSayWhatTheyDoBesideTheirAnswer) {
  ASSERT_EQ(train_to(path("adapter")), 0);
  const auto said = [&](int (*command)(const Arguments&), const Arguments& arguments) {
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const int code = command(arguments);
    const std::string answer = testing::internal::GetCapturedStdout();
    EXPECT_FALSE(answer.empty());
    EXPECT_EQ(answer.find("stage"), std::string::npos) << answer;
    EXPECT_EQ(code, 0);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(said(evaluate_command, {"--base", path("base"), "--adapter", path("adapter"), "--data", path("data.jsonl"),
                                    "--split", "train", "--threads", "1"})
                .find("20 examples scored"),
            std::string::npos);
  EXPECT_NE(
      said(generate_command, {"--base", path("base"), "--prompt", "spindle", "--max-tokens", "3", "--threads", "1"})
          .find("tokens written"),
      std::string::npos);
}

TEST_F(TrainCommand, WritesAsTheOptionsOfTheCommandLineSay) {
  const auto command = [&](const Arguments& options) {
    Arguments arguments{"--base", path("base"), "--prompt", "spindle", "--threads", "1"};
    if (std::find(options.begin(), options.end(), "--max-tokens") == options.end())
      arguments.insert(arguments.end(), {"--max-tokens", "12"});
    arguments.insert(arguments.end(), options.begin(), options.end());
    return generate_command(arguments);
  };
  const auto written = [&](const Arguments& options) {
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    EXPECT_EQ(command(options), 0);
    testing::internal::GetCapturedStderr();
    return testing::internal::GetCapturedStdout();
  };
  EXPECT_EQ(written({"--choices", "high, low,높음"}).find_first_of("h 높"), 0u);
  EXPECT_EQ(written({"--choices", "one, two", "--choices", "one, two, three"}).find("one, two"), 0u)
      << "commas and all";
  platform::write_file_atomically(path("schema.json"), R"({"type":"object","properties":{"load":{"enum":["높음"]}},
                                                          "required":["load"]})");
  const std::string document = written({"--json-schema", path("schema.json"), "--max-tokens", "40"});
  EXPECT_EQ(platform::parse_json(document, "answer").at("load"), "높음") << document;
  EXPECT_THROW(command({"--json-schema", path("schema.json"), "--choices", "a"}), platform::Error);
  const std::string greedy = written({});
  EXPECT_EQ(written({"--temperature", "1.5", "--top-k", "1"}), greedy);
  EXPECT_EQ(written({"--temperature", "1.5", "--min-p", "1"}), greedy);
  EXPECT_NE(written({"--temperature", "1.5", "--seed", "3"}), greedy);
  EXPECT_NE(written({"--repetition-penalty", "2"}), greedy);
  const std::string first = greedy.substr(0, 1);
  EXPECT_EQ(written({"--stop", first}), "\n") << "the answer ends before the text that stops it";
  EXPECT_FALSE(written({"--chat"}).empty());
  for (const Arguments& wrong : std::vector<Arguments>{{"--typical-p", "0"},
                                                       {"--min-p", "2"},
                                                       {"--top-k", "-1"},
                                                       {"--no-repeat-ngram-size", "65"},
                                                       {"--repetition-penalty", "0"}})
    EXPECT_THROW(command(wrong), platform::Error) << wrong.front();
}

TEST_F(TrainCommand, ItsOptionsAndTheConfigurationAreCheckedTogether) {
  std::string lines;
  for (int i = 0; i < 8; ++i) {
    platform::Example example;
    example.id = "p" + std::to_string(i);
    example.prompt = "spindle load";
    example.chosen = " high";
    example.rejected = " cold";
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(path("data.jsonl"), lines);
  platform::write_file_atomically(path("train.yaml"), "task: lm\nmax_steps: 20\nlearning_rate: 0.01\nbeta: 0.2\n");
  try {
    train_to(path("adapter"));
    FAIL() << "a setting of another objective was taken";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.path(), "beta") << error.what();
  }
  EXPECT_EQ(train_to(path("adapter"), {"--objective", "orpo"}), 0);
}

TEST_F(TrainCommand, ScoringTellsHowManyLabelsAreNotKnown) {
  ASSERT_EQ(train_to(path("adapter")), 0);
  std::string lines;
  for (const char* label : {"high", "low", "cracked"}) {
    platform::Example example;
    example.prompt = "load {{ number:load }}";
    example.numbers["load"] = 1;
    example.label = label;
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(path("data.jsonl"), lines);
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  evaluate_command({"--base", path("base"), "--adapter", path("adapter"), "--data", path("data.jsonl"), "--split",
                    "train", "--threads", "1"});
  testing::internal::GetCapturedStderr();
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_NE(said.find("unknown labels                1   of 3 examples"), std::string::npos) << said;
}

TEST_F(TrainCommand, RefusesAWorkFolderInsideTheOutput) {
  EXPECT_THROW(train_to(path("adapter"), {"--work", path("adapter") / "work"}), platform::Error);
  EXPECT_FALSE(std::filesystem::exists(path("adapter")));
}

}  // namespace
}  // namespace finetune
