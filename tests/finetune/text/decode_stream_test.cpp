#include "finetune/text/decode_stream.h"

#include <gtest/gtest.h>

#include "platform/base/json.h"

namespace finetune {
namespace {

namespace json = platform::json;

// Every code point of `text` is a token; the decoder only joins.
Tokenizer letters_of(const std::string& text) {
  json::object vocabulary;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    const std::string letter = text.substr(at, end - at);
    if (!vocabulary.contains(letter)) vocabulary[letter] = vocabulary.size();
    at = end;
  }
  const json::object document{
      {"model", json::object{{"type", "BPE"}, {"vocab", vocabulary}, {"merges", json::array()}}},
      {"decoder", json::object{{"type", "Fuse"}}}};
  return Tokenizer::from_json(json::serialize(document));
}

// The chunks that are not empty; the last one is what finish() gives.
std::vector<std::string> chunks_of(const std::string& text, StreamUnit unit = StreamUnit::kCharacter) {
  const Tokenizer tokenizer = letters_of(text);
  DecodeStream stream(tokenizer, true, unit);
  std::vector<std::string> chunks;
  const auto keep = [&](std::string chunk) {
    if (!chunk.empty()) chunks.push_back(std::move(chunk));
  };
  for (const std::int32_t id : tokenizer.encode(text)) keep(stream.push(id));
  keep(stream.finish());
  return chunks;
}

using Chunks = std::vector<std::string>;

TEST(DecodeStream, GivesSyllablesWholeThatComeAsTheirLetters) {
  // han-geul as U+1112 U+1161 U+11AB, U+1100 U+1173 U+11AF, then ga without a final letter.
  EXPECT_EQ(chunks_of("\u1112\u1161\u11AB\u1100\u1173\u11AF\u1100\u1161 x"),
            (Chunks{"\u1112\u1161\u11AB", "\u1100\u1173\u11AF", "\u1100\u1161 ", "x"}));
}

TEST(DecodeStream, GivesSyllablesAndAsciiAtOnce) {
  EXPECT_EQ(chunks_of("\uD55C\uAE00ok"), (Chunks{"\uD55C", "\uAE00", "o", "k"}));
}

TEST(DecodeStream, GivesJoinedEmojiSkinTonesAndFlagsWhole) {
  const std::string family = "\U0001F468\u200D\U0001F469\u200D\U0001F467";
  const std::string hand = "\U0001F44B\U0001F3FD";
  const std::string flags = "\U0001F1F0\U0001F1F7\U0001F1FA\U0001F1F8";
  EXPECT_EQ(chunks_of(family + hand + "!"), (Chunks{family, hand + "!"}));
  EXPECT_EQ(chunks_of(flags), (Chunks{flags.substr(0, 8), flags.substr(8)}));
  EXPECT_EQ(chunks_of("\u2764\uFE0F."), (Chunks{"\u2764\uFE0F."}));
}

TEST(DecodeStream, GivesAccentsWithTheirLetters) {
  EXPECT_EQ(chunks_of("\u0438\u0306\u0438a"), (Chunks{"\u0438\u0306", "\u0438a"}));
  EXPECT_EQ(chunks_of("\u0915\u093F\u092F"), (Chunks{"\u0915\u093F", "\u092F"}));
}

TEST(DecodeStream, GivesCodePointsWhereTheyAreWanted) {
  EXPECT_EQ(chunks_of("\u1112\u1161", StreamUnit::kCodePoint), (Chunks{"\u1112", "\u1161"}));
}

TEST(DecodeStream, DoesNotWaitWithoutEndForBrokenText) {
  const Tokenizer tokenizer = letters_of("\uFFFD");
  DecodeStream stream(tokenizer);
  std::string given;
  for (int i = 0; i < 3000; ++i) given += stream.push(0);
  EXPECT_GT(given.size(), 3000u);
  EXPECT_EQ((given + stream.finish()).size(), 9000u);
}

TEST(DecodeStream, GoesOnWhereAByteBreaksARunThatWasGivenAlready) {
  const Tokenizer tokenizer = Tokenizer::from_json(
      R"({"model": {"type": "BPE", "vocab": {"<0x29>": 0, "<0xFF>": 1, "x": 2}, "merges": []},
          "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}})");
  DecodeStream stream(tokenizer);
  EXPECT_EQ(stream.push(0), ")");
  EXPECT_EQ(stream.push(1), "");
  EXPECT_EQ(stream.push(2), "\uFFFD\uFFFDx");
  EXPECT_EQ(stream.push(2), "x");
}

}  // namespace
}  // namespace finetune
