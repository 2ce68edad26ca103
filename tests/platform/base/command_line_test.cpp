#include "platform/base/command_line.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"

namespace platform {
namespace {

CommandLine train_line() {
  CommandLine line("anneal train", "Adapts a base.", {"anneal train --base b data.jsonl"});
  line.argument("DATA", "the data set");
  line.option("base", "DIR", "base model folder", {.required = true});
  line.option("rank", "N", "rank of the update", {.fallback = "16"});
  line.option("input", "K=V", "an input", {.repeated = true});
  line.flag("quiet", "say nothing");
  return line;
}

std::string refusal(const std::vector<std::string>& arguments) {
  CommandLine line = train_line();
  try {
    line.read(arguments);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    return error.what();
  }
  return "";
}

TEST(CommandLine, ReadsBothFormsOfAValueFlagsAndPositionals) {
  CommandLine line = train_line();
  ASSERT_TRUE(line.read({"d.jsonl", "--base=b", "--input", "x=1", "--input", "y=2", "--quiet"}));
  EXPECT_EQ(line.text("DATA"), "d.jsonl");
  EXPECT_EQ(line.text("base"), "b");
  EXPECT_EQ(line.integer("rank"), 16);
  EXPECT_EQ(line.all("input").size(), 2u);
  EXPECT_TRUE(line.has("quiet"));
}

TEST(CommandLine, NamesTheNearestOptionForATypo) {
  EXPECT_NE(refusal({"d", "--bsae", "b"}).find("did you mean 'base'"), std::string::npos);
}

TEST(CommandLine, SaysWhatIsMissing) {
  EXPECT_NE(refusal({"d"}).find("--base DIR"), std::string::npos);
  EXPECT_NE(refusal({"--base", "b"}).find("DATA"), std::string::npos);
  EXPECT_NE(refusal({"d", "--base"}).find("needs a value"), std::string::npos);
  EXPECT_NE(refusal({"d", "--base", "a", "--base", "b"}).find("twice"), std::string::npos);
  EXPECT_NE(refusal({"d", "e", "--base", "a"}).find("unexpected argument 'e'"), std::string::npos);
}

TEST(CommandLine, RefusesMoreThreadsThanAnyMachineHas) {
  for (const char* given : {"-1", "1025", "4294967297", "x"}) {
    CommandLine line("anneal x", "Computes.");
    line.option("threads", "N", "compute threads", {.fallback = "0"});
    ASSERT_TRUE(line.read({"--threads", given}));
    EXPECT_THROW(line.threads(), Error) << given;
  }
  CommandLine line("anneal x", "Computes.");
  line.option("threads", "N", "compute threads", {.fallback = "0"});
  ASSERT_TRUE(line.read({"--threads=1024"}));
  EXPECT_EQ(line.threads(), 1024);
}

TEST(CommandLine, RefusesANumberThatIsNone) {
  CommandLine line = train_line();
  line.read({"d", "--base", "b", "--rank", "16x"});
  EXPECT_THROW(line.integer("rank"), Error);
}

}  // namespace
}  // namespace platform
