#include "finetune/generate/text_pattern.h"

#include <algorithm>

#include "platform/base/error.h"

namespace finetune {
namespace {

using Node = ByteGrammar::Node;

constexpr int kDeepest = 16;
constexpr std::int32_t kMostTimes = 1000;

void add_range(CharacterSet& set, unsigned char from, unsigned char to) {
  for (unsigned byte = from; byte <= to; ++byte) set.ascii.set(byte);
}

class PatternReader {
 public:
  PatternReader(ByteGrammar& grammar, std::string_view pattern, const std::string& path)
      : grammar_(grammar), pattern_(pattern), path_(path) {}

  Node read() {
    std::vector<Node> parts;
    const bool begins = take('^'), ends = ends_here();
    if (ends) pattern_.remove_suffix(1);
    anchored_ = begins || ends;
    if (!begins) parts.push_back(anything());
    parts.push_back(alternatives(0));
    if (at_ < pattern_.size()) refuse("\")\" closes nothing");
    if (!ends) parts.push_back(anything());
    return grammar_.sequence(std::move(parts));
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw platform::Error(
        platform::ErrorCode::kInvalidInput,
        path_ + ": " + what + ", at byte " + std::to_string(at_) + " of \"" + std::string(pattern_) + "\"", path_);
  }

  // A $ at the end that no backslash takes.
  bool ends_here() const {
    if (!pattern_.ends_with('$')) return false;
    std::size_t slashes = 0;
    while (slashes + 1 < pattern_.size() && pattern_[pattern_.size() - 2 - slashes] == '\\') ++slashes;
    return slashes % 2 == 0;
  }

  bool more() const { return at_ < pattern_.size(); }
  bool take(char wanted) {
    if (!more() || pattern_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  char take_any(const char* where) {
    if (!more()) refuse(std::string("ends inside ") + where);
    return pattern_[at_++];
  }

  Node anything() { return grammar_.text(0, ByteGrammar::kNoLimit); }

  Node alternatives(int depth) {
    if (depth > kDeepest) refuse("groups are deeper than " + std::to_string(kDeepest));
    std::vector<Node> choices{sequence(depth)};
    while (take('|')) choices.push_back(sequence(depth));
    if (choices.size() > 1 && depth == 0 && anchored_) refuse("alternatives beside ^ or $ need a group around them");
    return choices.size() == 1 ? choices.front() : grammar_.choice(std::move(choices));
  }

  Node sequence(int depth) {
    std::vector<Node> parts;
    while (more() && pattern_[at_] != '|' && pattern_[at_] != ')') parts.push_back(repeated(depth));
    return parts.empty() ? grammar_.literal("") : grammar_.sequence(std::move(parts));
  }

  Node repeated(int depth) {
    const Node one = single(depth);
    std::int32_t least = 1, most = 1;
    if (take('*')) {
      least = 0, most = ByteGrammar::kNoLimit;
    } else if (take('+')) {
      most = ByteGrammar::kNoLimit;
    } else if (take('?')) {
      least = 0;
    } else if (take('{')) {
      least = most = count();
      if (take(',')) most = more() && pattern_[at_] == '}' ? ByteGrammar::kNoLimit : count();
      if (take_any("a repetition") != '}') refuse("a repetition is {m}, {m,} or {m,n}");
      if (most >= 0 && most < least) refuse("a repetition ends below its beginning");
    } else {
      return one;
    }
    if (more() && (pattern_[at_] == '?' || pattern_[at_] == '+' || pattern_[at_] == '*'))
      refuse("a repetition of a repetition is not understood");
    return most == 0 ? grammar_.literal("") : grammar_.repeat(one, -1, least, most);
  }

  std::int32_t count() {
    std::int32_t value = 0;
    const std::size_t begin = at_;
    while (more() && pattern_[at_] >= '0' && pattern_[at_] <= '9') {
      value = value * 10 + (pattern_[at_++] - '0');
      if (value > kMostTimes) refuse("a repetition counts to " + std::to_string(kMostTimes) + " at most");
    }
    if (begin == at_) refuse("a repetition has no count");
    return value;
  }

  Node single(int depth) {
    const char sign = take_any("a pattern");
    switch (sign) {
      case '(': return group(depth);
      case '[': return grammar_.character(character_class());
      case '.': return grammar_.character({.ascii = printable(), .others = true});
      case '\\': return grammar_.character(escaped());
      case '^':
      case '$': refuse("^ and $ stand at the ends only");
      case '*':
      case '+':
      case '?':
      case '{': refuse("there is nothing to repeat");
      case ']':
      case '}': refuse("a bracket closes nothing");
      default: break;
    }
    const auto byte = static_cast<unsigned char>(sign);
    if (byte < 0x20) refuse("a control character");
    if (byte < 0x80) return grammar_.character(just(byte));
    std::string letter(1, sign);  // of a character beyond ASCII, which is taken whole
    while (more() && (static_cast<unsigned char>(pattern_[at_]) & 0xc0) == 0x80) letter += pattern_[at_++];
    return grammar_.literal(std::move(letter));
  }

  Node group(int depth) {
    if (take('?') && !take(':')) refuse("of the groups with ? only (?:...) is understood");
    const Node inner = alternatives(depth + 1);
    if (!take(')')) refuse("a group is not closed");
    return inner;
  }

  static std::bitset<128> printable() {
    CharacterSet set;
    add_range(set, 0x20, 0x7e);
    return set.ascii;
  }
  static CharacterSet just(unsigned char byte) {
    CharacterSet set;
    set.ascii.set(byte);
    return set;
  }
  static CharacterSet all_but(const CharacterSet& set, bool others) { return {printable() & ~set.ascii, others}; }

  CharacterSet escaped() {
    const char sign = take_any("an escape");
    CharacterSet set;
    switch (sign) {
      case 'd':
      case 'D': add_range(set, '0', '9'); return sign == 'd' ? set : all_but(set, true);
      case 'w':
      case 'W':
        add_range(set, '0', '9');
        add_range(set, 'A', 'Z');
        add_range(set, 'a', 'z');
        set.ascii.set('_');
        return sign == 'w' ? set : all_but(set, true);
      case 's':
      case 'S': return sign == 's' ? just(' ') : all_but(just(' '), false);
      default: break;
    }
    const auto byte = static_cast<unsigned char>(sign);
    const bool letter = (sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z') || (sign >= '0' && sign <= '9');
    if (letter || byte < 0x20 || byte >= 0x7f) refuse(std::string("the escape \\") + sign + " is not understood");
    return just(byte);
  }

  CharacterSet character_class() {
    const bool negated = take('^');
    CharacterSet set;
    bool spaces = false;
    for (bool first = true;; first = false) {
      const char sign = take_any("a class");
      if (sign == ']' && first) refuse("an empty class; write \\] for the sign itself");
      if (sign == ']') break;
      CharacterSet one = just_in_class(sign, spaces);
      const bool range = more() && pattern_[at_] == '-' && at_ + 1 < pattern_.size() && pattern_[at_ + 1] != ']';
      if (range) {
        ++at_;
        const CharacterSet last = just_in_class(take_any("a class"), spaces);
        if (one.ascii.count() != 1 || last.ascii.count() != 1) refuse("a range goes from one character to one");
        const auto place = [](const CharacterSet& of) {
          unsigned char byte = 0;
          while (!of.ascii[byte]) ++byte;
          return byte;
        };
        if (place(one) > place(last)) refuse("a range ends before its beginning");
        add_range(one, place(one), place(last));
      }
      set.ascii |= one.ascii;
      set.others = set.others || one.others;
    }
    if (negated) set = all_but(set, !set.others && !spaces);
    if (set.ascii.none() && !set.others) refuse("a class has no character that JSON could hold");
    return set;
  }

  CharacterSet just_in_class(char sign, bool& spaces) {
    const auto byte = static_cast<unsigned char>(sign);
    if (sign == '\\') {
      spaces = spaces || (more() && (pattern_[at_] == 's' || pattern_[at_] == 'S'));
      return escaped();
    }
    if (byte < 0x20 || byte >= 0x7f) refuse("classes are of ASCII characters; write the others as alternatives");
    return just(byte);
  }

  ByteGrammar& grammar_;
  std::string_view pattern_;
  const std::string& path_;
  std::size_t at_ = 0;
  bool anchored_ = false;
};

}  // namespace

ByteGrammar::Node add_pattern(ByteGrammar& grammar, std::string_view pattern, const std::string& path) {
  return PatternReader(grammar, pattern, path).read();
}

}  // namespace finetune
