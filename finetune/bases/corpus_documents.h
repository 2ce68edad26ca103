// The kinds of documents in the corpus, each a function of a random source. Pure but for the random source.
#pragma once

#include <string>
#include <vector>

#include "finetune/bases/grammar.h"

namespace finetune {

using WriteDocument = std::string (*)(const Grammar&, Random&);

struct DocumentKind {
  WriteDocument write;
  int weight;
};

/// Work orders, failure modes, plant Korean.
const std::vector<DocumentKind>& maintenance_documents();
/// Robots, games, vehicles' recalls, conversations, logs.
const std::vector<DocumentKind>& story_documents();
/// Records, tables, series, arithmetic, text exercises.
const std::vector<DocumentKind>& number_documents();

}  // namespace finetune
