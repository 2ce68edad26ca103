#include "finetune/generate/byte_grammar.h"

#include <algorithm>

#include "platform/base/error.h"

namespace finetune {
namespace {

constexpr std::size_t kMostParts = 20'000, kMostBytes = 4u << 20, kMostLiteral = 256u << 10,
                      kLongestShortest = 16u << 10;

constexpr int kDeepest = 256;

[[noreturn]] void refuse(const std::string& what) {
  throw platform::Error(platform::ErrorCode::kInvalidInput, "the form of the answer is too big: " + what, "schema");
}

bool is_shorter(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// A character of UTF-8 on its way, and escapes. The low four bits of a text's place.
enum Step : std::int32_t {
  kBetween,
  kOneMore,
  kTwoMore,
  kThreeMore,
  kAfterE0,
  kAfterED,
  kAfterF0,
  kAfterF4,
  kEscape,
  kHex1,        // \u
  kHex2Below8,  // \ud: surrogates are left out
  kHex2,
  kHex3,
  kHex4,
};

bool is_hex(unsigned char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

// The step behind the first byte of a character beyond ASCII, or -1.
std::int32_t first_of_character(unsigned char byte) {
  if (byte >= 0xc2 && byte <= 0xdf) return kOneMore;
  if (byte == 0xe0) return kAfterE0;
  if (byte == 0xed) return kAfterED;
  if (byte >= 0xe1 && byte <= 0xef) return kTwoMore;
  if (byte == 0xf0) return kAfterF0;
  if (byte >= 0xf1 && byte <= 0xf3) return kThreeMore;
  return byte == 0xf4 ? kAfterF4 : -1;
}

// The step behind a further byte, or -1. kBetween: the character is whole.
std::int32_t further_of_character(std::int32_t step, unsigned char byte) {
  const auto within = [&](unsigned from, unsigned to, std::int32_t then) {
    return byte >= from && byte <= to ? then : -1;
  };
  switch (step) {
    case kOneMore: return within(0x80, 0xbf, kBetween);
    case kTwoMore: return within(0x80, 0xbf, kOneMore);
    case kThreeMore: return within(0x80, 0xbf, kTwoMore);
    case kAfterE0: return within(0xa0, 0xbf, kOneMore);
    case kAfterED: return within(0x80, 0x9f, kOneMore);
    case kAfterF0: return within(0x90, 0xbf, kTwoMore);
    case kAfterF4: return within(0x80, 0x8f, kTwoMore);
    default: return -1;
  }
}

std::string rest_of_character(std::int32_t step) {
  switch (step) {
    case kOneMore: return "\x80";
    case kTwoMore:
    case kAfterED: return "\x80\x80";
    case kThreeMore:
    case kAfterF4: return "\x80\x80\x80";
    case kAfterE0: return "\xa0\x80";
    case kAfterF0: return "\x90\x80\x80";
    default: return {};
  }
}

std::int32_t next_in_escape(std::int32_t step, unsigned char byte) {
  switch (step) {
    case kEscape:
      if (byte == 'u') return kHex1;
      return std::string_view("\"\\/bfnrt").find(static_cast<char>(byte)) != std::string_view::npos ? kBetween : -1;
    case kHex1: return !is_hex(byte) ? -1 : byte == 'd' || byte == 'D' ? kHex2Below8 : kHex2;
    case kHex2Below8: return byte >= '0' && byte <= '7' ? kHex3 : -1;
    case kHex2: return is_hex(byte) ? kHex3 : -1;
    case kHex3: return is_hex(byte) ? kHex4 : -1;
    case kHex4: return is_hex(byte) ? kBetween : -1;
    default: return -1;
  }
}

std::string rest_of_escape(std::int32_t step) {
  switch (step) {
    case kEscape: return "\"";
    case kHex1: return "0000";
    case kHex2:
    case kHex2Below8: return "000";
    case kHex3: return "00";
    case kHex4: return "0";
    default: return {};
  }
}

std::int32_t next_in_text(const ByteGrammar::Part& part, std::int32_t place, unsigned char byte) {
  const std::int32_t step = place & 15, count = place >> 4;
  std::int32_t then = -1;
  if (step == kBetween) {
    if (part.most >= 0 && count >= part.most) return -1;
    if (byte == '\\')
      then = kEscape;
    else if (byte >= 0x20 && byte < 0x80)
      then = byte == '"' ? -1 : kBetween;
    else
      then = first_of_character(byte);
  } else {
    then = step >= kEscape ? next_in_escape(step, byte) : further_of_character(step, byte);
  }
  if (then < 0) return -1;
  const std::int32_t limit = part.most >= 0 ? part.most : part.least;  // beyond it nothing depends on the count
  return (then == kBetween ? std::min(count + 1, limit) : count) << 4 | then;
}

// What a character's first byte leads to; kOut: the character is whole.
constexpr std::int32_t kOut = 15;

std::int32_t next_in_character(const ByteGrammar::Part& part, std::int32_t place, unsigned char byte) {
  const CharacterSet& set = part.set;
  const auto has = [&](unsigned char each) { return each < 128 && set.ascii[each]; };
  if (place == kOut) return -1;
  if (place == kEscape) return (byte == '"' || byte == '\\') && has(byte) ? kOut : -1;
  if (place != kBetween) {
    const std::int32_t then = further_of_character(place, byte);
    return then == kBetween ? kOut : then;
  }
  if (byte == '\\') return has('"') || has('\\') ? kEscape : -1;
  if (byte < 128) return byte != '"' && has(byte) ? kOut : -1;
  return set.others ? first_of_character(byte) : -1;
}

std::string rest_of_set(const CharacterSet& set) {
  for (unsigned byte = 0x20; byte < 0x80; ++byte) {
    if (byte != '"' && byte != '\\' && set.ascii[byte]) return std::string(1, static_cast<char>(byte));
  }
  if (set.ascii['"']) return "\\\"";
  if (set.ascii['\\']) return "\\\\";
  return "\xc2\x80";
}

// The low four bits of a number's place; above them the digits of the part that is being written.
enum NumberStep : std::int32_t {
  kStart,
  kMinus,
  kZero,
  kDigits,
  kPoint,
  kFraction,
  kExponent,
  kExponentSign,
  kExponentDigits
};
constexpr std::int32_t kMostDigits = 15, kMostExponentDigits = 2;

std::int32_t next_in_number(const ByteGrammar::Part& part, std::int32_t place, unsigned char byte) {
  const std::int32_t step = place & 15, digits = place >> 4;
  const bool digit = byte >= '0' && byte <= '9', behind_digits = step == kZero || step == kDigits;
  const auto another = [&](std::int32_t most) { return digits < most ? (digits + 1) << 4 | step : -1; };
  if (step == kStart && byte == '-') return kMinus;
  if (step == kStart || step == kMinus) {
    if (byte == '0') return step == kMinus && part.whole ? -1 : std::int32_t{kZero};
    return digit ? 1 << 4 | kDigits : -1;
  }
  if (digit) {
    switch (step) {
      case kDigits:
      case kFraction: return another(kMostDigits);
      case kExponentDigits: return another(kMostExponentDigits);
      case kPoint: return 1 << 4 | kFraction;
      case kExponent:
      case kExponentSign: return 1 << 4 | kExponentDigits;
      default: return -1;
    }
  }
  if (part.whole) return -1;
  if (byte == '.') return behind_digits ? std::int32_t{kPoint} : -1;
  if (byte == 'e' || byte == 'E') return behind_digits || step == kFraction ? std::int32_t{kExponent} : -1;
  return (byte == '+' || byte == '-') && step == kExponent ? std::int32_t{kExponentSign} : -1;
}

bool number_may_end(std::int32_t place) {
  const std::int32_t step = place & 15;
  return step == kZero || step == kDigits || step == kFraction || step == kExponentDigits;
}

}  // namespace

std::int32_t PlaceInPart::next(const ByteGrammar::Part& part, std::int32_t place, unsigned char byte) {
  if (part.kind == ByteGrammar::Kind::kText) return next_in_text(part, place, byte);
  if (part.kind == ByteGrammar::Kind::kNumber) return next_in_number(part, place, byte);
  return next_in_character(part, place, byte);
}

bool PlaceInPart::may_end(const ByteGrammar::Part& part, std::int32_t place) {
  if (part.kind == ByteGrammar::Kind::kText) return (place & 15) == kBetween && place >> 4 >= part.least;
  return part.kind == ByteGrammar::Kind::kNumber ? number_may_end(place) : place == kOut;
}

std::string PlaceInPart::rest(const ByteGrammar::Part& part, std::int32_t place) {
  const std::int32_t step = place & 15;
  if (part.kind == ByteGrammar::Kind::kNumber) {
    if (number_may_end(place)) return {};
    return step == kMinus && part.whole ? "1" : "0";
  }
  if (part.kind == ByteGrammar::Kind::kCharacter) {
    if (place == kBetween) return rest_of_set(part.set);
    if (place == kEscape) return part.set.ascii['"'] ? "\"" : "\\";
    return place == kOut ? std::string() : rest_of_character(place);
  }
  const std::int32_t written = (place >> 4) + (step == kBetween ? 0 : 1);
  return (step >= kEscape ? rest_of_escape(step) : rest_of_character(step)) +
         std::string(static_cast<std::size_t>(std::max(0, part.least - written)), ' ');
}

ByteGrammar::Node ByteGrammar::add(Part part) {
  if (parts_.size() >= kMostParts) refuse("more than " + std::to_string(kMostParts) + " parts");
  if (part.shortest.size() > kLongestShortest)
    refuse("its shortest text has over " + std::to_string(kLongestShortest) + " bytes");
  for (const std::vector<Node>* inside : {&part.parts, &part.separated}) {
    for (const Node node : *inside) part.depth = std::max(part.depth, this->part(node).depth + 1);
  }
  if (part.depth > kDeepest) refuse("its parts lie more than " + std::to_string(kDeepest) + " deep in each other");
  bytes_ += part.bytes.size() + part.shortest.size();
  if (part.bytes.size() > kMostLiteral || bytes_ > kMostBytes) refuse("it holds more than 4 MiB of text");
  parts_.push_back(std::move(part));
  return static_cast<Node>(parts_.size() - 1);
}

ByteGrammar::Node ByteGrammar::literal(std::string bytes) {
  Part made{.kind = Kind::kLiteral, .bytes = std::move(bytes)};
  made.shortest = made.bytes;
  made.longest_rest = made.bytes.size();
  return add(std::move(made));
}

ByteGrammar::Node ByteGrammar::sequence(std::vector<Node> parts) {
  Part made{.kind = Kind::kSequence, .parts = std::move(parts)};
  for (auto node = made.parts.rbegin(); node != made.parts.rend(); ++node) {
    made.longest_rest = std::max(made.longest_rest, part(*node).longest_rest + made.shortest.size());
    if (made.shortest.size() + shortest(*node).size() > kLongestShortest) refuse("its shortest text has over 16 KiB");
    made.shortest.insert(0, shortest(*node));
  }
  return add(std::move(made));
}

ByteGrammar::Node ByteGrammar::choice(std::vector<Node> parts) {
  Part made{.kind = Kind::kChoice, .parts = std::move(parts)};
  made.shortest = shortest(made.parts.front());
  for (const Node node : made.parts) {
    if (is_shorter(shortest(node), made.shortest)) made.shortest = shortest(node);
    made.longest_rest = std::max(made.longest_rest, part(node).longest_rest);
  }
  return add(std::move(made));
}

ByteGrammar::Node ByteGrammar::repeat(Node item, Node separator, std::int32_t least, std::int32_t most) {
  const Node next = separator < 0 ? item : sequence({separator, item});
  Part made{.kind = Kind::kRepeat, .parts = {item}, .separated = {next}, .least = least, .most = most};
  const std::size_t first = shortest(item).size(), further = shortest(next).size();
  if (static_cast<std::size_t>(least) * std::max<std::size_t>(1, further) > kLongestShortest)
    refuse("its shortest text has over 16 KiB");
  for (std::int32_t i = 0; i < least; ++i) made.shortest += shortest(i == 0 ? item : next);
  made.longest_rest = std::max(part(item).longest_rest, part(next).longest_rest) +
                      (least > 1 ? std::max(first, further) * static_cast<std::size_t>(least - 1) : 0);
  return add(std::move(made));
}

ByteGrammar::Node ByteGrammar::members(std::vector<Node> parts, std::vector<bool> required, Node separator) {
  Part made{.kind = Kind::kMembers, .parts = std::move(parts), .required = std::move(required)};
  std::size_t longest = 0, needed = 0;
  for (std::size_t i = 0; i < made.parts.size(); ++i) {
    made.separated.push_back(sequence({separator, made.parts[i]}));
    longest = std::max(longest, part(made.separated[i]).longest_rest);
    if (!made.required[i]) continue;
    made.shortest += shortest(made.shortest.empty() ? made.parts[i] : made.separated[i]);
    needed += shortest(made.separated[i]).size();
    if (needed > kLongestShortest) refuse("its shortest text has over 16 KiB");
  }
  made.longest_rest = longest + needed;
  return add(std::move(made));
}

ByteGrammar::Node ByteGrammar::text(std::int32_t least, std::int32_t most) {
  if (static_cast<std::size_t>(least) > kLongestShortest) refuse("its shortest text has over 16 KiB");
  Part made{.kind = Kind::kText, .least = least, .most = most};
  made.shortest = std::string(static_cast<std::size_t>(least), ' ');
  made.longest_rest = static_cast<std::size_t>(least) + 5;
  return add(std::move(made));
}

ByteGrammar::Node ByteGrammar::number(bool whole) {
  return add({.kind = Kind::kNumber, .whole = whole, .shortest = "0", .longest_rest = 1});
}

ByteGrammar::Node ByteGrammar::character(CharacterSet set) {
  return add({.kind = Kind::kCharacter, .set = set, .shortest = rest_of_set(set), .longest_rest = 3});
}

}  // namespace finetune
