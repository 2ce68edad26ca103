// The named sets of characters of Oniguruma's dialect (\w, \s, \h, \p{L}, [:alpha:] ...) in the words of PCRE2: each
// was compared with the Rust crate `tokenizers` 0.23.3 (Oniguruma 6.9.10, Unicode 16) on every character that Unicode
// 14, PCRE2 10.42's, knows as well. Of characters assigned since then the two may say different things. Pure functions;
// any thread.
#pragma once

#include <optional>
#include <string>

#include "finetune/text/oniguruma_case.h"
#include "finetune/text/oniguruma_cursor.h"

namespace finetune {

struct CharacterProperty {
  /// What stands in a bracket of PCRE2 for the set, and for all other characters. One of the two is there.
  std::string items;
  std::string complement;
  CaseReach reach = CaseReach::kClosed;
  /// What joins `items` under (?i), so that they become closed.
  std::string case_items = {};
};

struct NamedSet {
  CharacterProperty property;
  bool negated = false;
};

/// Behind a backslash: \d \D \h \H \s \S \w \W \p{...} \P{...}. Nothing, and nothing passed, where it is none of
/// these. Refuses an unknown name, and one whose set PCRE2 has not.
std::optional<NamedSet> take_named_set(OnigurumaCursor& cursor, bool in_class);

/// In a class, behind "[:": the rest of a POSIX bracket to behind its ":]". Refuses an unknown name.
NamedSet take_posix_bracket(OnigurumaCursor& cursor);

/// An expression that matches one character of the set, outside a class, whatever (?i) says.
std::string matcher_of(const NamedSet& set);

/// One character of \w outside a class, which is what \b asks for.
std::string word_matcher();

}  // namespace finetune
