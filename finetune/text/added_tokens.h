// The "added_tokens" of a tokenizer.json: strings that are found in a text before it is cut into words, the longest at
// the leftmost place first. Immutable after the last add(); any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false;  // only where no word character stands beside it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and behind it
  bool normalized = false;   // is looked for after normalisation
  bool special = false;      // control token: decode() can leave it out
};

/// A part of a text: an added token, or the text between two (`token` is null).
struct TextPart {
  std::string_view text;
  const AddedToken* token = nullptr;
};

/// Finds one set of added tokens.
class AddedTokenFinder {
 public:
  AddedTokenFinder();
  /// Finds `pattern` as `token`, who must outlive the finder. Empty patterns are never found.
  void add(std::string_view pattern, const AddedToken* token);
  /// Parts from left to right. Special tokens are passed over unless `parse_special`.
  std::vector<TextPart> split(std::string_view text, bool parse_special) const;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> next;
    const AddedToken* token = nullptr;
  };
  // The longest token that begins at `at`, and its length.
  std::pair<const AddedToken*, std::size_t> longest_at(std::string_view text, std::size_t at) const;
  const std::uint32_t* child(const Node& node, unsigned char byte) const;

  std::vector<Node> nodes_;
  std::array<bool, 256> first_bytes_{};
};

}  // namespace finetune
