#include <gtest/gtest.h>

#include "platform/base/file.h"
#include "workflows/commands/commands.h"

namespace {

struct Said {
  int code = 0;
  std::string out, error;
};

Said validate(const std::vector<std::string>& arguments) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Said said;
  said.code = workflows::validate_command(arguments);
  said.out = testing::internal::GetCapturedStdout();
  said.error = testing::internal::GetCapturedStderr();
  return said;
}

TEST(Validate, GoesOnBehindAFileThatIsNotThere) {
  const platform::TemporaryFolder folder;
  const std::string missing = (folder.path() / "missing.yaml").string(), bad = (folder.path() / "bad.yaml").string();
  platform::write_file_atomically(bad, "name: x\nsteps: {a: {uses: aproval}}\n");
  const Said said = validate({missing, bad, "tool-failure"});
  EXPECT_EQ(said.code, 2);
  EXPECT_NE(said.error.find("missing.yaml"), std::string::npos) << said.error;
  EXPECT_NE(said.error.find("unknown step kind 'aproval'"), std::string::npos) << said.error;
  EXPECT_NE(said.out.find("workflow tool-failure, 7 steps, no mistakes"), std::string::npos) << said.out;
  EXPECT_NE(validate({missing, "--json"}).out.find("\"valid\":false"), std::string::npos);
}

TEST(Validate, AProfileThatIsNotReadyIsAWarningOnly) {
  const platform::TemporaryFolder folder;
  const std::string file = (folder.path() / "flow.yaml").string();
  platform::write_file_atomically(
      file, "name: x\nsteps: {a: {uses: dataset.snapshot, with: {source: s, profile: machine-failur}}}\n");
  const Said said = validate({file});
  EXPECT_EQ(said.code, 0);
  EXPECT_NE(
      said.error.find(":2:64: warning: there is no ready profile 'machine-failur' (did you mean 'machine-failure'?)"),
      std::string::npos)
      << said.error;
}

}  // namespace
