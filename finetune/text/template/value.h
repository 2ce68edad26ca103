// The values that a template computes with, as Python has them: undefined, none, booleans, integers (128 bits), floats,
// texts (well-formed UTF-8, counted in code points), sequences, dictionaries and objects (functions, namespaces,
// loops). Values are shared and never change, except for objects and for how far a generator has been read. Texts and
// containers made while rendering are counted against the render's budget.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "finetune/text/byte_span.h"
#include "finetune/text/template/budget.h"

namespace finetune::jinja {

__extension__ using Integer = __int128;

struct Text;
struct Sequence;
struct Dictionary;
class Object;

using TextPointer = std::shared_ptr<const Text>;
using SequencePointer = std::shared_ptr<Sequence>;
using DictionaryPointer = std::shared_ptr<const Dictionary>;
using ObjectPointer = std::shared_ptr<Object>;

struct Undefined {
  TextPointer reason;  // what an error says where it is used; may be null
};
struct None {};

/// A default-made value is undefined.
struct Value {
  std::variant<Undefined, None, bool, Integer, double, TextPointer, SequencePointer, DictionaryPointer, ObjectPointer>
      data;

  bool is_undefined() const { return std::holds_alternative<Undefined>(data); }
  bool is_none() const { return std::holds_alternative<None>(data); }
  /// nullptr or nullopt where the value is of another type. A boolean is an integer too.
  const std::string* text() const;
  Sequence* sequence() const;
  const Dictionary* dictionary() const;
  Object* object() const;
  std::optional<Integer> integer() const;
  std::optional<double> number() const;
};

struct Text {
  std::string bytes;
  Reservation held;
  std::vector<ByteSpan> generated;  // what came from generation blocks, in order of their ends
};

struct Sequence {
  enum class Kind { kList, kTuple, kRange, kGenerator, kView };
  Kind kind = Kind::kList;
  std::vector<Value> items;
  std::string label;         // how a range, generator or view calls itself
  int nesting = 1;           // levels of containers in it, itself included
  std::size_t consumed = 0;  // items that a generator has given
  Reservation held;

  /// True if it has a length and can be indexed.
  bool indexable() const { return kind == Kind::kList || kind == Kind::kTuple || kind == Kind::kRange; }
};

/// In order of insertion, keys differ.
struct Dictionary {
  std::vector<std::pair<Value, Value>> entries;
  int nesting = 1;
  Reservation held;
};

inline Value none() { return Value{None{}}; }
inline Value boolean(bool value) { return Value{value}; }
inline Value integer(Integer value) { return Value{value}; }
inline Value real(double value) { return Value{value}; }
/// A text of the template itself, outside any render's budget.
Value literal_text(std::string bytes);
Value empty_tuple();
Value make_text(Budget& budget, std::string bytes);
Value make_sequence(Budget& budget, std::vector<Value> items, Sequence::Kind kind = Sequence::Kind::kList,
                    std::string label = {});
/// A later entry replaces the value of an earlier one with an equal key. Keys must be hashable.
Value make_dictionary(Budget& budget, std::vector<std::pair<Value, Value>> entries);
/// The same without a look for equal keys; for entries that are known to differ.
Value make_distinct_dictionary(Budget& budget, std::vector<std::pair<Value, Value>> entries);
Value make_undefined(Budget& budget, std::string reason);

/// Levels of values in it, 0 for one without.
int nesting_of(const Value& value);

/// Appends under the budget's limits; the one way to build a text of unknown length.
class TextBuilder {
 public:
  explicit TextBuilder(Budget& budget) : TextBuilder(budget, budget.limits().text_bytes, "text") {}
  TextBuilder(Budget& budget, std::size_t limit, const char* what)
      : budget_(budget), limit_(limit), what_(what), held_(budget, 0) {}

  void append(std::string_view bytes);
  void append(std::string_view bytes, std::size_t times);
  /// With its spans, so that the output of a macro keeps what is generated in it.
  void append(const Text& text);
  /// Everything from `begin` to here was generated.
  void mark_generated(std::size_t begin);
  const std::string& bytes() const { return bytes_; }
  const std::vector<ByteSpan>& generated() const { return generated_; }
  Value finish();

 private:
  Budget& budget_;
  std::size_t limit_;
  const char* what_;
  std::string bytes_;
  std::vector<ByteSpan> generated_;
  Reservation held_;
};

/// Collects items under the budget's limits.
class ListBuilder {
 public:
  explicit ListBuilder(Budget& budget) : budget_(budget), held_(budget, 0) {}

  void push(Value value);
  std::size_t size() const { return items_.size(); }
  std::vector<Value> take();
  Value finish(Sequence::Kind kind = Sequence::Kind::kList, std::string label = {});

 private:
  Budget& budget_;
  std::vector<Value> items_;
  Reservation held_;
};

}  // namespace finetune::jinja
