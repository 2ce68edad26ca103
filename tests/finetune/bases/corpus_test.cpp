#include "finetune/bases/corpus.h"

#include <gtest/gtest.h>

#include <set>

#include "finetune/bases/grammar.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

TEST(PretrainingCorpus, GivesTheSameDocumentsForTheSameSeed) {
  Corpus first(7);
  Corpus second(7);
  Corpus other(8);
  int equal_to_other = 0;
  for (int i = 0; i < 300; ++i) {
    const std::string document = first.next_document();
    EXPECT_EQ(document, second.next_document());
    equal_to_other += document == other.next_document() ? 1 : 0;
  }
  EXPECT_LT(equal_to_other, 3);
}

TEST(PretrainingCorpus, SeldomRepeatsADocument) {
  Corpus corpus(1);
  std::set<std::string> seen;
  for (int i = 0; i < 5000; ++i) {
    const std::string document = corpus.next_document();
    EXPECT_GE(document.size(), 20u);
    EXPECT_LE(document.size(), 4000u) << document;
    EXPECT_EQ(document.find_first_of("{}[]^") != std::string::npos && document.find("{\"") == std::string::npos, false)
        << document;
    seen.insert(document);
  }
  EXPECT_GT(seen.size(), 4900u);
}

TEST(PretrainingCorpus, ReadsBackWhatItWrote) {
  const platform::TemporaryFolder folder;
  write_corpus(folder.path() / "corpus.txt", 50'000, 3);
  const auto documents = read_corpus(folder.path() / "corpus.txt");
  Corpus corpus(3);
  for (const std::string& document : documents) EXPECT_EQ(document, corpus.next_document());
  EXPECT_GE(platform::read_file(folder.path() / "corpus.txt").size(), 50'000u);
}

TEST(PretrainingGrammar, BindsASlotForTheWholeText) {
  const Grammar grammar{"thing: cup | ball | box\n"};
  Random random(1);
  for (int i = 0; i < 20; ++i) {
    const std::string text = grammar.expand("{t=thing} {t}", random);
    EXPECT_EQ(text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1));
  }
  EXPECT_THROW(Grammar{"thing: a {missing}\n"}, std::logic_error);
}

}  // namespace
}  // namespace finetune
