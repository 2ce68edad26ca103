// A JSON array read element by element, so that one broken element costs one element: a closing bracket or a quote that
// is missing is noticed at the first token that cannot follow, and reading goes on at the next record that begins a
// line (no deeper than the broken one) or follows a comma (with the same first name). Linear in time; the memory is one
// element's nesting. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace connectors {

struct JsonElement {
  std::string_view text;
  std::int64_t line = 1;  // where it begins
  std::string error;      // what was expected and where; then there is no text
};

class JsonArrayReader {
 public:
  /// `body` must outlive the reader and the elements.
  explicit JsonArrayReader(std::string_view body) : body_(body) {}
  /// False at the end. Brackets, strings and commas of an element without an error are right; the rest is for a parser.
  bool next(JsonElement& element);

 private:
  struct Broken;
  bool open(JsonElement& element);
  bool behind_the_array(JsonElement& element);
  std::string_view first_name(std::size_t at) const;
  void go_on(std::size_t begin, const Broken& broken);
  std::size_t next_record(std::size_t begin, const Broken& broken, bool count_brackets) const;
  void move_to(std::size_t at);

  std::string_view body_;
  std::size_t at_ = 0;
  std::size_t line_begin_ = 0;  // of the line of at_
  std::int64_t line_ = 1;
  bool opened_ = false, ended_ = false;
  std::string_view name_;  // first of the last whole record
  int second_looks_ = 0;
  bool lost_in_brackets_ = false;  // brackets were followed in vain; again it would cost the square of the text
};

}  // namespace connectors
