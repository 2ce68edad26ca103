// Reads every #include of the source tree and holds it against the picture of the house: rooms include only rooms
// below them, and each third-party library stays in the rooms that the README names for it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Include {
  std::string file;  // path from the root
  std::string target;
};

fs::path root() {
  const char* source = std::getenv("ANNEAL_SOURCE");
  return source != nullptr ? fs::path(source) : fs::current_path();
}

std::vector<Include> includes_of(const std::vector<std::string>& folders) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"])");
  std::vector<Include> found;
  for (const std::string& folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator(root() / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu" && extension != ".cuh") continue;
      std::ifstream stream(entry.path());
      std::string line;
      while (std::getline(stream, line)) {
        std::smatch match;
        if (std::regex_search(line, match, kInclude))
          found.push_back({fs::relative(entry.path(), root()).string(), match[1]});
      }
    }
  }
  return found;
}

const std::vector<std::string> kRooms{"kernels", "platform", "finetune", "connectors", "deploy", "workflows", "web"};

// The arrows of the picture, transitive ones written out.
const std::map<std::string, std::set<std::string>> kMayInclude{
    {"kernels", {}},
    {"platform", {}},
    {"finetune", {"kernels", "platform"}},
    {"connectors", {"platform"}},
    {"deploy", {"finetune", "kernels", "platform"}},
    {"workflows", {"connectors", "finetune", "deploy", "kernels", "platform"}},
    {"web", {"workflows", "connectors", "deploy", "finetune", "kernels", "platform"}},
};

// Include prefix -> path prefixes that may use it.
const std::vector<std::pair<std::string, std::vector<std::string>>> kHomes{
    {"pqxx", {"platform/store/"}},
    {"yaml-cpp/", {"platform/base/yaml."}},
    {"openssl/", {"platform/http/", "platform/base/digest."}},
    {"sodium", {"platform/security/", "deploy/trust"}},
    {"boost/beast", {"platform/http/"}},
    {"prometheus/", {"platform/base/metrics."}},
    {"simdjson", {"platform/base/json.", "connectors/"}},
    {"dnnl", {"kernels/cpu/", "kernels/bench/"}},
    {"hwy/", {"kernels/cpu/"}},
    {"omp.h", {"kernels/"}},
    {"cuda", {"kernels/cuda/"}},
    {"cublas", {"kernels/cuda/"}},
    {"pcre2", {"finetune/text/"}},
    {"sentencepiece", {"finetune/text/sentence_piece."}},
    {"utf8proc", {"finetune/text/", "platform/base/", "platform/dataset/"}},
    {"zstd", {"platform/store/", "deploy/"}},
    {"zlib", {"connectors/", "finetune/bench/"}},
};

std::string room_of(const std::string& path) { return path.substr(0, path.find('/')); }

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

TEST(Layering, IncludesOnlyGoDown) {
  std::size_t read = 0;
  for (const Include& include : includes_of(kRooms)) {
    ++read;
    const std::string from = room_of(include.file), to = room_of(include.target);
    EXPECT_NE(to, "tests") << include.file << " includes " << include.target;
    if (from == to || !kMayInclude.count(to)) continue;
    EXPECT_TRUE(kMayInclude.at(from).count(to))
        << include.file << " includes " << include.target << ": " << from << " stands below or beside " << to;
  }
  EXPECT_GT(read, 100u) << "the source tree was not found under " << root();
}

TEST(Layering, EachLibraryStaysInItsRooms) {
  for (const Include& include : includes_of(kRooms)) {
    for (const auto& [library, homes] : kHomes) {
      if (!starts_with(include.target, library)) continue;
      bool home = false;
      for (const std::string& prefix : homes) home = home || starts_with(include.file, prefix);
      EXPECT_TRUE(home) << include.file << " includes " << include.target << "; its place is " << homes.front();
    }
  }
}

TEST(Layering, PlatformBaseStandsOnNothingOfOurs) {
  for (const Include& include : includes_of({"platform/base"})) {
    if (room_of(include.target) != "platform") continue;
    EXPECT_TRUE(starts_with(include.target, "platform/base/")) << include.file << " includes " << include.target;
  }
}

TEST(Layering, NoFileIsNamedForNothing) {
  static const std::regex kVague(R"((^|_)(utils?|helpers?|common|misc|manager)(_|\.|$))");
  for (const std::string& folder : kRooms) {
    for (const auto& entry : fs::recursive_directory_iterator(root() / folder)) {
      EXPECT_FALSE(std::regex_search(entry.path().filename().string(), kVague)) << entry.path();
    }
  }
}

// What no CMakeLists names is never compiled, and its tests pass for ever.
TEST(Layering, EveryTestFileIsBuilt) {
  std::string lists;
  std::vector<std::string> tests;
  for (const auto& entry : fs::recursive_directory_iterator(root() / "tests")) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with("_test.cpp")) tests.push_back(name);
    if (name != "CMakeLists.txt") continue;
    std::ifstream stream(entry.path());
    lists.append(std::istreambuf_iterator<char>(stream), {});
    lists += '\n';
  }
  EXPECT_GT(tests.size(), 50u) << "the tests were not found under " << root();
  std::replace_if(
      lists.begin(), lists.end(), [](char c) { return c == '/' || c == '\n' || c == ')'; }, ' ');
  for (const std::string& name : tests)
    EXPECT_NE((" " + lists + " ").find(" " + name + " "), std::string::npos) << "no CMakeLists.txt names " << name;
}

}  // namespace
