#include "finetune/text/character_set.h"

#include <algorithm>
#include <cstdio>

#include "finetune/text/unicode.h"

namespace finetune {
namespace {

std::string joined(const std::vector<std::string>& alternatives) {
  std::string text;
  for (const std::string& each : alternatives) text += (text.empty() ? "" : "|") + each;
  return text;
}

// What PCRE2 may read as more than a character, in a bracket or outside.
constexpr std::string_view kSigns = "\\^$.[]|()?*+{}-:=";

}  // namespace

std::string escaped(char32_t character) {
  std::string text;
  if (character < U' ' || character == 0x7F) {
    char number[8];
    std::snprintf(number, sizeof number, "\\x%02X", static_cast<unsigned>(character));
    return number;
  }
  if (character < 0x80 && kSigns.find(static_cast<char>(character)) != std::string_view::npos) text = "\\";
  append_utf8(text, character);
  return text;
}

void CharacterSet::add(char32_t first, char32_t last) {
  items_ += escaped(first);
  if (last != first) items_ += "-" + escaped(last);
  if (has_long_case(first, last)) reach_ = CaseReach::kOpen;
}

void CharacterSet::add(const NamedSet& set, bool in_all_cases) {
  const CharacterProperty& property = set.property;
  const std::string& wanted = set.negated ? property.complement : property.items;
  if (wanted.empty()) {
    others_.push_back("[^" + (set.negated ? property.items : property.complement) + "]");
  } else {
    items_ += wanted;
  }
  CaseReach reach = property.reach;
  if (!property.case_items.empty() && in_all_cases) {
    if (set.negated) reach = CaseReach::kOpen;
    if (!set.negated) items_ += property.case_items;
  }
  // All other characters than those of a closed set are closed as well, but ß may be among them.
  if (set.negated) reach = std::max(reach, CaseReach::kLong);
  reach_ = std::max(reach_, reach);
}

void CharacterSet::add(const CharacterSet& set) {
  items_ += set.items_;
  others_.insert(others_.end(), set.others_.begin(), set.others_.end());
  reach_ = std::max(reach_, set.reach_);
  has_complement_ = has_complement_ || set.has_complement_;
}

CharacterSet CharacterSet::intersection(const CharacterSet& left, const CharacterSet& right) {
  CharacterSet both;
  both.others_ = {"(?:(?=" + left.matcher() + ")" + right.matcher() + ")"};
  both.reach_ = std::max(left.reach_, right.reach_);
  both.has_complement_ = left.has_complement_ && right.has_complement_;
  return both;
}

CharacterSet CharacterSet::complement() const {
  const std::string rest = items_.empty() ? "(?s:.)" : "[^" + items_ + "]";
  CharacterSet others;
  others.others_ = {is_plain() ? rest : "(?:(?!" + joined(others_) + ")" + rest + ")"};
  others.reach_ = reach_;
  others.has_complement_ = true;
  return others;
}

std::string CharacterSet::matcher() const {
  if (others_.empty()) return "[" + items_ + "]";
  if (items_.empty() && others_.size() == 1) return others_.front();
  // Atomic: two parts may hold the same character, which is not to be tried twice.
  return "(?>" + (items_.empty() ? "" : "[" + items_ + "]|") + joined(others_) + ")";
}

}  // namespace finetune
