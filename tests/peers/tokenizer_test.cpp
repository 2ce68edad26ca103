// Our tokenizer beside the Rust crate `tokenizers`, one thread each, on the same Korean and English documents in the
// same run: the same ids, and at least four fifths of its rate.
#include "finetune/text/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>

#include "finetune/bases/corpus.h"
#include "platform/base/file.h"
#include "platform/base/json.h"
#include "platform/base/process.h"
#include "tests/support/golden_folder.h"

namespace finetune {
namespace {

namespace json = platform::json;

constexpr std::size_t kBytes = 1'500'000;
constexpr int kRounds = 5;
constexpr double kLeastRatio = 0.8;

struct Rates {
  double encode = 0;  // megabytes of text a second
  double decode = 0;
};

double best_seconds(const std::function<void()>& work) {
  double best = INFINITY;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

class TokenizerRates : public testing::TestWithParam<std::string> {
 protected:
  TokenizerRates() {
    Corpus corpus(1);
    while (bytes_ < kBytes) {
      documents_.push_back(corpus.next_document());
      bytes_ += documents_.back().size();
    }
  }
  Rates rates_of(double encode_seconds, double decode_seconds) const {
    const double megabytes = static_cast<double>(bytes_) / 1e6;
    return {megabytes / encode_seconds, megabytes / decode_seconds};
  }
  Rates ours(const Tokenizer& tokenizer, const std::vector<std::vector<std::int32_t>>& ids) const {
    std::size_t tokens = 0;
    const double encoding = best_seconds([&] {
      for (const std::string& document : documents_) tokens += tokenizer.encode(document).size();
    });
    const double decoding = best_seconds([&] {
      for (const auto& row : ids) tokens += tokenizer.decode(row).size();
    });
    EXPECT_GT(tokens, 0u);
    return rates_of(encoding, decoding);
  }
  // Fills `ids` with the crate's.
  Rates theirs(const char* python, const std::filesystem::path& file, std::vector<std::vector<std::int32_t>>& ids) {
    platform::write_file_atomically(folder_.path() / "documents.json", json::serialize(json::value_from(documents_)));
    const auto output =
        platform::run_command({python, "tests/peers/tokenizers_rate.py", file, folder_.path() / "documents.json",
                               folder_.path() / "ids.json", std::to_string(kRounds)});
    if (output.exit_code != 0) throw std::runtime_error(output.text);
    const json::value said = json::parse(output.text);
    std::cout << "tokenizers " << said.at("version") << ": ";
    ids = json::value_to<std::vector<std::vector<std::int32_t>>>(
        json::parse(platform::read_file(folder_.path() / "ids.json", std::uint64_t{1} << 30)));
    return rates_of(said.at("encode_seconds").to_number<double>(), said.at("decode_seconds").to_number<double>());
  }

  platform::TemporaryFolder folder_;
  std::vector<std::string> documents_;
  std::size_t bytes_ = 0;
};

using TokenizerPeer = TokenizerRates;

TEST_P(TokenizerPeer, EncodesAndDecodesAtTheRateOfTheRustCrate) {
  const char* python = std::getenv("ANNEAL_PEER_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "ANNEAL_PEER_PYTHON names no Python with the package tokenizers";
  std::filesystem::path folder = "finetune/bases/anneal-nano";
  if (GetParam() != "anneal-nano") {
    SKIP_WITHOUT_GOLDEN("tokenizers/" + GetParam());
    folder = support::golden_paths("tokenizers/" + GetParam()).front();
  }
  const Tokenizer tokenizer = Tokenizer::load(folder);
  std::vector<std::vector<std::int32_t>> ids;
  const Rates peer = theirs(python, folder / "tokenizer.json", ids);
  for (std::size_t i = 0; i < documents_.size(); ++i)
    ASSERT_EQ(tokenizer.encode(documents_[i]), ids[i]) << documents_[i];
  const Rates rates = ours(tokenizer, ids);
  std::printf("%s: encode %.1f beside %.1f MB/s (%.2f), decode %.1f beside %.1f MB/s (%.2f)\n", GetParam().c_str(),
              rates.encode, peer.encode, rates.encode / peer.encode, rates.decode, peer.decode,
              rates.decode / peer.decode);
  EXPECT_GE(rates.encode, kLeastRatio * peer.encode);
  EXPECT_GE(rates.decode, kLeastRatio * peer.decode);
}

INSTANTIATE_TEST_SUITE_P(Families, TokenizerPeer,
                         testing::Values("anneal-nano", "deepseek", "exaone35", "gemma", "gpt2_bytelevel", "k_exaone",
                                         "llama2_metaspace", "llama2_spm", "llama3", "qwen", "unigram",
                                         "unigram_precompiled", "wordpiece"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace finetune
