#include "finetune/text/oniguruma_repeat.h"

namespace finetune {
namespace {

constexpr unsigned kLargestRepeat = 65535;

Repeat interval(OnigurumaCursor& cursor, unsigned least, std::optional<unsigned> most, bool comma) {
  const bool possessive = most && *most < least;
  Repeat repeat{possessive ? *most : least, possessive ? least : most, Manner::kGreedy, ""};
  repeat.text = "{" + std::to_string(repeat.least);
  if (comma) repeat.text += "," + (repeat.most ? std::to_string(*repeat.most) : "");
  repeat.text += "}";
  if (possessive) repeat.manner = Manner::kPossessive;
  // {n}? is no reluctant repeat but one that may be missing, and a plus behind an interval is another repeat.
  if (comma && !possessive && cursor.take("?")) repeat.manner = Manner::kReluctant;
  return repeat;
}

std::optional<Repeat> take_interval(OnigurumaCursor& cursor) {
  const std::size_t place = cursor.place();
  if (!cursor.take("{")) return std::nullopt;
  const auto least = cursor.take_number();
  const bool comma = cursor.take(",");
  const auto most = comma ? cursor.take_number() : least;
  if ((!least && !most) || !cursor.take("}")) {
    cursor.return_to(place);
    return std::nullopt;
  }
  if (least.value_or(0) > kLargestRepeat || most.value_or(0) > kLargestRepeat) cursor.refuse("a repeat over 65535");
  return interval(cursor, least.value_or(0), most, comma);
}

}  // namespace

std::string Repeat::of(const std::string& piece) const {
  if (manner == Manner::kGreedy) return piece + text;
  if (manner == Manner::kReluctant) return piece + text + "?";
  // Of a group it is written as what it stands for: see pattern.cpp on atomic groups.
  const bool one_character = piece.front() != '(' && !piece.starts_with("\\g");
  return one_character ? piece + text + "+" : "(?>" + piece + text + ")";
}

std::optional<Repeat> take_repeat(OnigurumaCursor& cursor) {
  Repeat repeat;
  if (cursor.take("*")) {
    repeat.text = "*";
  } else if (cursor.take("+")) {
    repeat.least = 1;
    repeat.text = "+";
  } else if (cursor.take("?")) {
    repeat.most = 1;
    repeat.text = "?";
  } else {
    return take_interval(cursor);
  }
  if (cursor.take("?")) {
    repeat.manner = Manner::kReluctant;
  } else if (cursor.take("+")) {
    repeat.manner = Manner::kPossessive;
  }
  return repeat;
}

}  // namespace finetune
