#include "finetune/text/matcher.h"

#include <algorithm>
#include <memory>
#include <sstream>

#include "finetune/text/unicode.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

// Every script of Unicode 14 but Han, Hiragana and Katakana, which are one here.
constexpr const char* kScripts =
    "Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki "
    "Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee "
    "Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra "
    "Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati "
    "Gunjala_Gondi Gurmukhi Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Imperial_Aramaic Inherited "
    "Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Kayah_Li Kharoshthi Khitan_Small_Script "
    "Khmer Khojki Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar "
    "Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive "
    "Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nandinagari New_Tai_Lue Newa Nko "
    "Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian Old_Permic "
    "Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene "
    "Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham "
    "SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le "
    "Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic "
    "Unknown Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square";

std::string script_expression() {
  std::string expression =
      R"([\p{sc:Han}\p{sc:Hiragana}\p{sc:Katakana}\x{30FC}][\p{sc:Han}\p{sc:Hiragana}\p{sc:Katakana}\x{30FC} ]*)";
  std::istringstream names(kScripts);
  for (std::string name; names >> name;) expression += "|(?! )\\p{sc:" + name + "}[\\p{sc:" + name + "} ]*";
  return expression;
}

}  // namespace

Matcher match_pattern(Pattern pattern) {
  // Shared, because a matcher is copied with its step.
  return [shared = std::make_shared<const Pattern>(std::move(pattern))](
             std::string_view text, const FoundMatch& found) { shared->for_each_match(text, found); };
}

Matcher match_each(bool (*of_class)(char32_t)) {
  return [of_class](std::string_view text, const FoundMatch& found) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      if (of_class(next_code_point(text, at))) found(begin, at);
    }
  };
}

Matcher match_runs(int (*class_of)(char32_t)) {
  return [class_of](std::string_view text, const FoundMatch& found) {
    std::size_t begin = 0;
    int current = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t here = at;
      const int next = class_of(next_code_point(text, at));
      if (next == current) continue;
      if (current != 0) found(begin, here);
      begin = here;
      current = next;
    }
    if (current != 0) found(begin, text.size());
  };
}

Matcher match_length(std::size_t count) {
  return [count](std::string_view text, const FoundMatch& found) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      for (std::size_t i = 0; i < count && at < text.size(); ++i) next_code_point(text, at);
      found(begin, at);
    }
  };
}

Matcher match_scripts() { return match_pattern(Pattern(script_expression(), Dialect::kPcre2)); }

SplitBehavior read_behavior(const platform::json::object& object, std::string_view fallback) {
  struct Name {
    std::string_view name;
    SplitBehavior behavior;
  };
  static constexpr Name kNames[] = {{"Contiguous", SplitBehavior::kContiguous},
                                    {"Isolated", SplitBehavior::kIsolated},
                                    {"MergedWithNext", SplitBehavior::kMergedWithNext},
                                    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
                                    {"Removed", SplitBehavior::kRemoved}};
  const std::string name = platform::string_or(object, "behavior", fallback, "pre_tokenizer");
  for (const Name& known : kNames) {
    if (known.name == name) return known.behavior;
  }
  throw Error(ErrorCode::kInvalidInput,
              "tokenizer.json: split behavior '" + name +
                  "' is not known; known are Contiguous, Isolated, MergedWithNext, MergedWithPrevious, Removed",
              "pre_tokenizer.behavior");
}

std::vector<Part> merge_parts(std::vector<Part> parts, SplitBehavior behavior) {
  if (behavior == SplitBehavior::kIsolated) return parts;
  if (behavior == SplitBehavior::kRemoved) {
    std::erase_if(parts, [](const Part& part) { return part.match; });
    return parts;
  }
  // "Next" is "previous" seen from the other end.
  if (behavior == SplitBehavior::kMergedWithNext) std::reverse(parts.begin(), parts.end());
  std::vector<Part> merged;
  bool after_match = false;
  for (const Part& part : parts) {
    const bool joins = !merged.empty() && (behavior == SplitBehavior::kContiguous ? part.match == after_match
                                                                                  : part.match && !after_match);
    if (joins) {
      merged.back().begin = std::min(merged.back().begin, part.begin);
      merged.back().end = std::max(merged.back().end, part.end);
    } else {
      merged.push_back(part);
    }
    after_match = part.match;
  }
  if (behavior == SplitBehavior::kMergedWithNext) std::reverse(merged.begin(), merged.end());
  return merged;
}

}  // namespace finetune
