// Transformers and PEFT beside ours: jobs for the scripts of this folder, run in the Python that ANNEAL_PEER_PYTHON
// names, and answers compared. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "finetune/formats/safetensors.h"
#include "platform/base/file.h"
#include "platform/base/json.h"
#include "tests/support/golden_models.h"

namespace peers {

/// Runs tests/peers/`script` over the jobs and gives the file of its answers.
inline finetune::SafetensorsFile run_jobs(const std::string& script, const std::filesystem::path& folder,
                                          platform::json::array jobs) {
  static int runs = 0;  // an earlier run's answers may still be mapped
  const std::filesystem::path file = folder / "jobs.json";
  const std::filesystem::path answers = folder / ("answers" + std::to_string(++runs) + ".safetensors");
  platform::write_json_file(file, platform::json::object{{"answers", answers.string()}, {"jobs", std::move(jobs)}});
  const std::string command =
      std::string("'") + std::getenv("ANNEAL_PEER_PYTHON") + "' 'tests/peers/" + script + "' '" + file.string() + "'";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
  return finetune::SafetensorsFile(answers);
}

class PeftPeer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("ANNEAL_PEER_PYTHON") == nullptr)
      GTEST_SKIP() << "ANNEAL_PEER_PYTHON names no Python with torch, transformers and peft";
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

  /// What is asked of the peer, with our answer and, where tokens are written on, ours.
  void ask(const std::string& name, platform::json::object job, const std::vector<std::int32_t>& ids,
           kernels::Tensor ours, std::vector<std::int32_t> written = {}) {
    job["name"] = name;
    job["ids"] = platform::json::array(ids.begin(), ids.end());
    if (!written.empty()) job["new_tokens"] = written.size();
    jobs_.push_back(std::move(job));
    ours_[name] = {std::move(ours), std::move(written)};
  }
  /// Asks it all; every answer must be within `allowed` of its size, every token the same.
  void compare(double allowed) {
    const finetune::SafetensorsFile theirs = run_jobs("adapters_in_peft.py", folder_.path(), std::move(jobs_));
    std::map<std::string, double> largest;
    for (const auto& [name, ours] : ours_) {
      const double error = support::relative_error(ours.logits, theirs.read(name));
      std::printf("%-40s logits differ by %.1e of their size\n", name.c_str(), error);
      EXPECT_LE(error, allowed) << name;
      double& group = largest[name.substr(0, name.find('/'))];
      group = std::max(group, error);
      if (ours.written.empty()) continue;
      const kernels::Tensor tokens = theirs.read(name + "/greedy");
      EXPECT_EQ(ours.written,
                std::vector<std::int32_t>(tokens.values<std::int32_t>().begin(), tokens.values<std::int32_t>().end()))
          << name;
    }
    for (const auto& [group, error] : largest) std::printf("largest error %-20s %.1e\n", group.c_str(), error);
    std::printf("cases checked: %zu\n", ours_.size());
  }

  platform::TemporaryFolder folder_;

 private:
  struct Answer {
    kernels::Tensor logits;
    std::vector<std::int32_t> written;
  };
  platform::json::array jobs_;
  std::map<std::string, Answer> ours_;
};

}  // namespace peers
