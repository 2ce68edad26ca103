// The parts of a tokenizer.json one by one: models, ends, limits.
#include <gtest/gtest.h>

#include <fstream>

#include "finetune/text/character_map.h"
#include "finetune/text/decoder.h"
#include "finetune/text/normalizer.h"
#include "finetune/text/post_processor.h"
#include "finetune/text/pre_tokenizer.h"
#include "finetune/text/tokenizer.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/base/json.h"

namespace finetune {
namespace {

namespace json = platform::json;
using Ids = std::vector<std::int32_t>;

// The message of the error that `action` throws; "" where it throws none.
template <typename Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const platform::Error& error) {
    return error.what();
  }
  return "";
}

std::string file_with_model(const std::string& model, const std::string& rest = "") {
  return R"({"model": )" + model + rest + "}";
}

constexpr const char* kWords = R"(, "pre_tokenizer": {"type": "WhitespaceSplit"})";

TEST(TokenModels, AWordLevelVocabularyKnowsWholeWordsOnly) {
  const Tokenizer tokenizer = Tokenizer::from_json(file_with_model(
      R"({"type": "WordLevel", "vocab": {"<unk>": 0, "pump": 1, "worn": 2}, "unk_token": "<unk>"})", kWords));
  EXPECT_EQ(tokenizer.encode("pump worn pumps"), (Ids{1, 2, 0}));
  EXPECT_EQ(tokenizer.decode(Ids{1, 2}), "pump worn");
}

TEST(TokenModels, AVocabularyWithoutAnUnknownTokenSaysWhichWordItLacks) {
  const Tokenizer tokenizer = Tokenizer::from_json(
      file_with_model(R"({"type": "WordLevel", "vocab": {"pump": 1}, "unk_token": "[UNK]"})", kWords));
  const std::string message = error_of([&] { tokenizer.encode("pump valve"); });
  EXPECT_NE(message.find("'valve'"), std::string::npos) << message;
  EXPECT_NE(message.find("'[UNK]'"), std::string::npos) << message;
}

TEST(TokenModels, APairModelMarksLaterAndLastSymbols) {
  const Tokenizer tokenizer = Tokenizer::from_json(file_with_model(
      R"({"type": "BPE", "continuing_subword_prefix": "##", "end_of_word_suffix": "</w>", "unk_token": "?",
          "vocab": {"?": 0, "a": 1, "##b": 2, "##c</w>": 3, "ab": 4, "abc</w>": 5, "a</w>": 6},
          "merges": [["a", "##b"], ["ab", "##c</w>"]]})",
      kWords));
  EXPECT_EQ(tokenizer.encode("abc a abx"), (Ids{5, 6, 4, 0}));
}

TEST(TokenModels, TheLongestPieceOfAWordComesFirst) {
  const Tokenizer tokenizer = Tokenizer::from_json(file_with_model(
      R"({"type": "WordPiece", "max_input_chars_per_word": 6,
          "vocab": {"[UNK]": 0, "un": 1, "unw": 2, "##w": 3, "##orn": 4, "##o": 5}})",
      kWords));
  EXPECT_EQ(tokenizer.encode("unworn unwo unwr unwornx"), (Ids{2, 4, 2, 5, 0, 0}));
}

TEST(TokenModels, TheBestScoresWinAndUnknownCharactersAreOneToken) {
  const Tokenizer tokenizer = Tokenizer::from_json(file_with_model(
      R"({"type": "Unigram", "unk_id": 0,
          "vocab": [["<unk>", 0], ["a", -1], ["b", -1], ["ab", -3], ["abb", -2.5]]})"));
  EXPECT_EQ(tokenizer.encode("ab"), (Ids{1, 2}));
  EXPECT_EQ(tokenizer.encode("abb"), (Ids{4}));
  EXPECT_EQ(tokenizer.encode("xyaz"), (Ids{0, 1, 0}));
}

TEST(TokenModels, ATokenGivesTheBytesThatItAddsInsideAText) {
  const Tokenizer tokenizer = Tokenizer::from_json(file_with_model(
      R"({"type": "Unigram", "unk_id": 0, "byte_fallback": true,
          "vocab": [["<unk>", 0], ["\u2581a", -1], ["<0xEC>", -1]]})",
      R"(, "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Metaspace"}]})"));
  EXPECT_EQ(tokenizer.token_bytes(1), " a");
  EXPECT_EQ(tokenizer.token_bytes(2), "\xEC");
  EXPECT_EQ(tokenizer.token_bytes(7), "");
}

TEST(PostProcessors, PutTheirTokensRoundATextTheLaterOnesOutside) {
  const PostProcessor bert(json::parse(R"({"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]})"));
  EXPECT_EQ(bert.prefix(), Ids{2});
  EXPECT_EQ(bert.suffix(), Ids{3});
  const PostProcessor both(json::parse(
      R"({"type": "Sequence", "processors": [
          {"type": "ByteLevel"},
          {"type": "RobertaProcessing", "sep": ["</s>", 3], "cls": ["<s>", 2], "trim_offsets": true},
          {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {"x": {"id": "x", "ids": [8, 9], "tokens": []}}}
      ]})"));
  EXPECT_EQ(both.prefix(), (Ids{8, 9, 2}));
  EXPECT_EQ(both.suffix(), Ids{3});
}

TEST(PreTokenizers, AByteStepBeforeAnotherSpellsItsBytes) {
  const PreTokenizer pre_tokenizer(json::parse(
      R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
          {"type": "CharDelimiterSplit", "delimiter": "\u0120"}]})"));
  std::vector<std::string> pieces;
  pre_tokenizer.split("a b", true, [&](std::string_view piece) { pieces.emplace_back(piece); });
  EXPECT_EQ(pieces, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(pre_tokenizer.byte_level());
}

TEST(PreTokenizers, OldFilesSwitchTheFirstMarkOffWithAddPrefixSpace) {
  const PreTokenizer pre_tokenizer(
      json::parse(R"({"type": "Metaspace", "replacement": "_", "add_prefix_space": false})"));
  std::vector<std::string> pieces;
  pre_tokenizer.split("a b", true, [&](std::string_view piece) { pieces.emplace_back(piece); });
  EXPECT_EQ(pieces, (std::vector<std::string>{"a", "_b"}));
}

TEST(TokenizerFileLimits, EachBadPartGivesOneErrorThatNamesIt) {
  struct Row {
    std::string file;
    std::string says;
  };
  const std::string model = R"({"type": "WordLevel", "vocab": {"a": 0}})";
  const std::string long_token(5000, 'a');
  const std::vector<Row> rows{
      {R"({"model": [1]})", "model"},
      {R"({"normalizer": null})", "model"},
      {file_with_model(R"({"type": "WordLevel", "vocab": {"a": "0"}})"), "'a'"},
      {file_with_model(R"({"type": "WordLevel", "vocab": {")" + long_token + R"(": 0}})"), "5000"},
      {file_with_model(R"({"type": "Unigram", "vocab": [["a"]]})"), "piece"},
      {file_with_model(R"({"type": "Unigram", "vocab": [["a", -1]], "unk_id": 1})"), "unk_id"},
      {file_with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b c"]})"), "merge"},
      {file_with_model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1})"), "dropout"},
      {file_with_model(R"({"type": "WordPiece", "vocab": {}, "max_input_chars_per_word": -1})"), "max_input_chars"},
      {file_with_model(model, R"(, "normalizer": {"type": "Rot13"})"), "Rot13"},
      {file_with_model(model, R"(, "normalizer": {"type": "Replace", "pattern": {"Regex": "("}, "content": ""})"),
       "parenthesis"},
      {file_with_model(model, R"(, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "%%"})"), "base64"},
      {file_with_model(model, R"(, "pre_tokenizer": {"type": "Metaspace", "replacement": "ab"})"), "replacement"},
      {file_with_model(model, R"(, "pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "last"})"), "last"},
      {file_with_model(model, R"(, "pre_tokenizer": {"type": "FixedLength", "length": 0})"), "length"},
      {file_with_model(model, R"(, "pre_tokenizer": {"type": "Punctuation", "behavior": "Shredded"})"), "Shredded"},
      {file_with_model(model, R"(, "post_processor": {"type": "BertProcessing", "sep": ["a", 0], "cls": ["b"]})"),
       "cls"},
      {file_with_model(model, R"(, "post_processor": {"type": "BertProcessing", "sep": ["a", 0], "cls": ["b", 7]})"),
       "id 7"},
      {file_with_model(model, R"(, "decoder": {"type": "Strip", "content": ""})"), "content"},
      {file_with_model(model, R"(, "decoder": {"type": "Shout"})"), "Shout"},
  };
  for (const Row& row : rows) {
    const std::string message = error_of([&] { Tokenizer::from_json(row.file); });
    EXPECT_NE(message.find(row.says), std::string::npos) << row.file.substr(0, 300) << "\n" << message;
  }
}

json::value sequence_of(const char* list_key, const json::value& step, std::size_t count) {
  return json::object{{"type", "Sequence"}, {list_key, json::array(count, step)}};
}

TEST(TokenizerFileLimits, StepsThatLengthenATextCannotFillTheMemory) {
  const json::value twice = json::parse(R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})");
  const Normalizer normalizer(sequence_of("normalizers", twice, 60));
  EXPECT_NE(error_of([&] { normalizer.apply("a"); }), "");
  const Decoder decoder(sequence_of("decoders", twice, 60));
  EXPECT_NE(error_of([&] { decoder.decode({"a"}); }), "");
}

TEST(TokenizerFileLimits, SequencesHaveAnEnd) {
  const json::value step = json::parse(R"({"type": "Digits"})");
  const std::string message = error_of([&] { PreTokenizer{sequence_of("pretokenizers", step, 65)}; });
  EXPECT_NE(message.find("64"), std::string::npos) << message;
  const json::value bytes = json::parse(R"({"type": "ByteLevel"})");
  EXPECT_NE(error_of([&] { PreTokenizer{sequence_of("pretokenizers", bytes, 5)}; }), "");
}

TEST(TokenizerFileLimits, ABrokenCharacterMapIsRefusedOrLeavesTheTextAlone) {
  EXPECT_NE(error_of([] { CharacterMap("AAAA"); }), "");
  EXPECT_NE(error_of([] { CharacterMap("/////w=="); }), "");
  // One unit whose offset leads out of the table.
  const CharacterMap map("BAAAAAD8//8=");
  TextRewriter rewriter({"abc", nullptr});
  map.apply("abc", rewriter);
  EXPECT_EQ(rewriter.take_text(), "abc");
}

TEST(TokenizerFileLimits, AModelFileThatIsNoneIsRefused) {
  platform::TemporaryFolder folder;
  std::ofstream(folder.path() / "tokenizer.model") << "not a model";
  const std::string message = error_of([&] { Tokenizer::load(folder.path()); });
  EXPECT_NE(message.find("tokenizer.model"), std::string::npos) << message;
}

}  // namespace
}  // namespace finetune
