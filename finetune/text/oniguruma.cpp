#include "finetune/text/oniguruma.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "finetune/text/character_set.h"
#include "finetune/text/oniguruma_class.h"
#include "finetune/text/oniguruma_cursor.h"
#include "finetune/text/oniguruma_repeat.h"

namespace finetune {
namespace {

constexpr int kMostNested = 200;
constexpr int kMostRepeats = 100;  // of one another

struct Options {
  bool ignore_case = false;
  bool dot_is_all = false;
  bool spaced = false;  // white space and #... are no part of the expression
};

// What a piece begins with. Oniguruma tries an expression that begins with .* at the beginnings of lines alone, and one
// that begins with \O* where the search begins, even if a condition on the place stands before.
enum class Front {
  kText,
  kHarmless,  // a condition that it heeds
  kNegative,  // (?!...), which it heeds before .* but not before \O*
  kPlace,     // another condition
  kDot,
  kAnything,  // \O
  kDotStar,
  kAnythingStar
};

bool is_condition(Front front) { return front >= Front::kHarmless && front <= Front::kPlace; }

// A piece of the new expression.
struct Piece {
  std::string text;
  bool repeats = true;  // whether a repeat may follow
  bool group = false;   // (?:...), which Oniguruma takes apart
  // Under (?i) the small letters at its ends, where it is plain text; else 0.
  char32_t first = 0;
  char32_t last = 0;
  Front front = Front::kText;
  bool may_be_empty = false;
  bool has_place = false;  // holds a condition on the place
};

Piece piece_of(std::string text) {
  Piece piece;
  piece.text = std::move(text);
  return piece;
}

Piece dot_of(std::string text, Front front) {
  Piece piece = piece_of(std::move(text));
  piece.front = front;
  return piece;
}

Piece place_of(std::string text, Front front) {
  Piece piece = dot_of(std::move(text), front);
  piece.repeats = false;
  piece.may_be_empty = piece.has_place = true;
  return piece;
}

std::string word_boundary(bool negated) {
  const std::string word = word_matcher();
  const std::string before = "(?<=" + word + ")", not_before = "(?<!" + word + ")";
  const std::string behind = "(?=" + word + ")", not_behind = "(?!" + word + ")";
  return negated ? "(?:" + before + behind + "|" + not_before + not_behind + ")"
                 : "(?:" + before + not_behind + "|" + not_before + behind + ")";
}

class Translation {
 public:
  explicit Translation(std::string_view expression) : cursor_(expression) {}

  std::string run() {
    std::string text = alternatives().text;
    if (!cursor_.at_end()) cursor_.refuse("a closing parenthesis without its opening one");
    if (numbered_reference_ && !names_.empty()) cursor_.refuse("a reference by number beside named groups");
    return text;
  }

 private:
  // Up to the closing parenthesis or the end.
  Piece alternatives() {
    if (++nested_ > kMostNested) cursor_.refuse("groups nested more than 200 deep");
    Piece whole = sequence();
    while (cursor_.take("|")) {
      const Piece other = sequence();
      whole.text += "|" + other.text;
      whole.first = whole.last = 0;
      if (whole.front != other.front) whole.front = Front::kText;
      whole.may_be_empty = whole.may_be_empty || other.may_be_empty;
      whole.has_place = whole.has_place || other.has_place;
    }
    --nested_;
    return whole;
  }

  Piece sequence() {
    Piece whole;
    whole.may_be_empty = true;
    whole.front = Front::kHarmless;
    for (bool begun = false;; begun = true) {
      skip_ignored();
      if (cursor_.at_end() || cursor_.sees(")") || cursor_.sees("|")) return whole;
      Piece piece = atom();
      take_repeats(piece);
      check_joint(whole.last, piece.first);
      whole.text += piece.text;
      if (!begun) whole.first = piece.first;
      whole.last = piece.last;
      whole.front = begun ? front_of(whole, piece) : piece.front;
      whole.may_be_empty = whole.may_be_empty && piece.may_be_empty;
      whole.has_place = whole.has_place || piece.has_place;
    }
  }

  // Of two pieces one behind the other.
  Front front_of(const Piece& before, const Piece& piece) const {
    if (!is_condition(before.front)) return before.front < Front::kDotStar ? Front::kText : before.front;
    if (is_condition(piece.front)) return std::max(before.front, piece.front);
    if ((piece.front == Front::kDotStar && before.front == Front::kPlace) ||
        (piece.front == Front::kAnythingStar && before.front != Front::kHarmless))
      cursor_.refuse("a place such as \\b before .* at a beginning, where Oniguruma passes matches over");
    return before.front == Front::kHarmless ? piece.front : Front::kText;
  }

  void check_joint(char32_t last, char32_t first) const {
    if (joins_but_for_case(last, first))
      cursor_.refuse("ss, st, ff, fi and fl under (?i), which equal one character too; write both cases out");
  }

  void skip_ignored() {
    for (;;) {
      if (cursor_.take("(?#")) {
        skip_comment();
      } else if (options_.spaced && cursor_.take("#")) {
        while (!cursor_.at_end() && cursor_.take() != U'\n') {
        }
      } else if (!(options_.spaced && (cursor_.take(" ") || cursor_.take("\t") || cursor_.take("\n") ||
                                       cursor_.take("\r") || cursor_.take("\f")))) {
        return;
      }
    }
  }

  void skip_comment() {
    for (char32_t c = cursor_.take(); c != U')'; c = cursor_.take()) {
      if (c == U'\\') cursor_.take();
    }
  }

  Piece atom() {
    if (cursor_.take("(")) return group();
    if (cursor_.take("[")) return piece_of(take_class(cursor_, options_.ignore_case));
    if (cursor_.take("\\")) return escape();
    if (cursor_.take(".")) return options_.dot_is_all ? dot_of("(?s:.)", Front::kAnything) : dot_of(".", Front::kDot);
    if (cursor_.take("^")) return place_of("(?m:^)", Front::kHarmless);
    if (cursor_.take("$")) return place_of("(?m:$)", Front::kPlace);
    if (take_repeat(cursor_)) cursor_.refuse("a repeat of nothing");
    return literal(cursor_.take());
  }

  Piece literal(char32_t character) {
    Piece piece = piece_of(escaped(character));
    if (!options_.ignore_case) return piece;
    if (has_long_case(character, character))
      cursor_.refuse("a character that equals several ones, or is a part of such, under (?i); write both cases out");
    piece.first = piece.last = character >= U'A' && character <= U'Z' ? character | 0x20 : character;
    return piece;
  }

  // Behind a backslash.
  Piece escape() {
    struct Place {
      std::string_view letter;
      Front front;
    };
    static constexpr Place kPlaces[] = {{"A", Front::kHarmless},
                                        {"G", Front::kHarmless},
                                        {"K", Front::kHarmless},
                                        {"Z", Front::kPlace},
                                        {"z", Front::kPlace}};
    if (const auto set = take_named_set(cursor_, false)) return piece_of(matcher_of(*set));
    for (const auto& [letter, front] : kPlaces) {
      if (cursor_.take(letter)) return place_of("\\" + std::string(letter), front);
    }
    if (cursor_.take("b")) return place_of(word_boundary(false), Front::kPlace);
    if (cursor_.take("B")) return place_of(word_boundary(true), Front::kPlace);
    if (cursor_.take("N")) return dot_of("[^\\n]", Front::kDot);
    if (cursor_.take("O")) return dot_of("(?s:.)", Front::kAnything);
    if (cursor_.take("R")) return piece_of(R"((?>\r\n|[\n-\r\x{85}\x{2028}\x{2029}]))");
    for (const char* letter : {"X", "y", "Y", "g"}) {
      if (cursor_.sees(letter)) cursor_.refuse("\\" + std::string(letter) + " is not supported");
    }
    if (cursor_.take("k")) return named_reference();
    if (!cursor_.sees("0")) {
      if (const auto number = cursor_.take_number()) return reference(*number);
    }
    const auto numbered = cursor_.take_numbered_character();
    return literal(numbered ? *numbered : cursor_.take());
  }

  Piece named_reference() {
    const bool angles = cursor_.take("<");
    if (!angles && !cursor_.take("'")) return literal(U'k');
    const std::size_t place = cursor_.place();
    if (const auto number = cursor_.take_number(); number && cursor_.take(angles ? ">" : "'"))
      return reference(*number);
    cursor_.return_to(place);
    const std::string name(cursor_.take_until(angles ? ">" : "'"));
    const auto known = names_.find(name);
    if (known == names_.end() || known->second == 0)
      cursor_.refuse("a reference to '" + name + "', which is no group before it, more than one, or has a level");
    return reference_to(known->second);
  }

  Piece reference(unsigned number) {
    numbered_reference_ = true;
    return reference_to(number);
  }

  Piece reference_to(unsigned number) {
    if (options_.ignore_case) cursor_.refuse("a reference to a group under (?i) is not supported");
    if (number == 0 || number > closed_.size() || !closed_[number - 1])
      cursor_.refuse("a reference to group " + std::to_string(number) + ", which is not closed before it");
    Piece piece = piece_of("\\g{" + std::to_string(number) + "}");
    piece.may_be_empty = piece.has_place = true;
    return piece;
  }

  // Behind the opening parenthesis.
  Piece group() {
    if (cursor_.sees("*")) cursor_.refuse("a callout (*...) is not supported");
    if (!cursor_.take("?")) return capture();
    if (cursor_.take(":")) {
      Piece inner = alternatives();
      inner.text = "(?:" + inner.text + ")";
      inner.group = true;
      close();
      return inner;
    }
    if (cursor_.take(">")) return enclosed("(?>");
    if (cursor_.take("=")) return look("(?=", Front::kPlace);
    if (cursor_.take("!")) return look("(?!", Front::kNegative);
    if (cursor_.take("<=")) return look("(?<=", Front::kHarmless);
    if (cursor_.take("<!")) return look("(?<!", Front::kHarmless);
    if (cursor_.take("<")) return named_capture(">");
    if (cursor_.take("'")) return named_capture("'");
    if (cursor_.sees("~")) cursor_.refuse("an absent function (?~...) is not supported");
    if (cursor_.sees("(")) cursor_.refuse("a condition (?(...)...) is not supported");
    if (cursor_.sees("{")) cursor_.refuse("a callout (?{...}) is not supported");
    if (cursor_.sees(")")) cursor_.refuse("(?) without an option");
    return with_options();
  }

  void close() {
    if (!cursor_.take(")")) cursor_.refuse("an opening parenthesis without its closing one");
  }

  Piece enclosed(const std::string& opening) {
    Piece piece = alternatives();
    piece.text = opening + piece.text + ")";
    piece.first = piece.last = 0;
    close();
    return piece;
  }

  Piece look(const std::string& opening, Front front) {
    const bool behind = opening.starts_with("(?<");
    look_behinds_ += behind ? 1 : 0;
    const Piece inner = alternatives();
    look_behinds_ -= behind ? 1 : 0;
    if (behind && look_behinds_ > 0 && inner.may_be_empty)
      cursor_.refuse("a look-behind of what may be empty in another look-behind");
    close();
    return place_of(opening + inner.text + ")", front);
  }

  Piece named_capture(std::string_view end) {
    const std::string name(cursor_.take_until(end));
    if (name.empty()) cursor_.refuse("a group with an empty name");
    const auto [known, is_new] = names_.emplace(name, static_cast<unsigned>(closed_.size() + 1));
    if (!is_new) known->second = 0;
    return capture();
  }

  Piece capture() {
    const std::size_t number = closed_.size();
    closed_.push_back(false);
    Piece piece = enclosed("(");
    closed_[number] = true;
    return piece;
  }

  // (?imx-imx:...), or (?imx-imx), which reaches to the end of the group that it stands in, over its alternatives.
  Piece with_options() {
    const Options before = options_;
    Options inner = options_;
    bool on = true;
    for (char32_t c = cursor_.take();; c = cursor_.take()) {
      if (c == U':' || c == U')') {
        options_ = inner;
        const std::string opening = inner.ignore_case == before.ignore_case ? "(?:" : on_or_off(inner.ignore_case);
        Piece piece = alternatives();
        piece.text = opening + piece.text + ")";
        piece.first = piece.last = 0;
        options_ = before;
        if (c == U':') close();
        return piece;
      }
      set_option(inner, c, on);
    }
  }

  static std::string on_or_off(bool ignore_case) { return ignore_case ? "(?i:" : "(?-i:"; }

  void set_option(Options& options, char32_t letter, bool& on) const {
    switch (letter) {
      case U'-': on = false; return;
      case U'i': options.ignore_case = on; return;
      case U'm': options.dot_is_all = on; return;
      case U'x': options.spaced = on; return;
      default: break;
    }
    cursor_.refuse("(?" + escaped(letter) + " is not supported; known options are i, m and x");
  }

  void take_repeats(Piece& piece) {
    int count = 0;
    skip_ignored();
    for (auto repeat = take_repeat(cursor_); repeat; skip_ignored(), repeat = take_repeat(cursor_)) {
      if (!piece.repeats) cursor_.refuse("a repeat of a place in the text");
      if (++count > kMostRepeats) cursor_.refuse("more than 100 repeats of one another");
      if (count > 1) piece.text = "(?:" + piece.text + ")";
      piece.text = repeat->of(piece.text);
      const bool once = repeat->least == 1 && repeat->most == 1;
      if (once && piece.group && count == 1) refuse_another_repeat();
      if (!once) repeat_ends(piece, *repeat);
    }
  }

  void repeat_ends(Piece& piece, const Repeat& repeat) const {
    // After an empty turn Oniguruma leaves the loop, though a further one need not be empty.
    if (piece.may_be_empty && piece.has_place && repeat.most.value_or(repeat.least) > 1)
      cursor_.refuse("a counted repeat of what is empty at some places only");
    if (piece.group && repeat.least == repeat.most) check_joint(piece.last, piece.first);
    if (repeat.least != repeat.most) piece.first = piece.last = 0;
    if (repeat.least == 0) piece.may_be_empty = true;
    if (piece.front == Front::kDot || piece.front == Front::kAnything) {
      const Front star = piece.front == Front::kDot ? Front::kDotStar : Front::kAnythingStar;
      piece.front = !repeat.most && repeat.manner == Manner::kGreedy ? star : Front::kText;
    } else if (repeat.least == 0 && is_condition(piece.front)) {
      piece.front = Front::kHarmless;
    }
  }

  // There Oniguruma would repeat the last character of the group alone.
  void refuse_another_repeat() {
    const std::size_t place = cursor_.place();
    skip_ignored();
    if (take_repeat(cursor_)) cursor_.refuse("a repeat of (?:...){1}; leave {1} out");
    cursor_.return_to(place);
  }

  OnigurumaCursor cursor_;
  Options options_;
  int nested_ = 0;
  int look_behinds_ = 0;
  std::vector<bool> closed_;                            // by the group's number, from 1
  std::map<std::string, unsigned, std::less<>> names_;  // 0: more than one group has it
  bool numbered_reference_ = false;
};

}  // namespace

std::string pcre2_of(std::string_view oniguruma) { return Translation(oniguruma).run(); }

}  // namespace finetune
