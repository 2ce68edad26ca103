// A set of characters that can be united with, cut down to and turned around to others, and then be written as an
// expression of PCRE2, whose own brackets know unions alone. What fits into one bracket is written as one. Used by one
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/oniguruma_property.h"

namespace finetune {

class CharacterSet {
 public:
  /// The characters [first, last].
  void add(char32_t first, char32_t last);
  /// With `in_all_cases`, what closes the set under (?i) joins it.
  void add(const NamedSet& set, bool in_all_cases);
  void add(const CharacterSet& set);

  /// The characters of both.
  static CharacterSet intersection(const CharacterSet& left, const CharacterSet& right);
  CharacterSet complement() const;

  bool empty() const { return items_.empty() && others_.empty(); }
  /// Whether it fits into one bracket.
  bool is_plain() const { return others_.empty(); }
  /// Whether a complement is a part of it; of what two sets have in common, of both.
  bool has_complement() const { return has_complement_; }
  /// The largest of its parts'.
  CaseReach reach() const { return reach_; }

  /// An expression that matches one character of the set, and can be repeated as it stands.
  std::string matcher() const;

 private:
  std::string items_;                // what stands in a bracket
  std::vector<std::string> others_;  // expressions that match one character more each
  CaseReach reach_ = CaseReach::kClosed;
  bool has_complement_ = false;
};

/// A character as it is written in an expression of PCRE2, in a bracket or outside.
std::string escaped(char32_t character);

}  // namespace finetune
