// Where Oniguruma's (?i) reaches further than one character: there ß is also ss, and ﬆ is st (Unicode's full case
// folding), which PCRE2 does not know. Of single characters both have the same pairs, measured over all of them. Pure
// functions; any thread.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace finetune {

/// What a set is to (?i). Of two sets together the larger one holds.
enum class CaseReach {
  kClosed,  // holds whatever differs from one of its members by case alone
  kLong,    // the same; but one of its members equals several characters
  kOpen     // leaves out some that differ by case, or it is not known
};

/// Whether one of the characters [first, last] equals several ones but for case, or is a part of such and not ASCII.
/// The blocks in question are taken whole.
constexpr bool has_long_case(char32_t first, char32_t last) {
  struct Range {
    char32_t first;
    char32_t last;
  };
  constexpr std::array<Range, 14> kRanges{{{0xDF, 0xDF},
                                           {0x130, 0x130},
                                           {0x149, 0x149},
                                           {0x17F, 0x17F},
                                           {0x1F0, 0x1F0},
                                           {0x2BC, 0x2BC},
                                           {0x2BE, 0x2BE},
                                           {0x300, 0x345},
                                           {0x370, 0x3FF},
                                           {0x530, 0x58F},
                                           {0x1E96, 0x1E9E},
                                           {0x1F00, 0x1FFF},
                                           {0x2126, 0x2126},
                                           {0xFB00, 0xFB17}}};
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [&](const Range& range) { return first <= range.last && range.first <= last; });
}

/// Whether two small ASCII letters one behind the other equal one character but for case.
constexpr bool joins_but_for_case(char32_t first, char32_t second) {
  if (first == U's') return second == U's' || second == U't';
  return first == U'f' && (second == U'f' || second == U'i' || second == U'l');
}

}  // namespace finetune
