#include "finetune/text/oniguruma.h"

#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <random>

#include "finetune/text/normalizer.h"
#include "finetune/text/pattern.h"
#include "finetune/text/pre_tokenizer.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"
#include "platform/base/json.h"

namespace finetune {
namespace {

namespace json = platform::json;

std::string marked(const std::string& expression, const std::string& text) {
  std::string result;
  std::size_t at = 0;
  Pattern(expression, Dialect::kOniguruma).for_each_match(text, [&](std::size_t begin, std::size_t end) {
    result += text.substr(at, begin - at) + "<" + text.substr(begin, end - begin) + ">";
    at = end;
  });
  return result + text.substr(at);
}

std::string refusal(const std::string& expression) {
  try {
    const Pattern pattern(expression, Dialect::kOniguruma);
    return "";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput) << expression;
    return error.what();
  }
}

struct Row {
  std::string expression;
  std::string text;
  std::string marked;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows)
    EXPECT_EQ(marked(row.expression, row.text), row.marked)
        << row.expression << " is " << pcre2_of(row.expression) << " on " << row.text;
}

TEST(Oniguruma, WhatBothDialectsReadAlikeStaysAsItIs) {
  for (const char* expression :
       {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+", "(?i:'s|'t|'re|'ve|'m|'ll|'d)", R"([^\p{L}\p{N}]?+\p{L}++)",
        "(a|b)*?c", "(?>x)(?=y)(?!z)(?<=a)(?<!b)", R"(\Aa\z)", "", "|"})
    EXPECT_EQ(pcre2_of(expression), expression);
}

TEST(Oniguruma, ThePatternsOfKnownFamiliesDifferInTheirWhiteSpaceAlone) {
  const std::string space = R"(\x09-\x0D\x85\p{Z})";
  EXPECT_EQ(pcre2_of(R"('s|'t| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"),
            R"('s|'t| ?\p{L}+| ?[^)" + space + R"(\p{L}\p{N}]+|[)" + space + "]+(?![^" + space + "])|[" + space + "]+");
  EXPECT_EQ(pcre2_of(R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s*[\r\n/]+)"),
            R"([^\x0D\x0A\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|[)" + space + R"(]*[\x0D\x0A/]+)");
}

TEST(Oniguruma, SetsAreItsOwnAndNotThoseOfPcre2) {
  check({{R"(\s)", "a\u180Eb\u0085c\u00A0d\u2028e", "a\u180Eb<\u0085>c<\u00A0>d<\u2028>e"},
         {R"(\S+)", "a\u180Eb c", "<a\u180Eb> <c>"},
         {R"(\w+)", "e\u0301_\u203Fa ⓐ ① Ⅷ - 가", "<e\u0301_\u203Fa> <ⓐ> ① <Ⅷ> - <가>"},
         {R"(\W+)", "a①\u200Db", "a<①\u200D>b"},
         {R"(\h+)", "xyz09afAFg\t", "xyz<09afAF>g\t"},
         {R"(\H)", "a g", "a< ><g>"},
         {R"(\v)", "a\vb\n", "a<\v>b\n"},
         {R"(\d+)", "12 ４５ ½", "<12> <４５> ½"},
         {R"(\p{Han}+)", "漢、字", "<漢>、<字>"},
         {R"(\p{letter}\p{ upper-case_Letter }\P{^L}\p{^N})", "aBc-", "<aBc->"},
         {R"(\P{P}+\P{L})", "f1c", "<f1>c"},
         {R"(\p{Mn}|\p{Mc})", "e\u0301x\u0903", "e<\u0301>x<\u0903>"},
         {R"(\R)", "a\r\nb\rc\u2028", "a<\r\n>b<\r>c<\u2028>"},
         {R"(\N+)", "ab\n\r", "<ab>\n<\r>"},
         {R"(\O)", "a\n", "<a><\n>"}});
}

TEST(Oniguruma, FractionsOfLatin1AreWordCharactersOutsideAClassOnly) {
  check({{R"(\w+)", "a½²b", "<a½²b>"},
         {R"([\w]+)", "a½²b", "<a>½²<b>"},
         {R"([^\W]+)", "a½b", "<a>½<b>"},
         {R"(\W)", "½-", "½<->"},
         {R"(a\b)", "a½ a① a", "a½ <a>① <a>"},
         {R"(a\B)", "a½ a① a", "<a>½ a① a"}});
}

TEST(Oniguruma, PosixBracketsAreUnicodeSets) {
  check({{"[[:alpha:]]+", "aé가1\u0345½", "<aé가>1<\u0345>½"},
         {"[[:alnum:]]+", "a1½-", "<a1>½-"},
         {"[[:punct:]]+", "a+-「€", "a<+-「€>"},
         {"[[:space:]]", "a\u180E\u3000", "a\u180E<\u3000>"},
         {"[[:upper:]]+", "aÉⅧⒶ", "a<ÉⅧⒶ>"},
         {"[[:lower:]]+", "Aéªⓐ", "A<éªⓐ>"},
         {"[[:digit:]]+", "a1４", "a<1４>"},
         {"[[:xdigit:]]+", "gfF９", "g<fF>９"},
         {"[[:cntrl:]]", "a\x01\u0085", "a<\x01><\u0085>"},
         {"[[:blank:]]", "\t\n\u3000", "<\t>\n<\u3000>"},
         {"[[:graph:]]+", "a \u200B", "<a> <\u200B>"},
         {"[[:print:]]+", "a \u2028\n", "<a >\u2028\n"},
         {"[[:word:]]+", "a_½", "<a_>½"},
         {"[[:ascii:]]+", "aé", "<a>é"},
         {"[[:^alpha:]]+", "a1-b", "a<1->b"},
         {"[^[:^alpha:]x]+", "a1xb", "<a>1x<b>"},
         {"[[:^punct:]k]+", "a-k", "<a>-<k>"},
         {"[[:alpha]]", "a] :]", "<a>] <:>]"},
         {"[:alpha:]+", ":alph!", "<:alph>!"}});
}

TEST(Oniguruma, ClassesHoldClassesAndTheirCommonParts) {
  check({{"[a[bc]d]+", "abcde", "<abcd>e"},
         {"[a[^b-z]]+", "ab-A", "<a>b<-A>"},
         {R"([^\W\d_]+)", "ab1_가", "<ab>1_<가>"},
         {R"([\W_]+)", "a_-b", "a<_->b"},
         {R"([\D]+[\S])", "1a b", "1<a b>"},
         {R"([\s\S])", "a\n", "<a><\n>"},
         {R"([\p{L}&&[^\p{Han}]]+)", "a漢b", "<a>漢<b>"},
         {"[a-z&&[^aeiou]&&[^x-z]]+", "abcxe", "a<bc>xe"},
         {"[^a-z&&[^x]]+", "ax-", "a<x->"},
         {"[]a]+", "]ab", "<]a>b"},
         {"[^]a]+", "]ab", "]a<b>"},
         {R"([a\-z\]\[^&-]+)", "a-z][^&b", "<a-z][^&>b"},
         {"[a-c-e]+", "ab-de", "<ab->d<e>"},
         {"[--/]+", "-./0", "<-./>0"},
         {R"([\R\b\v\101])", "R\b\vA", "<R><\b><\v><A>"}});
}

TEST(Oniguruma, LinesBeginAndEndEverywhereAndDotsStopAtThemUnlessToldOtherwise) {
  check({{"^.", "a\nb", "<a>\n<b>"},
         {"(?m:.+)", "a\nb", "<a\nb>"},
         {"(?m)a.(?-m:.)", "a\n\na\nb", "a\n\n<a\nb>"},
         {".$", "a\nb\n", "<a>\n<b>\n"},
         {R"(.\Z)", "a\nb\n", "a\n<b>\n"},
         {R"(.\z)", "a\nb\n", "a\nb\n"},
         {R"(\A.)", "ab\nc", "<a>b\nc"},
         {R"(\Ga)", "aaba", "<a><a>ba"},
         {"^", "\n", "<>\n"},
         {"$", "a\n", "a<>\n<>"},
         {R"(a\Kb)", "ab", "a<b>"}});
}

TEST(Oniguruma, OptionsReachToTheEndOfTheirGroup) {
  check({{"x(?i)a|b", "xA b xB", "<xA> b <xB>"},
         {"(?:x(?i)a|b)c", "xAc xBC xBc", "<xAc> xBC <xBc>"},
         {"(?i)k(?-i:k)", "\u212Ak kK", "<\u212Ak> kK"},
         {"(?i)[a-z]+", "aſK\u212A1", "<aſK\u212A>1"},
         {R"((?i)[^\s\p{L}\p{N}]+)", "a\u0345! ", "a\u0345<!> "},
         {"(?i)\\p{Lu}", "aB", "a<B>"},
         {"(?x) a b [ c] # all\n (?#and\\)) +", "ab  ", "<ab  >"}});
}

TEST(Oniguruma, RepeatsAreCountedItsWay) {
  check({{"a{2}?b", "aab b ab", "<aab> <b> a<b>"},
         {"a{1,2}?", "aa", "<a><a>"},
         {"a{2,3}+", "aaaaa", "<aaaaa>"},
         {"a{3,1}a", "aaaa aa", "<aaaa> aa"},
         {"a{,2}b", "aaab", "a<aab>"},
         {"a{,}", "a{,}", "<a{,}>"},
         {"a++a", "aaa", "aaa"},
         {"a{2}{2}", "aaaaa", "<aaaa>a"},
         {"{a}{", "{a}{", "<{a}{>"},
         {"(?:ab)?+a", "aba ab", "<aba> ab"},
         {"(?>.*-|)S", "xSy-", "xSy-"},
         {"S?(?:ab)?+S", "S abS", "<S> <abS>"},
         {"S?(?>|a)S", "aS", "a<S>"},
         {"(?:[^ab]+?){2,1}S", "zxxS", "z<xxS>"}});
}

TEST(Oniguruma, NumbersBelow256AreBytes) {
  check({{R"(\xE2\x96\x81|\u2581)", "\u2581", "<\u2581>"},
         {R"([\xEA\xB0\x80-\x{AC02}])", "각힣", "<각>힣"},
         {R"(\x41\o{103}\x{44}\06)", "ACD\06", "<ACD\06>"}});
}

TEST(Oniguruma, ReferencesNameWhatIsClosedBeforeThem) {
  check({{R"((a|b)\1)", "aabbab", "<aa><bb>ab"},
         {R"((?<x>a|b)(c)\k<x>)", "aca bcb acb", "<aca> <bcb> acb"},
         {R"((?'x'.)\k'x')", "aab", "<aa>b"}});
}

TEST(Oniguruma, RefusesByNameWhatPcre2CannotExpress) {
  const std::pair<std::string, std::string> rows[] = {
      {R"(\X)", "\\X"},
      {R"(a\y)", "\\y"},
      {R"(\Y)", "\\Y"},
      {R"((a)\g<1>)", "\\g"},
      {R"(\1(a))", "group 1"},
      {R"((a\1))", "group 1"},
      {R"((?i)(a)\1)", "(?i)"},
      {R"((?<n>a)(b)\1)", "number beside named"},
      {R"((?<n>a)(?<n>b)\k<n>)", "'n'"},
      {R"((?<n>a)\k<n+1>)", "'n+1'"},
      {"(?(1)a)", "(?(...)...)"},
      {"(?~a)", "(?~...)"},
      {"(?{a})", "callout"},
      {"(*FAIL)", "callout"},
      {"(?W)a", "(?W"},
      {"(?s).", "(?s"},
      {"(?y{g})a", "(?y"},
      {"(?P<n>a)", "(?P"},
      {"(?)", "(?)"},
      {R"(\p{InHangulSyllables})", "InHangulSyllables"},
      {R"(\p{Grapheme_Extend})", "Grapheme_Extend"},
      {R"(\p{Nonsense})", "Nonsense"},
      {R"(\pL)", "\\p without braces"},
      {"[[:letters:]]", "letters"},
      {"a{65536}", "65535"},
      {"(?:ab){1}{2}", "{1}"},
      {"*a", "nothing"},
      {"a|{2}", "nothing"},
      {"^*", "place"},
      {"(?=a)+", "place"},
      {R"((a|\b){2})", "counted repeat"},
      {R"(\b.*a)", ".*"},
      {R"((?=a)(?m:.*)b)", ".*"},
      {"[a&&]", "&&"},
      {R"([\d-a])", "range that begins with a set"},
      {R"([a-\d])", "range that ends with a set"},
      {"[a-[b]]", "range that ends with a class"},
      {"[z-a]", "before its begin"},
      {"[^a[^b]]", "negated class in a negated class"},
      {"[a", "closing bracket"},
      {"[]", "closing bracket"},
      {"(a", "parenthesis"},
      {"a)", "parenthesis"},
      {"a\\", "backslash at its end"},
      {"(?#a", "ends in the middle"},
      {R"(\x85)", "whole character"},
      {R"(\x)", "\\x without a number"},
      {R"(\x{41 42})", "more than one number"},
      {R"(\x{110000})", "no character"},
      {R"(\uD83D)", "no character"},
      {R"(\u12)", "four digits"},
      {R"(\M-a)", "\\M-"},
      {R"(\c1)", "\\c"},
      {"(?i)ß", "several"},
      {"(?i)mass", "ss, st"},
      {"(?i)(?:sxs){2}", "ss, st"},
      {R"((?i)[\p{L}])", "widen"},
      {R"((?i)[\p{Lu}])", "widen"},
      {"(?i)[À-ÿ]", "widen"},
      {R"((?i)[a[^b]])", "negated class"},
      {"(?<=a+)b", "lookbehind"},
      {"(?<!(?<!))a", "look-behind"},
      {"\xFF", "UTF-8"},
      {std::string(300, '(') + std::string(300, ')'), "200"},
      {std::string(300, '[') + std::string(300, ']'), "100"},
      {"a" + std::string(300, '*'), "100"},
  };
  for (const auto& [expression, named] : rows)
    EXPECT_NE(refusal(expression).find(named), std::string::npos) << expression << "\n" << refusal(expression);
}

TEST(Oniguruma, EmptyMatchesCutATextToo) {
  const auto pieces = [](const std::string& expression, const std::string& text) {
    std::vector<std::string> found;
    PreTokenizer(
        json::object{{"type", "Split"}, {"pattern", json::object{{"Regex", expression}}}, {"behavior", "Isolated"}})
        .split(text, true, [&](std::string_view piece) { found.emplace_back(piece); });
    return found;
  };
  using Pieces = std::vector<std::string>;
  EXPECT_EQ(pieces(R"(\b)", "ab, c½"), (Pieces{"ab", ", ", "c½"}));
  EXPECT_EQ(pieces(R"((?<=\p{Ll})(?=\p{Lu}))", "aBcD가"), (Pieces{"a", "Bc", "D가"}));
  EXPECT_EQ(pieces("", "a가"), (Pieces{"a", "가"}));
  EXPECT_EQ(pieces("x*", "axxb"), (Pieces{"a", "xx", "b"}));
  EXPECT_EQ(pieces(R"(\b)", ""), Pieces{});
}

TEST(Oniguruma, EmptyMatchesAreReplacedOnceEach) {
  const auto replaced = [](const std::string& expression, const std::string& text) {
    return Normalizer(
               json::object{{"type", "Replace"}, {"pattern", json::object{{"Regex", expression}}}, {"content", "-"}})
        .apply(text);
  };
  EXPECT_EQ(replaced("x*", "abxc"), "-a-b-c-");
  EXPECT_EQ(replaced("^", "a\nb\n"), "-a\n-b\n");
  EXPECT_EQ(replaced("$", "a가"), "a가-");
  EXPECT_EQ(replaced("$", ""), "");
}

TEST(Oniguruma, APatternGivenAsAStringIsNoExpression) {
  std::string found;
  Pattern("\\s[", Dialect::kLiteral).for_each_match("a\\s[ b", [&](std::size_t begin, std::size_t end) {
    found += std::to_string(begin) + "-" + std::to_string(end);
  });
  EXPECT_EQ(found, "1-4");
}

// Pieces of expressions one behind the other, and bytes: each is read or refused, soon.
std::string random_expression(std::mt19937_64& random) {
  static const std::vector<std::string> kFragments{
      "(",       ")",       "(?:", "(?i)",  "(?<n>", "(?<=",   "(?#",       "[",      "]",        "[^",
      "&&",      "[:",      ":]",  "alpha", "\\w",   "\\b",    "\\p{",      "}",      "L",        "{",
      "{2,1}",   "{99,}",   "{1}", "*",     "+",     "?",      "|",         "\\",     "\\x{",     "\\xE2",
      "-",       "^",       "$",   ".",     "a",     "가",     "\\1",       "\\k<n>", "\\R",      "\\W",
      "(?x)",    "#",       " ",   "\\u",   "\\0",   "(?~",    "(*",        "\xFF",   "\\cA",     "(?-",
      "{65535}", "{65536}", "\\K", "\\G",   "\\Q",   "[a-z]+", "(?:a{99})", "(?=.*)", "\\p{Han}", "ß"};
  std::string expression;
  for (std::uint64_t i = 1 + random() % 24; i > 0; --i) {
    if (random() % 16 == 0) expression += static_cast<char>(random() & 0xFF);
    expression += kFragments[random() % kFragments.size()];
  }
  return expression;
}

TEST(OnigurumaFuzz, EveryExpressionEndsAsAPatternOrAnError) {
  const std::uint64_t seed = std::random_device{}();
  std::cout << "seed: " << seed << "\n";
  std::mt19937_64 random(seed);
  int read = 0;
  constexpr int kRounds = 20000;
  for (int round = 0; round < kRounds; ++round) {
    const std::string expression = random_expression(random);
    const auto begin = std::chrono::steady_clock::now();
    try {
      const Pattern pattern(expression, Dialect::kOniguruma);
      ++read;
      for (const std::string text : {"aa가 b-1\n", "xyz"}) {
        pattern.for_each_match(text, [&](std::size_t from, std::size_t to) {
          EXPECT_TRUE(from <= to && to <= text.size()) << expression;
        });
      }
    } catch (const platform::Error& error) {
      EXPECT_TRUE(is_utf8(error.what())) << expression;
    }
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << expression;
  }
  std::cout << "read " << read << " of " << kRounds << "\n";
  EXPECT_GT(read, kRounds / 100);
}

TEST(OnigurumaFuzz, LongExpressionsTakeNoMoreThanALongTime) {
  const auto begin = std::chrono::steady_clock::now();
  for (const std::string part :
       {"\\b", "[^\\W\\d]", "a{2}?", "(?i)", "a&&", "[a&&", "(?:a|", "\\w+", "[[:^alpha:]b]"}) {
    std::string expression;
    while (expression.size() + part.size() < 16 * 1024) expression += part;
    for (const std::string& whole : {expression, "[" + expression + "]"}) {
      try {
        Pattern(whole, Dialect::kOniguruma).for_each_match("ab cd", [](std::size_t, std::size_t) {});
      } catch (const platform::Error&) {
      }
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

}  // namespace
}  // namespace finetune
