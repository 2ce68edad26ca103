// Probabilities after each filter beside those of transformers.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <sstream>

#include "kernels/ops/sample.h"
#include "tests/support/golden_folder.h"

namespace kernels {
namespace {

// The numbers of the list that follows `key`; this room reads no JSON.
std::vector<double> list_after(const std::string& text, std::size_t& at, const std::string& key) {
  at = text.find('[', text.find("\"" + key + "\"", at)) + 1;
  std::string body = text.substr(at, text.find(']', at) - at);
  std::replace(body.begin(), body.end(), ',', ' ');
  std::istringstream stream(body);
  return {std::istream_iterator<double>(stream), std::istream_iterator<double>()};
}

// "temperature 0.7, top_k 20" and "no repeat 2-gram".
SampleOptions options_of(const std::string& name) {
  SampleOptions options;
  std::istringstream parts(name);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::string kind = part.substr(part.find_first_not_of(' '), part.find_last_of(' '));
    const float value = std::strtof(part.c_str() + part.find_last_of(' '), nullptr);
    if (kind.starts_with("temperature")) options.temperature = value;
    if (kind.starts_with("top_k")) options.top_k = static_cast<std::int32_t>(value);
    if (kind.starts_with("top_p")) options.top_p = value;
    if (kind.starts_with("min_p")) options.min_p = value;
    if (kind.starts_with("typical")) options.typical_p = value;
    if (kind.starts_with("repetition")) options.repetition_penalty = value;
    if (kind.starts_with("no repeat"))
      options.no_repeat_ngram =
          static_cast<std::int32_t>(std::strtol(part.c_str() + part.find_first_of("0123456789"), nullptr, 10));
  }
  return options;
}

std::size_t check_filters(const std::filesystem::path& path) {
  std::ifstream stream(path);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  std::size_t at = 0, checked = 0;
  const std::vector<double> logits = list_after(text, at, "logits"), context = list_after(text, at, "context");
  const Tensor row = Tensor::from(std::vector<float>(logits.begin(), logits.end()));
  const std::vector<std::int32_t> before(context.begin(), context.end());
  Context cpu = Context::cpu(1);
  while ((at = text.find("\"name\"", at)) != std::string::npos) {
    const std::size_t begin = text.find('"', text.find(':', at)) + 1;
    const std::string name = text.substr(begin, text.find('"', begin) - begin);
    const std::vector<double> wanted = list_after(text, at, "probabilities");
    std::vector<double> got(wanted.size(), 0.0);
    for (const TokenShare& share : token_shares(cpu, row, options_of(name), before))
      got.at(static_cast<std::size_t>(share.token)) = share.probability;
    for (std::size_t i = 0; i < wanted.size(); ++i)
      EXPECT_NEAR(got[i], wanted[i], 1e-6 * wanted[i] + 1e-12) << name << " token " << i;
    ++checked;
  }
  return checked;
}

TEST(SamplingGolden, EveryFilterLeavesTheProbabilitiesOfTransformers) {
  SKIP_WITHOUT_GOLDEN("numbers/sampling.json");
  std::size_t checked = 0;
  for (const auto& path : support::golden_paths("numbers/sampling.json")) checked += check_filters(path);
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0u);
}

TEST(SamplingFilters, APenaltyWithoutTokensBeforeChangesNothing) {
  Context context = Context::cpu(1);
  const Tensor logits = Tensor::from<float>({1, -1, 2});
  EXPECT_EQ(token_shares(context, logits, {.repetition_penalty = 2.0f, .no_repeat_ngram = 1}).size(), 3u);
}

TEST(SamplingFilters, NoPenaltyTakesAwayTheOnlyTokenThatMayCome) {
  Context context = Context::cpu(1);
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  const Tensor logits = Tensor::from<float>({kNever, 3.0f, kNever});
  const std::vector<std::int32_t> before{1};
  Random random(1);
  EXPECT_EQ(sample_token(context, logits, {.repetition_penalty = 1e-44f}, random, before), 1);
}

TEST(SamplingFilters, ATokenThatIsNoLogitIsPassedOver) {
  Context context = Context::cpu(1);
  const Tensor logits = Tensor::from<float>({1, -1, 2});
  const std::vector<std::int32_t> before{-4, 2, 77, 2};
  const auto shares = token_shares(context, logits, {.no_repeat_ngram = 1}, before);
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_THROW(token_shares(context, Tensor::from<float>({1}), {.no_repeat_ngram = 1}, std::vector<std::int32_t>{0}),
               std::invalid_argument);
}

}  // namespace
}  // namespace kernels
