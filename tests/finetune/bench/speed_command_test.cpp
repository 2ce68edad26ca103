#include <gtest/gtest.h>

#include "finetune/bench/speed_record.h"
#include "finetune/commands/commands.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;

std::string printed(const Arguments& arguments) {
  testing::internal::CaptureStdout();
  const int code = bench_command(arguments);
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_EQ(code, 0) << text;
  return text;
}

std::string refusal(const Arguments& arguments) {
  try {
    bench_command(arguments);
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

TEST(SpeedCommand, ATrainingIsPrintedAsOneObjectAndRecorded) {
  const platform::TemporaryFolder folder;
  const std::string file = folder.path() / "cpu.json";
  const Arguments arguments{"train", "--shape",   "nano",      "--steps", "1",      "--sequence", "16", "--batch",
                            "1",     "--no-peer", "--threads", "1",       "--json", "--record",   file};
  const json::value object = json::parse(printed(arguments));
  EXPECT_EQ(object.at("shape"), json::value("nano"));
  EXPECT_EQ(object.at("sequence"), json::value(16));
  EXPECT_GT(object.at("tokens_per_second").to_number<double>(), 0);
  const SpeedRecord record = SpeedRecord::read(file);
  ASSERT_EQ(record.rows().size(), 1u);
  const RecordedSpeed& row = record.rows().front();
  EXPECT_EQ(json::value(row.features), object.at("cpu").at("features"));
  EXPECT_DOUBLE_EQ(row.fraction_of_gemm, object.at("fraction_of_gemm").to_number<double>());
  EXPECT_EQ(row.dtype, "fp32");
  EXPECT_EQ(row.threads, 1);
}

TEST(SpeedCommand, OperationsArePrintedAsOneObjectOrAsATable) {
  const json::value object =
      json::parse(printed({"kernels", "--shape", "nano", "--seconds", "0", "--threads", "1", "--json"}));
  EXPECT_GT(object.at("gemm_gflops").at("float32").at("packed").to_number<double>(), 0);
  EXPECT_GT(object.at("shapes").at(0).at("ops").as_array().size(), 15u);
}

TEST(SpeedCommand, WritingIsPrintedAsATable) {
  const std::string text = printed({"generate", "--shape", "nano", "--dtype", "fp32", "--batch", "1,2", "--adapters",
                                    "2", "--prompt", "8", "--tokens", "3", "--threads", "1"});
  for (const char* words : {"2 live adapters", "prompt of 8", "written to 2 at a time", "of read bandwidth"})
    EXPECT_NE(text.find(words), std::string::npos) << text;
}

TEST(SpeedCommand, SaysWhatItDoesNotKnow) {
  EXPECT_NE(refusal({"train", "--shape", "smoll"}).find("did you mean 'smol'?"), std::string::npos);
  EXPECT_NE(refusal({"train", "--dtype", "fp16"}).find("there are: fp32, bf16, int8, nf4"), std::string::npos);
  EXPECT_NE(refusal({"generate", "--batch", "1,x"}).find("batch must be numbers with commas"), std::string::npos);
  EXPECT_NE(refusal({"generate", "--batch", "1,"}).find("batch must be numbers with commas"), std::string::npos);
  EXPECT_NE(refusal({"kernels", "--dtype", "nf4"}).find("fp32 or bf16"), std::string::npos);
  EXPECT_NE(refusal({"train", "--step", "3"}).find("did you mean 'steps'?"), std::string::npos);
}

TEST(SpeedCommand, RefusesAFileThatIsNoRecordBeforeItMeasures) {
  const platform::TemporaryFolder folder;
  const std::string file = folder.path() / "other.json";
  platform::write_file_atomically(file, "{\"anything\": 1}");
  EXPECT_NE(refusal({"train", "--record", file}).find("anything"), std::string::npos);
  EXPECT_EQ(platform::read_file(file), "{\"anything\": 1}");
}

TEST(SpeedCommand, HelpTellsTheOptionsAndExamplesOfEachMeasurement) {
  for (const std::string& name : bench_measurements()) {
    const std::string help = printed({name, "--help"});
    EXPECT_NE(help.find("anneal bench " + name + " "), std::string::npos) << help;
    EXPECT_NE(help.find("--json"), std::string::npos) << help;
  }
  EXPECT_NE(printed({"train", "--help"}).find("ANNEAL_PEER_PYTHON"), std::string::npos);
  EXPECT_EQ(bench_measurements(), (std::vector<std::string>{"adaptation", "generate", "kernels", "train"}));
}

}  // namespace
}  // namespace finetune
