// ByteGrammar: a set of texts as a directed graph of parts without circles, so that nothing in it is deeper than the
// graph: what a JSON schema, or any other form of an answer, is turned into. Built once, then immutable; any thread.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

/// Characters that a text in JSON may have at one place; no control characters.
struct CharacterSet {
  std::bitset<128> ascii;
  bool others = false;  // every character beyond ASCII
};

class ByteGrammar {
 public:
  using Node = std::int32_t;
  enum class Kind : std::uint8_t { kLiteral, kSequence, kChoice, kRepeat, kMembers, kText, kNumber, kCharacter };
  static constexpr std::int32_t kNoLimit = -1;

  struct Part {
    Kind kind = Kind::kLiteral;
    std::string bytes;             // kLiteral
    std::vector<Node> parts;       // kSequence, kChoice; kMembers: the members; kRepeat: the item
    std::vector<Node> separated;   // kMembers, kRepeat: the same with the separator before
    std::vector<bool> required;    // kMembers
    std::int32_t least = 0;        // kRepeat: items; kText: characters
    std::int32_t most = kNoLimit;  // of the same
    bool whole = false;            // kNumber: without fraction and exponent
    CharacterSet set;              // kCharacter
    /// Of the part's texts the shortest, the bytewise first of equals. The same of a sequence is the joined one of its
    /// parts, so the way to it never changes its goal.
    std::string shortest;
    std::size_t longest_rest = 0;  // bytes that are still needed at the worst place inside the part
    int depth = 1;                 // of the parts inside, this one counted
  };

  /// All throw kInvalidInput where the grammar becomes too big: 20,000 parts, 256 KiB of literals, a shortest text of
  /// over 16 KiB, parts inside each other 256 deep.
  Node literal(std::string bytes);
  Node sequence(std::vector<Node> parts);
  Node choice(std::vector<Node> parts);
  /// `separator` between items; -1: none.
  Node repeat(Node item, Node separator, std::int32_t least, std::int32_t most);
  /// Parts in this order, some of which may be left out.
  Node members(std::vector<Node> parts, std::vector<bool> required, Node separator);
  /// Characters of a JSON string between its quotes, escapes among them. A length counts code points.
  Node text(std::int32_t least, std::int32_t most);
  /// A JSON number: at most 15 digits before the point and behind it, two of an exponent.
  Node number(bool whole);
  /// One character of a JSON string, a quote and a backslash escaped.
  Node character(CharacterSet set);

  void set_root(Node root) { root_ = root; }
  Node root() const { return root_; }
  const Part& part(Node node) const { return parts_[static_cast<std::size_t>(node)]; }

 private:
  Node add(Part part);
  const std::string& shortest(Node node) const { return part(node).shortest; }

  std::vector<Part> parts_;
  std::size_t bytes_ = 0;  // of literals and shortest texts
  Node root_ = 0;
};

/// Where a part that takes bytes stands inside: kText, kNumber and kCharacter. `place` begins at 0.
struct PlaceInPart {
  /// The place behind `byte`, or -1.
  static std::int32_t next(const ByteGrammar::Part& part, std::int32_t place, unsigned char byte);
  static bool may_end(const ByteGrammar::Part& part, std::int32_t place);
  /// The shortest text from here to the part's end, the bytewise first of equals.
  static std::string rest(const ByteGrammar::Part& part, std::int32_t place);
};

}  // namespace finetune
