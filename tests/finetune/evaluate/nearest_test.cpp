#include "finetune/evaluate/nearest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <limits>
#include <set>
#include <sstream>

#include "kernels/core/random.h"

namespace finetune {
namespace {

using Examples = std::vector<const platform::Example*>;
using Bag = std::map<std::string, double>;

Examples pointers(const std::vector<platform::Example>& examples) {
  Examples all;
  for (const platform::Example& example : examples) all.push_back(&example);
  return all;
}

platform::Example said(const std::string& words) {
  platform::Example example;
  example.prompt = words;
  return example;
}

// The definition in the header, with pieces as texts instead of hashes.
Bag pieces(const std::string& text) {
  Bag bag;
  std::string before;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    word = " " + word + " ";
    bag["w" + word] += 1;
    bag["p" + before + word] += 1;
    for (std::size_t n = 3; n <= 5; ++n)
      for (std::size_t i = 0; i + n <= word.size(); ++i) bag[word.substr(i, n)] += 1;
    before = word;
  }
  return bag;
}

double plain_cosine(const std::vector<platform::Example>& train, const std::string& a, const std::string& b) {
  Bag having;
  for (const platform::Example& example : train)
    for (const auto& [piece, count] : pieces(example.prompt)) having[piece] += 1;
  const auto weight = [&](const std::string& piece, double count) {
    return having.contains(piece)
               ? count * (std::log((1 + static_cast<double>(train.size())) / (1 + having[piece])) + 1)
               : 0.0;
  };
  const Bag left = pieces(a), right = pieces(b);
  double dot = 0, left_squares = 0, right_squares = 0;
  for (const auto& [piece, count] : left) {
    left_squares += std::pow(weight(piece, count), 2);
    if (right.contains(piece)) dot += weight(piece, count) * weight(piece, right.at(piece));
  }
  for (const auto& [piece, count] : right) right_squares += std::pow(weight(piece, count), 2);
  return dot / std::sqrt(left_squares * right_squares);
}

TEST(Nearest, WordsAreComparedByTheCosineOfTheirWeightedPieces) {
  const std::vector<platform::Example> train{said("spindle load high at start"), said("bearing hot after run"),
                                             said("oil leak at pump"),           said("pump noise and oil smell"),
                                             said("spindle does not start"),     said("베어링 온도 상승")};
  const NearestExamples nearest(pointers(train), 10, 1);
  for (const std::string& question : std::vector<std::string>{"pump smell", "hot bearing", "spindle start trouble",
                                                              "베어링 소음", "oil at the spindle", "noise"}) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < train.size(); ++i) {
      if (plain_cosine(train, question, train[i].prompt) > plain_cosine(train, question, train[best].prompt)) best = i;
    }
    const Examples found = nearest.of(said(question));
    ASSERT_EQ(found.size(), 1u) << "words alone: the nearest one is copied";
    EXPECT_EQ(found.front()->prompt, train[best].prompt) << question;
  }
  EXPECT_EQ(nearest.of(said("zzz")).front(), &train[0]) << "the first of equals";
}

// Values of one example: x, y and a grade, each of which may be missing.
platform::Example measured(std::optional<double> x, std::optional<double> y, std::optional<std::string> grade) {
  platform::Example example = said("state {{ number:x }} {{ number:y }} {{ category:grade }}");
  example.numbers["x"] = x;
  example.numbers["y"] = y;
  example.categories["grade"] = std::move(grade);
  return example;
}

TEST(Nearest, ValuesAreComparedByTheMeanSquareOfWhatBothHave) {
  kernels::Random random(20261125);
  const auto value = [&](double scale) -> std::optional<double> {
    return random.below(5) == 0 ? std::nullopt : std::optional(scale * random.normal());
  };
  const auto grade = [&]() -> std::optional<std::string> {
    return random.below(5) == 0 ? std::nullopt
                                : std::optional(std::string(1, static_cast<char>('a' + random.below(3))));
  };
  std::vector<platform::Example> train;
  for (int i = 0; i < 60; ++i) train.push_back(measured(value(1), value(1000), grade()));
  const NearestExamples nearest(pointers(train), 10, 1);
  const auto statistics = [&](const char* name) {
    double count = 0, sum = 0, squares = 0;
    for (const auto& example : train)
      if (example.numbers.at(name)) count += 1, sum += *example.numbers.at(name);
    for (const auto& example : train)
      if (example.numbers.at(name)) squares += std::pow(*example.numbers.at(name) - sum / count, 2);
    return std::pair(sum / count, std::sqrt(squares / count));
  };
  const auto distance = [&](const platform::Example& a, const platform::Example& b) {
    double sum = 0, common = 0;
    for (const char* name : {"x", "y"}) {
      if (!a.numbers.at(name) || !b.numbers.at(name)) continue;
      sum += std::pow((*a.numbers.at(name) - *b.numbers.at(name)) / statistics(name).second, 2);
      common += 1;
    }
    if (a.categories.at("grade") && b.categories.at("grade")) {
      sum += a.categories.at("grade") != b.categories.at("grade") ? 2 : 0;
      common += 1;
    }
    return common > 0 ? sum / common : 2;
  };
  for (int i = 0; i < 20; ++i) {
    const platform::Example question = measured(value(1), value(1000), grade());
    const Examples found = nearest.of(question);
    ASSERT_EQ(found.size(), 5u);
    const std::set<const platform::Example*> chosen(found.begin(), found.end());
    double farthest = 0, next = std::numeric_limits<double>::infinity();
    for (const auto& example : train) {
      const double each = distance(question, example);
      if (chosen.contains(&example))
        farthest = std::max(farthest, each);
      else
        next = std::min(next, each);
    }
    EXPECT_LE(farthest, next + 2e-6) << "question " << i;
  }
}

TEST(Nearest, WordsAndValuesCountTogether) {
  const auto mixed = [](const char* words, double x) {
    platform::Example example = said(words + std::string(" {{ number:x }}"));
    example.numbers["x"] = x;
    return example;
  };
  std::vector<platform::Example> train{mixed("oil leak", 0), mixed("bearing noise", 0), mixed("oil leak", 10),
                                       mixed("bearing noise", 10)};
  const NearestExamples nearest(pointers(train), 10, 1);
  EXPECT_EQ(nearest.of(mixed("bearing noise", 9)).front(), &train[3]);
  EXPECT_EQ(nearest.of(mixed("oil leak", 1)).front(), &train[0]);
}

TEST(Nearest, ABigTrainingPartIsDrawnFromBySeed) {
  std::vector<platform::Example> train;
  for (int i = 0; i < 400; ++i) train.push_back(measured(i, i, "a"));
  const std::size_t many = 500'000'000;
  const NearestExamples one(pointers(train), many, 1), again(pointers(train), many, 1), other(pointers(train), many, 2);
  EXPECT_EQ(one.kept(), 100u);
  const platform::Example question = measured(200.4, 200.4, "a");
  EXPECT_EQ(one.of(question), again.of(question));
  EXPECT_NE(one.of(question), other.of(question));
  EXPECT_EQ(NearestExamples(pointers(train), 10, 1).kept(), 400u);
}

}  // namespace
}  // namespace finetune
