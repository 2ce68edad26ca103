#include "finetune/text/oniguruma_property.h"

#include <algorithm>

namespace finetune {
namespace {

using enum CaseReach;

struct Row {
  std::string_view name;
  std::string_view items;
  std::string_view complement;
  CaseReach reach;
};

// Sets that are no category of Unicode; a name is spelled without blanks, hyphens and underscores.
constexpr Row kRows[] = {
    {"alnum", R"(\p{Alphabetic}\p{Nd}\x{363}-\x{36F}\x{C04}\x{F82}\x{F83}\x{1DD3}-\x{1DE6}\x{11080}\x{11081})", "",
     kLong},
    {"alpha", R"(\p{Alphabetic}\x{363}-\x{36F}\x{C04}\x{F82}\x{F83}\x{1DD3}-\x{1DE6}\x{11080}\x{11081})", "", kLong},
    {"ascii", R"(\p{ASCII})", R"(\P{ASCII})", kOpen},
    {"blank", R"(\x09\p{Zs})", "", kClosed},
    {"cntrl", R"(\p{Cc})", R"(\P{Cc})", kClosed},
    {"digit", R"(\p{Nd})", R"(\P{Nd})", kClosed},
    {"graph", "", R"(\p{Z}\p{Cc}\p{Cn})", kLong},
    {"lower", R"(\p{Lowercase}\x{10FC}\x{A7F2}-\x{A7F4}\x{AB69})", "", kOpen},
    {"print", "", R"(\p{Zl}\p{Zp}\p{Cc}\p{Cn})", kLong},
    {"punct", R"(\p{P}\p{S})", "", kClosed},
    {"space", R"(\x09-\x0D\x85\p{Z})",
     R"(\x00-\x08\x0E-\x1F!-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E})"
     R"(\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF})",
     kClosed},
    {"upper", R"(\p{Uppercase})", R"(\P{Uppercase})", kOpen},
    {"word", R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})", "", kLong},
    {"xdigit", "0-9A-Fa-f", R"(\x00-\x2F:-@G-`g-\x{10FFFF})", kClosed},
};

// Other spellings of those, and where a property is not what the POSIX bracket of its name is.
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"alphabetic", "alpha"}, {"lowercase", "lower"},  {"punct", "p"},
    {"uppercase", "upper"},  {"whitespace", "space"}, {"wspace", "space"},
};

struct Category {
  std::string_view code;
  std::string_view name;
};

constexpr Category kCategories[] = {
    {"C", "other"},
    {"Cc", "control"},
    {"Cf", "format"},
    {"Cn", "unassigned"},
    {"Co", "privateuse"},
    {"Cs", "surrogate"},
    {"L", "letter"},
    {"LC", "casedletter"},
    {"Ll", "lowercaseletter"},
    {"Lm", "modifierletter"},
    {"Lo", "otherletter"},
    {"Lt", "titlecaseletter"},
    {"Lu", "uppercaseletter"},
    {"M", "mark"},
    {"M", "combiningmark"},
    {"Mc", "spacingmark"},
    {"Me", "enclosingmark"},
    {"Mn", "nonspacingmark"},
    {"N", "number"},
    {"Nd", "decimalnumber"},
    {"Nl", "letternumber"},
    {"No", "othernumber"},
    {"P", "punctuation"},
    {"Pc", "connectorpunctuation"},
    {"Pd", "dashpunctuation"},
    {"Pe", "closepunctuation"},
    {"Pf", "finalpunctuation"},
    {"Pi", "initialpunctuation"},
    {"Po", "otherpunctuation"},
    {"Ps", "openpunctuation"},
    {"S", "symbol"},
    {"Sc", "currencysymbol"},
    {"Sk", "modifiersymbol"},
    {"Sm", "mathsymbol"},
    {"So", "othersymbol"},
    {"Z", "separator"},
    {"Zl", "lineseparator"},
    {"Zp", "paragraphseparator"},
    {"Zs", "spaceseparator"},
};

// Properties that PCRE2 has by the same name and with the same members.
constexpr std::string_view kSameNames =
    " ahex any asciihexdigit bidic bidicontrol dash defaultignorablecodepoint dep deprecated di ebase ecomp emod emoji "
    "emojicomponent emojimodifier emojimodifierbase emojipresentation epres extendedpictographic extpict hex hexdigit "
    "ideo ideographic ids idstart joinc joincontrol logicalorderexception loe math nchar noncharactercodepoint patsyn "
    "patternsyntax patternwhitespace patws pcm prependedconcatenationmark qmark quotationmark radical ri "
    "regionalindicator sd softdotted uideo unifiedideograph variationselector vs xids xidstart ";

// The scripts of Unicode 14 by their names and codes. In PCRE2 a bare name means the characters that a script uses;
// here, those that belong to it.
constexpr std::string_view kScripts =
    " "
    "adlam adlm aghb ahom anatolianhieroglyphs arab arabic armenian armi armn avestan avst bali balinese bamu "
    "bamum bass bassavah batak batk beng bengali bhaiksuki bhks bopo bopomofo brah brahmi brai braille bugi "
    "buginese buhd buhid cakm canadianaboriginal cans cari carian caucasianalbanian chakma cham cher cherokee "
    "chorasmian chrs common copt coptic cpmn cprt cuneiform cypriot cyprominoan cyrillic cyrl deseret deva "
    "devanagari diak divesakuru dogr dogra dsrt dupl duployan egyp egyptianhieroglyphs elba elbasan elym "
    "elymaic ethi ethiopic geor georgian glag glagolitic gong gonm goth gothic gran grantha greek grek gujarati "
    "gujr gunjalagondi gurmukhi guru han hang hangul hani hanifirohingya hano hanunoo hatr hatran hebr hebrew "
    "hira hiragana hluw hmng hmnp hung imperialaramaic inherited inscriptionalpahlavi inscriptionalparthian "
    "ital java javanese kaithi kali kana kannada katakana kayahli khar kharoshthi khitansmallscript khmer khmr "
    "khoj khojki khudawadi kits knda kthi lana lao laoo latin latn lepc lepcha limb limbu lina linb lineara "
    "linearb lisu lyci lycian lydi lydian mahajani mahj maka makasar malayalam mand mandaic mani manichaean "
    "marc marchen masaramgondi medefaidrin medf meeteimayek mend mendekikakui merc mero meroiticcursive "
    "meroitichieroglyphs miao mlym modi mong mongolian mro mroo mtei mult multani myanmar mymr nabataean nand "
    "nandinagari narb nbat newa newtailue nko nkoo nshu nushu nyiakengpuachuehmong ogam ogham olchiki olck "
    "oldhungarian olditalic oldnortharabian oldpermic oldpersian oldsogdian oldsoutharabian oldturkic olduyghur "
    "oriya orkh orya osage osge osma osmanya ougr pahawhhmong palm palmyrene pauc paucinhau perm phag phagspa "
    "phli phlp phnx phoenician plrd prti psalterpahlavi qaac qaai rejang rjng rohg runic runr samaritan samr "
    "sarb saur saurashtra sgnw sharada shavian shaw shrd sidd siddham signwriting sind sinh sinhala sogd "
    "sogdian sogo sora sorasompeng soyo soyombo sund sundanese sylo sylotinagri syrc syriac tagalog tagb "
    "tagbanwa taile taitham taiviet takr takri tale talu tamil taml tang tangsa tangut tavt telu telugu tfng "
    "tglg thaa thaana thai tibetan tibt tifinagh tirh tirhuta tnsa toto ugar ugaritic unknown vai vaii vith "
    "vithkuqi wancho wara warangciti wcho xpeo xsux yezi yezidi yi yiii zanabazarsquare zanb zinh zyyy zzzz ";

// Scripts of which (?i) leaves one, or in which a character equals several.
constexpr std::string_view kOpenScripts =
    " armenian armn common greek grek inherited latin latn qaai unknown zinh zyyy zzzz ";

bool lists(std::string_view names, std::string_view name) {
  return names.find(" " + std::string(name) + " ") != std::string_view::npos;
}

// As Oniguruma compares names.
std::string normalized_name(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    result += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return result;
}

std::optional<CharacterProperty> row_of(std::string_view name, bool in_class) {
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.name == name; });
  if (row == std::end(kRows)) return std::nullopt;
  CharacterProperty property{std::string(row->items), std::string(row->complement), row->reach};
  // Outside a class the superscript digits and fractions of Latin-1 are characters of a word as well.
  if (name == "word" && !in_class) property.items += R"(\xB2\xB3\xB9\xBC-\xBE)";
  return property;
}

CharacterProperty escape_of(const std::string& name, CaseReach reach) {
  return {"\\p{" + name + "}", "\\P{" + name + "}", reach};
}

CharacterProperty category(std::string_view code) {
  // Since Unicode 14 one character has changed its category.
  if (code == "Mn") return {"", R"(\P{Mn}\x{1171E})", kOpen};
  if (code == "Mc") return {R"(\p{Mc}\x{1171E})", "", kClosed};
  if (code == "LC") return escape_of("L&", kOpen);
  const bool open = code == "Ll" || code == "Lt" || code == "Lu";
  CharacterProperty property = escape_of(std::string(code), open ? kOpen : code == "L" ? kLong : kClosed);
  if (code == "L") property.case_items = R"(\x{345})";
  if (code == "M") property.case_items = R"(\x{399}\x{3B9}\x{1FBE})";
  return property;
}

std::optional<CharacterProperty> category_of(std::string_view name) {
  for (const Category& known : kCategories) {
    if (known.name == name || normalized_name(known.code) == name) return category(known.code);
  }
  return std::nullopt;
}

std::optional<CharacterProperty> property_of(std::string_view name, bool in_class) {
  const auto* other = std::find_if(std::begin(kOtherNames), std::end(kOtherNames),
                                   [&](const auto& pair) { return pair.first == name; });
  if (other != std::end(kOtherNames)) name = other->second;
  if (name == "assigned") return CharacterProperty{R"(\P{Cn})", R"(\p{Cn})", kOpen};
  if (auto row = row_of(name, in_class)) return row;
  if (auto found = category_of(name)) return found;
  if (lists(kSameNames, name)) return escape_of(std::string(name), kOpen);
  if (lists(kScripts, name)) return escape_of("sc:" + std::string(name), lists(kOpenScripts, name) ? kOpen : kClosed);
  return std::nullopt;
}

NamedSet take_property(OnigurumaCursor& cursor, bool negated, bool in_class) {
  // Some versions of Oniguruma read \pL as a property and others as two letters.
  if (!cursor.take("{")) cursor.refuse("\\p without braces, which means different things; write \\p{L} or p");
  if (cursor.take("^")) negated = !negated;
  const std::string name(cursor.take_until("}"));
  const auto property = property_of(normalized_name(name), in_class);
  if (!property) cursor.refuse("the property '" + name + "' is not supported");
  return {*property, negated};
}

}  // namespace

std::optional<NamedSet> take_named_set(OnigurumaCursor& cursor, bool in_class) {
  struct Letter {
    std::string_view letters;
    std::string_view name;
  };
  static constexpr Letter kLetters[] = {{"dD", "digit"}, {"hH", "xdigit"}, {"sS", "space"}, {"wW", "word"}};
  for (const auto& [letters, name] : kLetters) {
    for (const bool negated : {false, true}) {
      if (cursor.take(letters.substr(negated ? 1 : 0, 1))) return NamedSet{*row_of(name, in_class), negated};
    }
  }
  if (cursor.take("p")) return take_property(cursor, false, in_class);
  if (cursor.take("P")) return take_property(cursor, true, in_class);
  return std::nullopt;
}

NamedSet take_posix_bracket(OnigurumaCursor& cursor) {
  const bool negated = cursor.take("^");
  const std::string_view name = cursor.take_until(":]");
  const auto property = row_of(name, true);
  if (!property) cursor.refuse("the bracket [:" + std::string(name) + ":] is not known");
  return {*property, negated};
}

std::string matcher_of(const NamedSet& set) {
  const std::string& items = set.property.items;
  const bool one_escape = items.starts_with("\\p{") && items.find('}') == items.size() - 1;
  if (one_escape && !set.negated) return items;
  // Never \P{...} alone: of two of them one behind the other, PCRE2 takes it that no character is in both.
  const bool negative = set.negated != items.empty();
  return (negative ? "[^" : "[") + (items.empty() ? set.property.complement : items) + "]";
}

std::string word_matcher() { return matcher_of({*row_of("word", false)}); }

}  // namespace finetune
