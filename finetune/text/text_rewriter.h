// A text that is being written anew from another one, and where each of its bytes came from. What rewrites texts
// (normalisers, the marks of pre-tokenisers) goes through it, so that a token's place in the text as it was given is
// known where it is asked for. One thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "finetune/text/byte_span.h"

namespace finetune {

/// For each byte of a text, the part of the text as it was given that it stands for.
using Origins = std::vector<ByteSpan>;

/// A view of a text and of its bytes' origins; `origins` is null where nobody asks for them.
struct TracedText {
  std::string_view text;
  const ByteSpan* origins = nullptr;

  TracedText part(std::size_t begin, std::size_t end) const {
    return {text.substr(begin, end - begin), origins != nullptr ? origins + begin : nullptr};
  }
  /// What bytes [begin, end) stand for; where that is empty, the place before `begin`. REQUIRES: origins and a text.
  ByteSpan span(std::size_t begin, std::size_t end) const;
};

/// Of a text as it is given, whose first byte stands at `at` of the whole: a byte stands for its whole character.
Origins own_origins(std::string_view text, std::size_t at);

class TextRewriter {
 public:
  /// The text behind `from` must outlive the rewriter.
  explicit TextRewriter(TracedText from) : from_(from) {}

  /// Whether origins are kept.
  bool traces() const { return from_.origins != nullptr && !from_.text.empty(); }
  std::size_t size() const { return text_.size(); }
  /// Bytes [begin, end) of the old text as they are.
  void keep(std::size_t begin, std::size_t end);
  /// `bytes`, which stand for [begin, end) of the old text, which is not empty; where that is empty, for the place
  /// before `begin`.
  void put(std::string_view bytes, std::size_t begin, std::size_t end);
  /// `bytes` before the whole text, which is not empty; they stand for its first character.
  void put_before(std::string_view bytes) { put(bytes, 0, 1); }
  /// Every code point of the old text by `append(std::string&, char32_t)`, which puts what becomes of it.
  void map(const std::function<void(std::string&, char32_t)>& append);

  std::string take_text() { return std::move(text_); }
  Origins take_origins() { return std::move(origins_); }

 private:
  TracedText from_;
  std::string text_;
  Origins origins_;
};

/// One change of a text.
using RewriteStep = std::function<void(std::string_view, TextRewriter&)>;

/// Where the characters of a stretch came from that was changed as a whole.
enum class CharacterOrder {
  kByIndex,   // the i-th from the i-th old one, all further ones from the last
  kComposed,  // the first from the first; the others from the last ones: what is missing was composed into the first
};
/// `bytes`, which stand for [begin, end) of the old `text`, a character each by `order`.
void put_characters(TextRewriter& rewriter, std::string_view text, std::string_view bytes, ByteSpan stretch,
                    CharacterOrder order);

}  // namespace finetune
