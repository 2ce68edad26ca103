#include "workflows/run_files.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace {

namespace fs = std::filesystem;
namespace json = platform::json;

TEST(RunFiles, AreCheckedWithTheInputsOfTheRunInPlace) {
  const platform::TemporaryFolder folder;
  const auto at = [&](const std::string& name) { return folder.path() / "data" / name; };
  fs::create_directories(at("inbox"));
  for (const char* name : {"admin-token", "inbox/a.csv"}) platform::write_file_atomically(at(name), "x");
  const connectors::FileAccess access({}, {at("")});
  const auto refused = [&](json::object with, json::object inputs = {}) {
    platform::Run run;
    run.inputs = std::move(inputs);
    platform::RunStep step;
    step.definition.name = "data";
    step.definition.kind = "dataset.snapshot";
    step.definition.with = std::move(with);
    run.steps.push_back(step);
    try {
      workflows::check_files(run, access);
      return false;
    } catch (const platform::Error& error) {
      return error.code() == platform::ErrorCode::kForbidden;
    }
  };
  const std::string secret = at("admin-token"), open = at("inbox/a.csv");
  EXPECT_FALSE(refused({{"files", open}}));
  EXPECT_FALSE(refused({{"files", json::object{{"line-3", open}}}, {"profile", "machine-failure"}}));
  EXPECT_FALSE(refused({{"files", "${{ inputs.file }}"}}, {{"file", open}}));
  EXPECT_FALSE(refused({{"source", "line-3"}, {"profile", json::object{{"name", secret}}}}));
  EXPECT_TRUE(refused({{"files", secret}}));
  EXPECT_TRUE(refused({{"files", json::object{{"line-3", open}, {"line-4", secret}}}}));
  EXPECT_TRUE(refused({{"files", "${{ inputs.file }}"}}, {{"file", secret}}));
  EXPECT_TRUE(refused({{"files", at("").string() + "${{ inputs.file }}"}}, {{"file", "admin-token"}}));
  EXPECT_TRUE(refused({{"files", "${{ steps.a.name }}"}}));
  EXPECT_TRUE(refused({{"source", "line-3"}, {"profile", secret}}));
  EXPECT_TRUE(refused({{"source", "line-3"}, {"profile", "${{ inputs.p }}"}}, {{"p", secret}}));
  EXPECT_TRUE(refused({{"source", "line-3"}, {"profile", "${{ steps.a.name }}"}}));
}

}  // namespace
