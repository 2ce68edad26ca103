// The text that anneal-nano learns from: documents written by a grammar of our own, in English and Korean, from a seed.
// Every document is consistent in itself (labels and answers follow from its text), and none is taken from anywhere.
// The same seed gives the same sequence on every machine. One Corpus belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace finetune {

class Corpus {
 public:
  explicit Corpus(std::uint64_t seed);
  /// The next document, 40 to about 2,500 bytes, without a final newline.
  std::string next_document();

 private:
  std::uint64_t seed_;
  std::uint64_t index_ = 0;
};

/// Writes documents until `size_bytes` is reached, each followed by one line that holds only kDocumentEnd. Atomic.
void write_corpus(const std::filesystem::path& path, std::uint64_t size_bytes, std::uint64_t seed);

/// The separator line of write_corpus(); it stands for <|end|><|begin|>.
inline constexpr const char* kDocumentEnd = "<|end|>";

/// The documents of a file that write_corpus() made. Throws kNotFound.
std::vector<std::string> read_corpus(const std::filesystem::path& path);

}  // namespace finetune
