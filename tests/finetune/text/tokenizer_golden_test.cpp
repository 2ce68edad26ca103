// The tokenizer beside the outputs of Hugging Face's own, family by family.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>

#include "finetune/text/byte_level.h"
#include "finetune/text/component.h"
#include "finetune/text/decode_stream.h"
#include "finetune/text/decoder.h"
#include "finetune/text/normalizer.h"
#include "finetune/text/pre_tokenizer.h"
#include "finetune/text/tokenizer.h"
#include "finetune/text/unicode.h"
#include "platform/base/json.h"
#include "tests/support/golden_folder.h"

namespace finetune {
namespace {

namespace json = platform::json;

std::vector<std::int32_t> ids_of(const json::value& value) { return json::value_to<std::vector<std::int32_t>>(value); }

// Joins a whole stream, and keeps the chunks apart.
std::vector<std::string> stream_of(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids, bool skip) {
  DecodeStream stream(tokenizer, skip, StreamUnit::kCodePoint);
  std::vector<std::string> chunks;
  for (const std::int32_t id : ids) chunks.push_back(stream.push(id));
  return chunks;
}

// The library's own stream fails where a later byte breaks a run that it gave already; ours goes on.
void check_stream(const Tokenizer& tokenizer, const json::object& expected, const std::string& key,
                  const std::vector<std::int32_t>& ids, const std::string& name) {
  if (!expected.contains(key)) return;
  const auto chunks = json::value_to<std::vector<std::string>>(expected.at(key));
  std::vector<std::string> ours = stream_of(tokenizer, ids, key == "stream_skip");
  if (expected.contains(key + "_error_at")) ours.resize(chunks.size());
  EXPECT_EQ(ours, chunks) << name << " " << key;
}

// Whole characters join to the text, but where a byte broke a run of which a part was given already.
void check_whole_characters(const Tokenizer& tokenizer, const json::object& expected,
                            const std::vector<std::int32_t>& ids, const std::string& name) {
  const std::string text = tokenizer.decode(ids, false);
  std::string given;
  if (expected.contains("stream")) {
    for (const json::value& chunk : expected.at("stream").as_array()) given += chunk.as_string();
  }
  if (!text.starts_with(given)) return;
  DecodeStream stream(tokenizer, false);
  std::string joined;
  for (const std::int32_t id : ids) joined += stream.push(id);
  EXPECT_EQ(joined + stream.finish(), text) << name;
}

void check_decoding(const Tokenizer& tokenizer, const json::object& expected, const std::vector<std::int32_t>& ids,
                    const std::string& name) {
  if (const auto* text = expected.if_contains("decoded")) {
    EXPECT_EQ(tokenizer.decode(ids, false), text->as_string()) << name;
  }
  if (const auto* text = expected.if_contains("decoded_skip")) {
    EXPECT_EQ(tokenizer.decode(ids, true), text->as_string()) << name;
  }
  check_stream(tokenizer, expected, "stream", ids, name);
  check_stream(tokenizer, expected, "stream_skip", ids, name);
}

// A case of a tokenizer.model says which ends the library adds; one of a tokenizer.json whether the template's are.
std::vector<std::int32_t> encoded(const Tokenizer& tokenizer, const json::object& expected) {
  const json::string& text = expected.at("text").as_string();
  if (!expected.contains("add_bos")) {
    return tokenizer.encode(text, {.add_special_tokens = expected.at("add_special_tokens").as_bool(),
                                   .parse_special_tokens = !expected.at("encode_special_tokens").as_bool()});
  }
  std::vector<std::int32_t> ids = tokenizer.encode(text);
  if (expected.at("add_bos").as_bool()) ids.insert(ids.begin(), tokenizer.bos_id().value());
  if (expected.at("add_eos").as_bool()) ids.push_back(tokenizer.eos_id().value());
  return ids;
}

std::vector<std::pair<std::size_t, std::size_t>> pairs_of(const std::vector<ByteSpan>& spans) {
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (const ByteSpan& span : spans) pairs.emplace_back(span.begin, span.end);
  return pairs;
}

// The length of a text's first character if the normaliser takes it away, else 0. White space is not meant: it becomes
// the mark that a word gets in any case.
std::size_t lost_beginning(const Tokenizer& tokenizer, std::string_view text) {
  std::size_t first = 0;
  if (text.empty() || is_white_space(next_code_point(text, first))) return 0;
  return first < text.size() && tokenizer.encode(text) == tokenizer.encode(text.substr(first)) ? first : 0;
}

// What a family's file says beyond what a Tokenizer tells.
struct Family {
  explicit Family(const std::filesystem::path& folder) : name(folder.filename().string()) {
    if (!std::filesystem::exists(folder / "tokenizer.json")) return;
    const json::value document = platform::read_json_file(folder / "tokenizer.json");
    const json::value* part = document.as_object().if_contains("normalizer");
    const json::value rules = part != nullptr ? *part : json::value();
    normalizer = Normalizer(rules);
    const auto steps = components_of(rules, "normalizer", "normalizers");
    maps_characters = std::any_of(steps.begin(), steps.end(),
                                  [](const json::object* step) { return step->at("type") == "Precompiled"; });
  }

  std::string name;
  std::optional<Normalizer> normalizer;  // of a tokenizer.json
  bool maps_characters = false;          // it has a precompiled map
};

void check_places(const Tokenizer& tokenizer, const Family& family, const json::object& expected,
                  const std::vector<std::int32_t>& ids, const std::string& name) {
  if (!expected.contains("offsets")) return;
  const std::string_view text = expected.at("text").as_string();
  const EncodeOptions options{.add_special_tokens = expected.at("add_special_tokens").as_bool(),
                              .parse_special_tokens = !expected.at("encode_special_tokens").as_bool()};
  const TokenSpans found = tokenizer.encode_spans(text, options);
  EXPECT_EQ(found.ids, ids) << name;
  using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;
  auto wanted = json::value_to<Pairs>(expected.at("offsets"));
  // The library loses count where its precompiled map takes away the beginning of a text: the places are those of the
  // rest, behind what is gone.
  const std::size_t lost = family.maps_characters ? lost_beginning(tokenizer, text) : 0;
  if (lost > 0) {
    wanted = pairs_of(tokenizer.encode_spans(text.substr(lost), options).spans);
    for (auto& [begin, end] : wanted) {
      if (end == 0) continue;  // an end that the file's template adds
      begin += lost;
      end += lost;
    }
  }
  EXPECT_EQ(pairs_of(found.spans), wanted) << name;
}

// A token is the vocabulary's word for its id; an added one is the part of the text, normalised where it is looked for
// so, that it was found in.
std::size_t check_tokens(const Tokenizer& tokenizer, const Family& family, const json::object& expected,
                         const std::vector<std::int32_t>& ids, const std::string& name) {
  if (!expected.contains("tokens") || !family.normalizer) return 0;
  const auto tokens = json::value_to<std::vector<std::string>>(expected.at("tokens"));
  const std::string text(expected.at("text").as_string()), normalised = family.normalizer->apply(text);
  EXPECT_EQ(tokens.size(), ids.size()) << name;
  for (std::size_t i = 0; i < std::min(tokens.size(), ids.size()); ++i) {
    if (const auto id = tokenizer.token_id(tokens[i])) {
      EXPECT_EQ(*id, ids[i]) << name << " " << tokens[i];
    } else {
      EXPECT_TRUE(text.find(tokens[i]) != std::string::npos || normalised.find(tokens[i]) != std::string::npos)
          << name << " " << tokens[i];
    }
  }
  return tokens.size();
}

std::string with_spaces(std::string text) {
  for (std::size_t at = 0; (at = text.find("\u2581", at)) != std::string::npos;) text.replace(at, 3, " ");
  return text;
}

// Whether `text` is the stretches one behind the other, with something between any two.
bool consists_of(std::string_view text, const std::vector<std::string>& stretches) {
  if (stretches.size() == 1) return text == stretches.front();
  if (!text.starts_with(stretches.front())) return false;
  text.remove_prefix(stretches.front().size());
  for (std::size_t i = 1; i + 1 < stretches.size(); ++i) {
    const std::size_t found = text.find(stretches[i], 1);
    if (found == std::string_view::npos) return false;
    text.remove_prefix(found + stretches[i].size());
  }
  return text.size() > stretches.back().size() && text.ends_with(stretches.back());
}

// The pieces of a tokenizer.model join to the text as the model normalises it, in which a mark stands for a space; an
// unknown one stands for what is there.
std::size_t check_normalized(const Tokenizer& tokenizer, const json::object& expected,
                             const std::vector<std::int32_t>& ids, const std::string& name) {
  if (!expected.contains("normalized")) return 0;
  const auto tokens = json::value_to<std::vector<std::string>>(expected.at("tokens"));
  EXPECT_EQ(tokens.size(), ids.size()) << name;
  std::vector<std::string> stretches{""};
  for (std::size_t i = 0; i < std::min(tokens.size(), ids.size()); ++i) {
    EXPECT_EQ(tokenizer.token_id(tokens[i]), ids[i]) << name << " " << tokens[i];
    if (tokens[i] == "<unk>") {
      stretches.emplace_back();
    } else {
      stretches.back() += tokenizer.token_bytes(ids[i]);
    }
  }
  const std::string normalised = with_spaces(std::string(expected.at("normalized").as_string()));
  EXPECT_TRUE(consists_of(normalised, stretches)) << name << " '" << normalised << "'";
  return tokens.size();
}

std::size_t check_family(const Tokenizer& tokenizer, const std::filesystem::path& folder) {
  const Family family(folder);
  const std::vector<json::value> cases = support::golden_lines(folder / "cases.jsonl");
  std::size_t tokens = 0, pieces = 0;
  for (const json::value& value : cases) {
    const json::object& expected = value.as_object();
    const std::string name = family.name + "/" + std::string(expected.at("name").as_string());
    const std::vector<std::int32_t> ids = ids_of(expected.at("ids"));
    EXPECT_EQ(encoded(tokenizer, expected), ids) << name;
    check_places(tokenizer, family, expected, ids, name);
    tokens += check_tokens(tokenizer, family, expected, ids, name);
    pieces += check_normalized(tokenizer, expected, ids, name);
    check_whole_characters(tokenizer, expected, ids, name);
    check_decoding(tokenizer, expected, ids, name);
  }
  const std::vector<json::value> decode_cases = support::golden_lines(folder / "decode_cases.jsonl");
  for (const json::value& value : decode_cases) {
    const json::object& expected = value.as_object();
    check_decoding(tokenizer, expected, ids_of(expected.at("ids")),
                   family.name + "/decode/" + std::string(expected.at("name").as_string()));
  }
  std::cout << family.name << ": " << cases.size() + decode_cases.size() << " cases, " << tokens << " tokens by name, "
            << pieces << " pieces in normalised texts\n";
  return cases.size() + decode_cases.size();
}

TEST(TokenizerGolden, GivesTheIdsTokensTextsAndStreamsOfEveryFamily) {
  SKIP_WITHOUT_GOLDEN("tokenizers");
  std::size_t checked = 0;
  for (const auto& folder : support::golden_cases("tokenizers"))
    checked += check_family(Tokenizer::load(folder), folder);
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0u);
}

void check_component(const std::string& kind, const json::object& row) {
  const std::string shown = json::serialize(row.at("config"));
  if (kind == "decoder") {
    EXPECT_EQ(Decoder(row.at("config")).decode(json::value_to<std::vector<std::string>>(row.at("tokens"))),
              row.at("output").as_string())
        << json::serialize(row);
    return;
  }
  if (kind == "normalizer") {
    EXPECT_EQ(Normalizer(row.at("config")).apply(row.at("input").as_string()), row.at("output").as_string()) << shown;
    return;
  }
  const PreTokenizer pre_tokenizer(row.at("config"));
  std::vector<std::string> pieces;
  pre_tokenizer.split(row.at("input").as_string(), true, [&](std::string_view piece) {
    pieces.push_back(pre_tokenizer.byte_level() ? to_byte_alphabet(piece) : std::string(piece));
  });
  EXPECT_EQ(pieces, json::value_to<std::vector<std::string>>(row.at("pieces"))) << shown << " " << row.at("input");
  const std::string_view input = row.at("input").as_string();
  const Origins origins = own_origins(input, 0);
  std::vector<ByteSpan> places;
  pre_tokenizer.split_traced({input, origins.data()}, true,
                             [&](TracedText piece) { places.push_back(piece.span(0, piece.text.size())); });
  EXPECT_EQ(pairs_of(places), (json::value_to<std::vector<std::pair<std::size_t, std::size_t>>>(row.at("offsets"))))
      << shown << " " << row.at("input");
}

TEST(TokenizerGolden, NormalisesSplitsAndDecodesAsEachComponent) {
  SKIP_WITHOUT_GOLDEN("tokenizers/components.jsonl");
  std::size_t checked = 0;
  for (const auto& path : support::golden_paths("tokenizers/components.jsonl")) {
    for (const json::value& value : support::golden_lines(path)) {
      const json::object& row = value.as_object();
      check_component(std::string(row.at("kind").as_string()), row);
      ++checked;
    }
  }
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0u);
}

// The library that such a file comes from says which part of the text a piece is; its normaliser may take some away.
TEST(TokenizerGolden, PiecesOfAModelFileStandForPartsOfTheTextInOrder) {
  std::size_t checked = 0;
  for (const auto& folder : support::golden_cases("tokenizers")) {
    if (!std::filesystem::exists(folder / "tokenizer.model")) continue;
    const std::string family = folder.filename().string();
    const Tokenizer tokenizer = Tokenizer::load(folder);
    for (const json::value& value : support::golden_lines(folder / "cases.jsonl")) {
      const std::string text(value.at("text").as_string());
      const TokenSpans found = tokenizer.encode_spans(text);
      EXPECT_EQ(found.ids, tokenizer.encode(text));
      std::size_t at = 0;
      for (const ByteSpan& span : found.spans) {
        EXPECT_GE(span.begin, at) << family << " " << text;
        EXPECT_GE(span.end, span.begin) << family << " " << text;
        at = span.begin;
      }
      EXPECT_LE(found.spans.empty() ? 0 : found.spans.back().end, text.size()) << family << " " << text;
      ++checked;
    }
  }
  if (checked == 0) GTEST_SKIP() << "no golden outputs of a tokenizer.model";
  std::cout << "cases checked: " << checked << "\n";
}

TEST(TokenizerGolden, ControlPiecesOfAModelFileAreReadOnlyWhereAsked) {
  SKIP_WITHOUT_GOLDEN("tokenizers/spm_unigram");
  const Tokenizer tokenizer = Tokenizer::load(support::golden_paths("tokenizers/spm_unigram").front());
  for (const std::int32_t id : tokenizer.encode("<s>a</s>")) EXPECT_FALSE(tokenizer.is_special(id));
  const auto ids = tokenizer.encode("<s>a</s>", {.parse_special_tokens = true});
  EXPECT_EQ(ids.front(), tokenizer.bos_id());
  EXPECT_EQ(ids.back(), tokenizer.eos_id());
  EXPECT_EQ(tokenizer.decode(ids), "a");
  EXPECT_EQ(tokenizer.encode("a", {.add_special_tokens = true}).front(), tokenizer.bos_id());
  EXPECT_EQ(tokenizer.token_id("<s>"), tokenizer.bos_id());
  EXPECT_EQ(tokenizer.token_id("no such piece"), std::nullopt);
}

}  // namespace
}  // namespace finetune
