// Regular expressions of a tokenizer.json beside the Rust crate `tokenizers`, whose dialect they are written in: what
// they cut, replace and refuse, and the members of every named set.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "finetune/text/normalizer.h"
#include "finetune/text/pattern.h"
#include "finetune/text/pre_tokenizer.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/base/json.h"
#include "platform/base/process.h"

namespace finetune {
namespace {

namespace json = platform::json;

using Texts = std::vector<std::string>;

const Texts& texts() {
  static const Texts kTexts{"The quick brown fox's 123rd jump, isn't it? I'LL SAY  so\n\n  ok\t",
                            "a½b ²x Ⅳ ①② ⓐⒶ ₂ x¼",
                            "cafe\u0301 e\u0301\u0301! a\u0345b ᄒ\u1161\u11AB글 각",
                            "a_b\u203Fc d-e a\u200Db \u200Cx \u180Ey\u0085z\u00A0q\u3000r\u2028s\u001Ct",
                            "\u180E",
                            "line\r\nnext\rlast\n",
                            "👩\u200D👩\u200D👧\u200D👦 🇰🇷x1 ❤\uFE0F",
                            "漢字かなカナ、。ー「」한글 中文123 ４５",
                            "ſK\u212Ak ß ﬆ Ǆ ΑΣς İı iPhone camelCaseWord HTTPServer",
                            "नमस्ते दुनिया x\u0903y กำ",
                            "aabbab aaaa abcabc -.,;:!?#@+=<>|~^$`",
                            "   \n \t\n  x   y ",
                            "!",
                            ""};
  return kTexts;
}

const Texts& expressions() {
  static const Texts kExpressions{
      // Of known families.
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)",
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"([\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)",
      R"(\p{N}{1,3})", R"([一-龥぀-ゟ゠-ヿ]+)",
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"( ?[^(\s|[.,!?…。，、।۔،])]+)", R"([\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)",
      // Sets.
      R"(\w+)", R"(\W+)", R"([\w']+)", R"([^\W\d_]+)", R"([\W_]+)", R"(\s+)", R"(\S+)", R"(\d+)", R"(\D)", R"(\h+)",
      R"(\H+)", R"(\v)", R"([\D\S]+)", R"(\p{Han}+|\p{Hangul}+|\p{Hiragana}+)", R"(\p{Lu}\p{Ll}*)", R"(\P{^L}+)",
      R"(\p{ Decimal-Number }+)", R"([[:alpha:]]+)", R"([[:punct:]]+)", R"([[:^space:]]+)", R"([^[:^alnum:]]+)",
      R"(\u00BD|\x{2460})", R"(\xEA\xB0\x81)", R"(\R)", R"(\N+)", R"(\O)", R"(.)", R"([[:alpha]]+)",
      // Places, and what is empty.
      R"(\b)", R"(\B)", R"(\b\w)", R"(^)", R"($)", R"(^.)", R"(.$)", R"(\A\w)", R"(.\Z)", R"(.\z)", R"(\Ga)",
      R"((?<=\p{Ll})(?=\p{Lu}))", R"((?<!\w)a)", R"((?=\s))", R"(x*)", R"()", R"(a\Kb)", R"((?<=a)b)",
      // Options.
      R"((?m).x)", R"((?m:.+))", R"((?i)k+)", R"((?i:s)+)", R"((?i)[a-k]+)", R"(a(?i)b|C)", R"((?x) a b # no
          | \s [ ]{2} )",
      R"((?#a comment \) in it)a)", R"((?i)[^\s\p{L}\p{N}]+)",
      // Repeats and groups.
      R"(a{2}?b)", R"(a{1,2}+b)", R"(a{3,1}b)", R"(a{,2}b)", R"(a{,})", R"((?>a+)b|\G1)", R"((a|b)\1)",
      R"((?<x>a)(?:b)\k<x>)", R"(a??b)", R"(a*+b)", R"((?:a|ab)(?:c|bcd)?)", R"((?:a*)*b|(a?)+b)", R"(a{2}{2})",
      // Refused by both.
      R"((?s).)", R"((?P<n>a))", R"([z-a])", R"(a**{)", R"((a)", R"(^*)", R"(\p{Nonsense})", R"([\d-a])"};
  return kExpressions;
}

Texts sets() {
  Texts sets{R"(\w+)",         R"(\W+)",        R"([\w]+)",       R"([\W]+)", R"([^\W\d_]+)",
             R"(\s+)",         R"(\S+)",        R"([\S]+)",       R"(\d+)",   R"(\h+)",
             R"([\H]+)",       R"((?i)[a-z]+)", R"((?i)[^a-z]+)", R"((?i)k)", R"([\p{L}&&[^\p{Han}]]+)",
             R"([a[^\p{L}]]+)"};
  for (const char* name : {"alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
                           "space", "upper", "word", "xdigit"}) {
    sets.push_back("[[:" + std::string(name) + ":]]+");
    sets.push_back("[^[:" + std::string(name) + ":]]+");
    sets.push_back("[a[:^" + std::string(name) + ":]]+");
    sets.push_back("\\p{" + std::string(name) + "}+");
  }
  for (const char* name : {"C",
                           "Cased_Letter",
                           "Cc",
                           "Cf",
                           "Cn",
                           "Co",
                           "Combining_Mark",
                           "Control",
                           "L",
                           "LC",
                           "Letter",
                           "Ll",
                           "Lm",
                           "Lo",
                           "Lt",
                           "Lu",
                           "M",
                           "Mark",
                           "Mc",
                           "Me",
                           "Mn",
                           "N",
                           "Nd",
                           "Nl",
                           "No",
                           "Number",
                           "P",
                           "Pc",
                           "Pd",
                           "Pe",
                           "Pf",
                           "Pi",
                           "Po",
                           "Ps",
                           "S",
                           "Sc",
                           "Sk",
                           "Sm",
                           "So",
                           "Symbol",
                           "Z",
                           "Zl",
                           "Zp",
                           "Zs",
                           "Any",
                           "Assigned",
                           "Alphabetic",
                           "Uppercase",
                           "White_Space",
                           "Emoji",
                           "Ideographic",
                           "Extended_Pictographic",
                           "Han",
                           "Hangul",
                           "Hiragana",
                           "Katakana",
                           "Latin",
                           "Greek",
                           "Cyrillic",
                           "Arabic",
                           "Hebrew",
                           "Thai",
                           "Devanagari",
                           "Common",
                           "Inherited",
                           "Hani",
                           "Khmer",
                           "Tibetan",
                           "Georgian"}) {
    sets.push_back("\\p{" + std::string(name) + "}+");
    sets.push_back("[^\\p{" + std::string(name) + "}]+");
  }
  return sets;
}

// Those that both know: Unicode 14 is the older one.
std::string assigned_characters() {
  const Pattern assigned(R"(\P{Cn})", Dialect::kPcre2);
  std::string all;
  for (char32_t c = 0; c < 0x110000; ++c) {
    std::string character;
    if (c >= 0xD800 && c < 0xE000) continue;
    append_utf8(character, c);
    // Private characters have no properties; a few of them are enough.
    if ((c < 0xF0100 || c > 0x10FFF0) && assigned.matches_whole(character)) all += character;
  }
  return all;
}

class ExpressionPeer : public testing::Test {
 protected:
  // The crate's answers.
  json::object ask(const char* python, const json::value& questions) {
    platform::write_file_atomically(folder_.path() / "questions.json", json::serialize(questions));
    const auto output = platform::run_command({python, "tests/peers/tokenizers_expressions.py",
                                               folder_.path() / "questions.json", folder_.path() / "answers.json"});
    if (output.exit_code != 0) throw std::runtime_error(output.text);
    return json::parse(platform::read_file(folder_.path() / "answers.json", std::uint64_t{1} << 30)).as_object();
  }
  static json::object pattern_of(const std::string& expression) { return {{"Regex", expression}}; }
  static std::string replaced(const std::string& expression, const std::string& text, const std::string& content) {
    return Normalizer(json::object{{"type", "Replace"}, {"pattern", pattern_of(expression)}, {"content", content}})
        .apply(text);
  }
  static Texts pieces(const std::string& expression, const std::string& behavior, const std::string& text) {
    Texts found;
    PreTokenizer(json::object{{"type", "Split"}, {"pattern", pattern_of(expression)}, {"behavior", behavior}})
        .split(text, true, [&](std::string_view piece) { found.emplace_back(piece); });
    return found;
  }
  static bool is_refused(const std::string& expression) {
    try {
      const Pattern pattern(expression, Dialect::kOniguruma);
      return false;
    } catch (const platform::Error&) {
      return true;
    }
  }

  platform::TemporaryFolder folder_;
};

struct Behavior {
  const char* ours;
  const char* theirs;
};
constexpr Behavior kBehaviors[] = {{"Isolated", "isolated"},
                                   {"Removed", "removed"},
                                   {"MergedWithPrevious", "merged_with_previous"},
                                   {"MergedWithNext", "merged_with_next"},
                                   {"Contiguous", "contiguous"}};

TEST_F(ExpressionPeer, ExpressionsCutAndReplaceAsInTheRustCrate) {
  const char* python = std::getenv("ANNEAL_PEER_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "ANNEAL_PEER_PYTHON names no Python with the package tokenizers";
  json::array behaviors;
  for (const Behavior& behavior : kBehaviors) behaviors.emplace_back(behavior.theirs);
  const json::object answers = ask(python, json::object{{"expressions", json::value_from(expressions())},
                                                        {"texts", json::value_from(texts())},
                                                        {"behaviors", behaviors},
                                                        {"sets", json::array()},
                                                        {"characters", ""}});
  std::size_t compared = 0, refused = 0;
  for (std::size_t e = 0; e < expressions().size(); ++e) {
    const std::string& expression = expressions()[e];
    const json::value& answer = answers.at("expressions").at(e);
    ASSERT_EQ(is_refused(expression), answer.is_null()) << expression;
    if (answer.is_null()) {
      ++refused;
      continue;
    }
    for (std::size_t t = 0; t < texts().size(); ++t) {
      const std::string& text = texts()[t];
      EXPECT_EQ(replaced(expression, text, "<>"), answer.at("replaced").at(t).as_string()) << expression;
      for (std::size_t b = 0; b < std::size(kBehaviors); ++b) {
        EXPECT_EQ(pieces(expression, kBehaviors[b].ours, text), json::value_to<Texts>(answer.at("pieces").at(b).at(t)))
            << expression << " " << kBehaviors[b].ours << " " << text;
        ++compared;
      }
    }
  }
  std::cout << "tokenizers " << answers.at("version") << ": cuts compared: " << compared
            << ", refused by both: " << refused << "\n";
}

TEST_F(ExpressionPeer, NamedSetsHaveTheMembersThatTheyHaveInTheRustCrate) {
  const char* python = std::getenv("ANNEAL_PEER_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "ANNEAL_PEER_PYTHON names no Python with the package tokenizers";
  const std::string characters = assigned_characters();
  const Texts asked = sets();
  const json::object answers = ask(python, json::object{{"expressions", json::array()},
                                                        {"texts", json::array()},
                                                        {"behaviors", json::array()},
                                                        {"sets", json::value_from(asked)},
                                                        {"characters", characters}});
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const std::string ours = replaced(asked[i], characters, "");
    EXPECT_TRUE(ours == answers.at("left").at(i).as_string())
        << asked[i] << " is " << ours.size() << " bytes beside " << answers.at("left").at(i).as_string().size();
  }
  std::cout << "sets compared: " << asked.size() << " on " << characters.size() << " bytes of characters\n";
}

}  // namespace
}  // namespace finetune
