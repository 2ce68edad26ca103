#include "finetune/text/oniguruma_class.h"

#include <optional>

#include "finetune/text/character_set.h"

namespace finetune {
namespace {

constexpr int kMostNested = 100;

// What a hyphen comes behind, as far as it matters to what it is.
enum class Before { kNothing, kCharacter, kProperty, kWhole };

// The members between two &&.
struct Side {
  CharacterSet set;
  Before before = Before::kNothing;
  char32_t character = 0;  // kCharacter: not in `set` yet, because it may begin a range
};

struct ReadClass {
  CharacterSet set;
  bool negated = false;
};

class ClassReader {
 public:
  ClassReader(OnigurumaCursor& cursor, bool ignore_case) : cursor_(cursor), ignore_case_(ignore_case) {}

  ReadClass read(int nested) {
    if (nested > kMostNested) cursor_.refuse("classes nested more than 100 deep");
    ReadClass result;
    result.negated = cursor_.take("^");
    Side side;
    std::optional<CharacterSet> common;  // of the sides before the last &&
    // A closing bracket in the first place is a character.
    if (cursor_.take("]")) character(side, U']');
    while (!cursor_.take("]")) {
      if (cursor_.take("&&")) {
        common = cut_down(common, side);
        side = {};
      } else {
        member(side, nested);
      }
    }
    result.set = cut_down(common, side);
    // Where the inner class holds all but ASCII, Oniguruma loses what the outer one then has.
    if (result.negated && result.set.has_complement())
      cursor_.refuse("a negated class in a negated class; write their common part with &&");
    return result;
  }

 private:
  static void finish(Side& side) {
    if (side.before == Before::kCharacter) side.set.add(side.character, side.character);
    side.before = Before::kWhole;
  }

  static void character(Side& side, char32_t character) {
    finish(side);
    side.before = Before::kCharacter;
    side.character = character;
  }

  void property(Side& side, const NamedSet& set) {
    finish(side);
    side.set.add(set, ignore_case_);
    side.before = Before::kProperty;
  }

  CharacterSet cut_down(const std::optional<CharacterSet>& common, Side& side) {
    finish(side);
    if (side.set.empty()) cursor_.refuse("an empty side of && is not supported");
    return common ? CharacterSet::intersection(*common, side.set) : side.set;
  }

  void member(Side& side, int nested) {
    if (cursor_.at_end()) cursor_.refuse("a class without its closing bracket");
    if (sees_posix_bracket()) {
      cursor_.take("[:");
      property(side, take_posix_bracket(cursor_));
    } else if (cursor_.take("[")) {
      const ReadClass inner = read(nested + 1);
      finish(side);
      side.set.add(inner.negated ? inner.set.complement() : inner.set);
    } else if (cursor_.take("-")) {
      hyphen(side);
    } else if (cursor_.take("\\")) {
      escape(side);
    } else {
      character(side, cursor_.take());
    }
  }

  void hyphen(Side& side) {
    const bool last = cursor_.sees("]") || cursor_.sees("&&");
    if (side.before == Before::kProperty && !last) cursor_.refuse("a range that begins with a set; write \\- for -");
    if (side.before != Before::kCharacter || last) return character(side, U'-');
    const char32_t end = range_end();
    if (end < side.character) cursor_.refuse("a range whose end is before its begin");
    side.set.add(side.character, end);
    side.before = Before::kWhole;
  }

  char32_t range_end() {
    if (cursor_.sees("[")) cursor_.refuse("a range that ends with a class; write \\[ for [");
    if (!cursor_.take("\\")) return cursor_.take();
    if (take_named_set(cursor_, true)) cursor_.refuse("a range that ends with a set; write \\- for -");
    return escaped_character();
  }

  void escape(Side& side) {
    if (const auto set = take_named_set(cursor_, true)) return property(side, *set);
    character(side, escaped_character());
  }

  char32_t escaped_character() {
    if (cursor_.take("b")) return U'\b';
    for (const char* digit : {"1", "2", "3", "4", "5", "6", "7"}) {
      if (cursor_.sees(digit)) return cursor_.take_octal(3);
    }
    const auto numbered = cursor_.take_numbered_character();
    return numbered ? *numbered : cursor_.take();
  }

  // "[:", letters, ":]"; else it is a class that begins with a colon.
  bool sees_posix_bracket() {
    const std::size_t place = cursor_.place();
    bool is = false;
    if (cursor_.take("[:")) {
      cursor_.take("^");
      std::size_t letters = 0;
      for (; !cursor_.at_end() && !cursor_.sees(":"); ++letters) {
        const char32_t c = cursor_.take() | 0x20;
        if (c < U'a' || c > U'z') break;
      }
      is = letters > 0 && cursor_.sees(":]");
    }
    cursor_.return_to(place);
    return is;
  }

  OnigurumaCursor& cursor_;
  bool ignore_case_;
};

}  // namespace

std::string take_class(OnigurumaCursor& cursor, bool ignore_case) {
  const ReadClass read = ClassReader(cursor, ignore_case).read(0);
  if (ignore_case && !read.set.is_plain())
    cursor.refuse("a class with a negated class, a negated set or && in it under (?i); write both cases out");
  const bool open = read.set.reach() == CaseReach::kOpen || (read.set.reach() == CaseReach::kLong && !read.negated);
  if (ignore_case && open)
    cursor.refuse("a class whose case (?i) would widen by more than single characters; write both cases out");
  return read.negated ? read.set.complement().matcher() : read.set.matcher();
}

}  // namespace finetune
