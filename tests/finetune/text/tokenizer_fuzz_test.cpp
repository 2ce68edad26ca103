// Random damage to sound tokenizer files: never a crash, never memory of a claimed size, only a platform::Error or a
// tokenizer that encodes and decodes. Damage is done to the text, and to the values behind it, so that the parts behind
// the JSON reader are reached.
#include <gtest/gtest.h>

#include <cstring>
#include <iostream>
#include <random>

#include "finetune/text/decode_stream.h"
#include "finetune/text/tokenizer.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/base/json.h"
#include "tests/support/peak_memory.h"

namespace finetune {
namespace {

namespace json = platform::json;

// One of each model, and together every kind of normaliser, pre-tokeniser, post-processor and decoder.
const std::vector<std::string>& sound_files() {
  static const std::vector<std::string> kFiles{
      R"({"version": "1.0", "truncation": null, "padding": null,
          "added_tokens": [{"id": 7, "content": "<s>", "special": true, "lstrip": true, "rstrip": false,
                            "single_word": false, "normalized": false},
                           {"id": 8, "content": "Tok", "special": false, "single_word": true, "normalized": true}],
          "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"},
                         {"type": "Replace", "pattern": {"Regex": "x+"}, "content": "y"}, {"type": "StripAccents"}]},
          "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
              {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}| ?\\p{L}+|\\s+"}, "behavior": "Isolated",
                "invert": false},
              {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
          "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
              {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
              "special_tokens": {"<s>": {"id": "<s>", "ids": [7], "tokens": ["<s>"]}}},
          "decoder": {"type": "ByteLevel"},
          "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false, "byte_fallback": false,
                    "ignore_merges": true, "vocab": {"a": 0, "b": 1, "\u0120": 2, "ab": 3, "\u0120ab": 4, "1": 5,
                      "y": 6},
                    "merges": ["a b", "\u0120 ab"]}})",
      R"({"added_tokens": [], "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend",
        "prepend": "\u2581"},
              {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
          "pre_tokenizer": null, "post_processor": null,
          "decoder": {"type": "Sequence", "decoders": [
              {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"},
              {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
          "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
                    "vocab": {"<unk>": 0, "<0x41>": 1, "\u2581": 2, "a": 3, "\u2581a": 4}, "merges": [["\u2581",
                      "a"]]}})",
      R"({"added_tokens": [{"id": 4, "content": "[CLS]", "special": true}],
          "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                         "strip_accents": null, "lowercase": true},
          "pre_tokenizer": {"type": "BertPreTokenizer"},
          "post_processor": {"type": "BertProcessing", "sep": ["[CLS]", 4], "cls": ["[CLS]", 4]},
          "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
          "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                    "max_input_chars_per_word": 20, "vocab": {"[UNK]": 0, "a": 1, "##b": 2, "1": 3, "[CLS]": 4}}})",
      R"({"added_tokens": [], "normalizer": {"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"},
              {"type": "Strip", "strip_left": true, "strip_right": true}]},
          "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace",
              "replacement": "\u2581", "prepend_scheme": "first", "split": true}, {"type": "Punctuation"},
              {"type": "Digits", "individual_digits": true}]},
          "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"},
          "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
                    "vocab": [["<unk>", 0], ["\u2581", -2.5], ["a", -1.5], ["\u2581ab", -3.0], ["b", -4]]}})",
      R"({"added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
              {"type": "UnicodeScripts"}, {"type": "CharDelimiterSplit", "delimiter": "-"},
              {"type": "FixedLength", "length": 3}, {"type": "Whitespace"}]},
          "post_processor": {"type": "RobertaProcessing", "sep": ["b", 1], "cls": ["a", 0]},
          "decoder": {"type": "CTC", "pad_token": "a", "word_delimiter_token": "|", "cleanup": true},
          "model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0, "b": 1, "ab": 2}}})"};
  return kFiles;
}

const std::vector<std::string>& fragments() {
  static const std::vector<std::string> kFragments{"{",
                                                   "}",
                                                   "[",
                                                   "]",
                                                   "\"",
                                                   ",",
                                                   ":",
                                                   "null",
                                                   "true",
                                                   "-1",
                                                   "1e308",
                                                   "4294967296",
                                                   "\"\"",
                                                   "\"type\"",
                                                   "\"BPE\"",
                                                   "\"Sequence\"",
                                                   "\"ByteLevel\"",
                                                   "\"Regex\"",
                                                   "(a*)*",
                                                   "\\\\p{",
                                                   "\\u2581",
                                                   "\xED\xA0\x80",
                                                   "\xFF",
                                                   "한"};
  return kFragments;
}

std::string damaged_text(std::string text, std::mt19937_64& random) {
  for (std::uint64_t times = 1 + random() % 3; times > 0; --times) {
    const std::size_t at = random() % (text.size() + 1), length = random() % 16;
    switch (random() % 4) {
      case 0: text.erase(at, length); break;
      case 1: text.insert(at, fragments()[random() % fragments().size()]); break;
      case 2: text.insert(random() % (text.size() + 1), text.substr(at, length * 4)); break;
      default: text.replace(at, std::min(length, text.size() - at), fragments()[random() % fragments().size()]); break;
    }
  }
  return text;
}

json::value strange_value(std::mt19937_64& random) {
  switch (random() % 10) {
    case 0: return nullptr;
    case 1: return -1;
    case 2: return 1e18;
    case 3: return std::int64_t{1} << 31;
    case 4: return "";
    case 5: return "\xE2\x96\x81";
    case 6: return json::array{1, "a"};
    case 7: return json::object{{"type", "ByteLevel"}};
    case 8: return json::string(300, 'a');
    default: return static_cast<std::int64_t>(random() % 12);
  }
}

// A value somewhere in the document.
json::value& somewhere(json::value& root, std::mt19937_64& random) {
  json::value* at = &root;
  while (random() % 5 != 0) {
    if (auto* list = at->if_array(); list && !list->empty()) {
      at = &(*list)[random() % list->size()];
    } else if (auto* fields = at->if_object(); fields && !fields->empty()) {
      at = &(fields->begin() + static_cast<std::ptrdiff_t>(random() % fields->size()))->value();
    } else {
      break;
    }
  }
  return *at;
}

std::string damaged_values(const std::string& text, const std::string& other, std::mt19937_64& random) {
  json::value document = json::parse(text), donor = json::parse(other);
  for (std::uint64_t times = 1 + random() % 3; times > 0; --times) {
    json::value& place = somewhere(document, random);
    if (auto* fields = place.if_object(); fields && !fields->empty() && random() % 3 == 0) {
      fields->erase(fields->begin() + static_cast<std::ptrdiff_t>(random() % fields->size()));
    } else {
      place = random() % 2 ? strange_value(random) : somewhere(donor, random);
    }
  }
  return json::serialize(document);
}

// Texts of every kind that a tokenizer meets; none may break one that was read.
void use(const Tokenizer& tokenizer) {
  static const std::vector<std::string> kTexts{
      "",         "ab aab 123", "<s>Tok  tok ab<s>", "\xEA\xB0\x80\xEB\x82\x98 e\xCC\x81 x-y", std::string(500, 'a'),
      "\xFF\xE2z"};
  for (const std::string& text : kTexts) {
    for (const bool special : {false, true}) {
      const auto ids = tokenizer.encode(text, {.add_special_tokens = special, .parse_special_tokens = special});
      EXPECT_TRUE(is_utf8(tokenizer.decode(ids, special)));
      const TokenSpans places =
          tokenizer.encode_spans(text, {.add_special_tokens = special, .parse_special_tokens = special});
      EXPECT_EQ(places.ids, ids);
      for (const ByteSpan& span : places.spans) EXPECT_TRUE(span.begin <= span.end && span.end <= 3 * text.size());
      DecodeStream stream(tokenizer);
      for (const std::int32_t id : ids) {
        EXPECT_GE(id, 0);
        EXPECT_LT(id, tokenizer.vocabulary_size());
        EXPECT_TRUE(is_utf8(stream.push(id)));
      }
    }
  }
  tokenizer.decode(std::vector<std::int32_t>{-5, 0, 1, 2, 3, 1 << 30});
}

// Whether it was read and used to the end.
template <typename Read>
bool survives(const Read& read) {
  try {
    use(read());
    return true;
  } catch (const platform::Error& error) {
    EXPECT_GT(std::string(error.what()).size(), 10u);
    return false;
  }
}

TEST(TokenizerFileFuzz, SoundSeedsAreRead) {
  for (const std::string& file : sound_files()) EXPECT_NO_THROW(Tokenizer::from_json(file)) << file.substr(0, 200);
}

TEST(TokenizerFileFuzz, EndsEveryDamagedFileWithATokenizerOrAnError) {
  const std::uint64_t seed = std::random_device{}();
  std::cout << "seed: " << seed << "\n";
  std::mt19937_64 random(seed);
  const long before = support::peak_memory_kibibytes();
  int accepted = 0;
  constexpr int kRounds = 8000;
  for (int round = 0; round < kRounds; ++round) {
    const auto& files = sound_files();
    const std::string& sound = files[random() % files.size()];
    const std::string text =
        random() % 2 ? damaged_text(sound, random) : damaged_values(sound, files[random() % files.size()], random);
    const auto begin = std::chrono::steady_clock::now();
    accepted += survives([&] { return Tokenizer::from_json(text); }) ? 1 : 0;
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << text;
  }
  std::cout << "accepted " << accepted << " of " << kRounds << "\n";
  EXPECT_GT(accepted, kRounds / 100) << "damage that nothing survives tests the JSON reader only";
  EXPECT_LT(support::peak_memory_kibibytes() - before, support::kDamageKibibytes);
}

// Protocol buffers, as far as a tokenizer.model needs them.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string number_field(unsigned field, std::uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes_field(unsigned field, const std::string& bytes) {
  return varint(field << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string float_field(unsigned field, float value) {
  std::string bytes(4, '\0');
  std::memcpy(bytes.data(), &value, 4);
  return varint(field << 3 | 5) + bytes;
}

// `kind`: 1 Unigram, 2 BPE.
std::string sound_model(std::uint64_t kind) {
  enum PieceType : std::uint64_t { kNormal = 1, kUnknown = 2, kControl = 3 };
  std::string model;
  const auto piece = [&](const std::string& text, float score, std::uint64_t type) {
    model += bytes_field(1, bytes_field(1, text) + float_field(2, score) + number_field(3, type));
  };
  piece("<unk>", 0, kUnknown);
  piece("<s>", 0, kControl);
  piece("</s>", 0, kControl);
  for (const char* text : {"\xE2\x96\x81", "a", "b", "ab", "\u2581ab", "1", "x"})
    piece(text, -static_cast<float>(model.size() % 17), kNormal);
  model += bytes_field(2, number_field(3, kind) + number_field(4, 10));
  return model +
         bytes_field(3, bytes_field(1, "identity") + number_field(3, 1) + number_field(4, 1) + number_field(5, 1));
}

std::string damaged_bytes(std::string bytes, std::mt19937_64& random) {
  for (std::uint64_t times = 1 + random() % 4; times > 0 && !bytes.empty(); --times) {
    const std::size_t at = random() % bytes.size();
    switch (random() % 5) {
      case 0: bytes[at] = static_cast<char>(random() & 0xFF); break;
      case 1: bytes.erase(at, 1 + random() % 8); break;
      case 2: bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 24)); break;
      case 3: bytes.resize(random() % (bytes.size() + 1)); break;
      default: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8)); break;
    }
  }
  return bytes;
}

class ModelFile {
 public:
  Tokenizer read(const std::string& bytes) const {
    platform::write_file_atomically(folder_.path() / "tokenizer.model", bytes);
    return Tokenizer::load(folder_.path());
  }

 private:
  platform::TemporaryFolder folder_;
};

TEST(TokenizerModelFuzz, SoundSeedsAreRead) {
  const ModelFile file;
  for (const std::uint64_t kind : {1u, 2u}) {
    const Tokenizer tokenizer = file.read(sound_model(kind));
    EXPECT_EQ(tokenizer.bos_id(), 1);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode("ab a1")), "ab a1");
  }
}

TEST(TokenizerModelFuzz, RefusesAPieceThatBeginsWithAZeroByte) {
  const ModelFile file;
  std::string model = sound_model(1);
  const std::string piece = bytes_field(1, "ab");
  model[model.find(piece) + piece.size() - 2] = '\0';
  try {
    file.read(model);
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCorrupt);
    EXPECT_NE(std::string(error.what()).find("is no SentencePiece model"), std::string::npos) << error.what();
  }
}

TEST(TokenizerModelFuzz, EndsEveryDamagedModelWithATokenizerOrAnError) {
  const std::uint64_t seed = std::random_device{}();
  std::cout << "seed: " << seed << "\n";
  std::mt19937_64 random(seed);
  const ModelFile file;
  const long before = support::peak_memory_kibibytes();
  int accepted = 0;
  constexpr int kRounds = 4000;
  for (int round = 0; round < kRounds; ++round) {
    const std::string bytes = damaged_bytes(sound_model(1 + random() % 2), random);
    accepted += survives([&] { return file.read(bytes); }) ? 1 : 0;
  }
  std::cout << "accepted " << accepted << " of " << kRounds << "\n";
  EXPECT_GT(accepted, kRounds / 100);
  EXPECT_LT(support::peak_memory_kibibytes() - before, support::kDamageKibibytes);
}

}  // namespace
}  // namespace finetune
