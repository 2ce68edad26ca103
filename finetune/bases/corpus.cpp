#include "finetune/bases/corpus.h"

#include "finetune/bases/corpus_documents.h"
#include "finetune/bases/lexicon.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

const Grammar& grammar() {
  static const Grammar kGrammar{kMaintenanceLexicon, kKoreanLexicon,  kRobotLexicon,
                                kGameLexicon,        kVehicleLexicon, kGeneralLexicon};
  return kGrammar;
}

const std::vector<DocumentKind>& all_kinds() {
  static const std::vector<DocumentKind> kKinds = [] {
    std::vector<DocumentKind> kinds = maintenance_documents();
    for (const auto* more : {&story_documents(), &number_documents()})
      kinds.insert(kinds.end(), more->begin(), more->end());
    return kinds;
  }();
  return kKinds;
}

}  // namespace

Corpus::Corpus(std::uint64_t seed) : seed_(seed) {}

std::string Corpus::next_document() {
  // Each document has a source of its own, so that one kind's change leaves the others as they are.
  Random random(seed_ * 0x9E3779B97F4A7C15ull + ++index_ * 0xD1B54A32D192ED03ull);
  random.next();
  int total = 0;
  for (const DocumentKind& kind : all_kinds()) total += kind.weight;
  auto at = static_cast<int>(random.below(static_cast<std::size_t>(total)));
  for (const DocumentKind& kind : all_kinds()) {
    if (at < kind.weight) return kind.write(grammar(), random);
    at -= kind.weight;
  }
  return {};
}

void write_corpus(const std::filesystem::path& path, std::uint64_t size_bytes, std::uint64_t seed) {
  Corpus corpus(seed);
  std::string text;
  text.reserve(size_bytes + 4096);
  while (text.size() < size_bytes) text += corpus.next_document() + "\n" + kDocumentEnd + "\n";
  platform::write_file_atomically(path, text);
}

std::vector<std::string> read_corpus(const std::filesystem::path& path) {
  const std::string text = platform::read_file(path, std::uint64_t{4} << 30);
  const std::string separator = std::string("\n") + kDocumentEnd + "\n";
  std::vector<std::string> documents;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find(separator, at);
    documents.push_back(text.substr(at, end == std::string::npos ? end : end - at));
    if (end == std::string::npos) break;
    at = end + separator.size();
  }
  return documents;
}

}  // namespace finetune
