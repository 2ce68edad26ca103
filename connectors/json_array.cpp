#include "connectors/json_array.h"

#include <algorithm>

namespace connectors {
namespace {

constexpr std::size_t kDeepest = 64;
constexpr std::size_t kLongestName = 256;
constexpr int kSecondLooks =
    8;  // at text that was read before; more would let hostile text cost the square of its size

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::size_t past_blanks(std::string_view text, std::size_t at) {
  return std::min(text.find_first_not_of(" \t\r\n", at), text.size());
}

// Behind the object or array that begins at `at`, however deep it is; npos if its brackets do not match.
std::size_t past_brackets(std::string_view text, std::size_t at) {
  std::string open;
  for (bool quoted = false; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c == '\n') return std::string_view::npos;
      if (c == '\\') ++at;
      quoted = c != '"';
    } else if (c == '{' || c == '[') {
      open += c;
    } else if (c == '}' || c == ']') {
      if (open.empty() || open.back() != (c == '}' ? '{' : '[')) return std::string_view::npos;
      open.pop_back();
      if (open.empty()) return at + 1;
    } else {
      quoted = c == '"';
    }
  }
  return std::string_view::npos;
}

// Reads one value by its tokens.
class ElementScanner {
 public:
  ElementScanner(std::string_view text, std::size_t begin) : text_(text), at_(begin), begin_(begin) {}

  // True if the value is whole and ends before at().
  bool run() {
    do {
      at_ = past_blanks(text_, at_);
      if (at_ >= text_.size()) return fail("its end");
      after_string_ = last_is_string_;
      last_is_string_ = false;
      if (!token()) return false;
    } while (!open_.empty());
    const std::size_t behind = past_blanks(text_, at_);
    // "n": 4} lacks its opening bracket: the name alone would read as a value.
    if (behind < text_.size() && text_[behind] == ':') {
      at_ = behind;
      return fail("',' or ']'");
    }
    return true;
  }

  std::size_t at() const { return at_; }
  const std::string& wanted() const { return wanted_; }
  std::size_t depth() const { return open_.size(); }
  // From where a next record may begin: a string before the wrong token may have swallowed its beginning.
  std::size_t doubtful_from() const { return std::max(after_string_ ? string_ : at_, begin_ + 1); }

 private:
  enum class Want { kValue, kValueOrEnd, kName, kNameOrEnd, kColon, kCommaOrEnd };

  bool fail(std::string wanted) {
    wanted_ = std::move(wanted);
    return false;
  }

  bool token() {
    const char c = text_[at_];
    switch (want_) {
      case Want::kColon:
        if (c != ':') return fail("':'");
        want_ = Want::kValue;
        ++at_;
        return true;
      case Want::kCommaOrEnd:
        if (c != ',') return close(c) || fail(open_.back() == '{' ? "',' or '}'" : "',' or ']'");
        want_ = open_.back() == '{' ? Want::kName : Want::kValue;
        ++at_;
        return true;
      case Want::kName:
      case Want::kNameOrEnd:
        if (want_ == Want::kNameOrEnd && close(c)) return true;
        if (c != '"') return fail("a name in quotes");
        want_ = Want::kColon;
        return string();
      case Want::kValueOrEnd:
        if (close(c)) return true;
        [[fallthrough]];
      case Want::kValue: return value(c);
    }
    return false;
  }

  bool close(char c) {
    if (c != (open_.back() == '{' ? '}' : ']')) return false;
    open_.pop_back();
    want_ = Want::kCommaOrEnd;
    ++at_;
    return true;
  }

  bool value(char c) {
    if (c == '{' || c == '[') {
      if (open_.size() >= kDeepest) return fail("nesting of at most 64 levels");
      open_ += c;
      want_ = c == '{' ? Want::kNameOrEnd : Want::kValueOrEnd;
      ++at_;
      return true;
    }
    want_ = Want::kCommaOrEnd;
    if (c == '"') return string();
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n,:{}[]\"", at_), text_.size());
    if (end == at_) return fail("a value");
    at_ = end;
    return true;
  }

  bool string() {
    string_ = at_;
    for (++at_; at_ < text_.size() && text_[at_] != '\n'; ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '"') {
        ++at_;
        last_is_string_ = true;
        return true;
      }
    }
    at_ = std::min(at_, text_.size());
    after_string_ = true;
    return fail("a closing quote");
  }

  std::string_view text_;
  std::size_t at_, begin_;
  Want want_ = Want::kValue;
  std::string open_;             // brackets
  std::size_t string_ = 0;       // where the last string begins
  bool last_is_string_ = false;  // the last token is one
  bool after_string_ = false;    // the token at hand follows one
  std::string wanted_;
};

}  // namespace

struct JsonArrayReader::Broken {
  std::size_t from;   // where the next record may begin
  std::size_t depth;  // open brackets there
  bool at_end;        // the text ended before the element did
};

void JsonArrayReader::move_to(std::size_t at) {
  const std::string_view passed = body_.substr(at_, at - at_);
  line_ += std::count(passed.begin(), passed.end(), '\n');
  if (const std::size_t newline = passed.rfind('\n'); newline != std::string_view::npos)
    line_begin_ = at_ + newline + 1;
  at_ = at;
}

// True if there is something to tell.
bool JsonArrayReader::open(JsonElement& element) {
  opened_ = true;
  move_to(past_blanks(body_, 0));
  if (at_ < body_.size() && body_[at_] == '[') {
    ++at_;
    return false;
  }
  ended_ = true;
  element = {{}, line_, "a JSON array was expected; begin the body with '['"};
  return at_ < body_.size();
}

bool JsonArrayReader::behind_the_array(JsonElement& element) {
  const std::size_t close = at_;
  move_to(past_blanks(body_, close + 1));
  if (at_ >= body_.size()) {
    ended_ = true;
    return false;
  }
  element = {{}, line_, "text follows the array's ']'; check whether the ']' is one too many"};
  go_on(at_, {at_, 1, false});
  return true;
}

bool JsonArrayReader::next(JsonElement& element) {
  if (!opened_ && open(element)) return true;
  if (ended_) return false;
  move_to(std::min(body_.find_first_not_of(" \t\r\n,", at_), body_.size()));
  element = {{}, line_, {}};
  if (at_ >= body_.size()) {
    ended_ = true;
    element.error = "the array is never closed; close it with ']'";
    return true;
  }
  if (body_[at_] == ']') return behind_the_array(element);
  const std::size_t begin = at_;
  ElementScanner scanner(body_, begin);
  if (scanner.run()) {
    element.text = body_.substr(begin, scanner.at() - begin);
    if (const std::string_view name = first_name(begin); !name.empty()) name_ = name;
    move_to(scanner.at());
    return true;
  }
  const std::string_view before = body_.substr(begin, scanner.at() - begin);
  const std::size_t newline = before.rfind('\n');
  const std::size_t column =
      newline == std::string_view::npos ? scanner.at() - line_begin_ : before.size() - newline - 1;
  element.error = "the record is broken: " + scanner.wanted() + " was expected at line " +
                  std::to_string(line_ + std::count(before.begin(), before.end(), '\n')) + ", column " +
                  std::to_string(column + 1);
  if (scanner.depth() >= kDeepest && !lost_in_brackets_) {
    const std::size_t behind = past_brackets(body_, begin);
    lost_in_brackets_ = behind == std::string_view::npos;
    if (!lost_in_brackets_) {
      move_to(behind);
      return true;
    }
  }
  go_on(begin, {scanner.doubtful_from(), scanner.depth(), scanner.at() >= body_.size()});
  if (ended_) element.error += "; no further record was found behind it";
  return true;
}

// {"n": 4} -> n; empty if there is none.
std::string_view JsonArrayReader::first_name(std::size_t at) const {
  if (at >= body_.size() || body_[at] != '{') return {};
  const std::size_t quote = past_blanks(body_, at + 1);
  if (quote >= body_.size() || body_[quote] != '"') return {};
  const std::string_view rest = body_.substr(quote + 1, kLongestName);
  return rest.substr(0, std::min(rest.find('"'), rest.size()));
}

void JsonArrayReader::go_on(std::size_t begin, const Broken& broken) {
  std::size_t found = next_record(begin, broken, true);
  if (found == std::string_view::npos && second_looks_++ < kSecondLooks)
    found = next_record(begin, broken.at_end ? Broken{begin + 1, kDeepest, true} : broken, broken.at_end);
  ended_ = found == std::string_view::npos;
  move_to(ended_ ? body_.size() : found);
}

// `count_brackets`: a record behind a comma counts only where the brackets that were open may have been closed.
std::size_t JsonArrayReader::next_record(std::size_t begin, const Broken& broken, bool count_brackets) const {
  const std::size_t column = begin - line_begin_;
  const std::string_view own = first_name(begin);
  std::int64_t closed = 0;
  std::size_t line_begin = std::string_view::npos;  // while only blanks and commas were passed since then
  bool comma = false;
  for (std::size_t at = broken.from; at < body_.size(); ++at) {
    const char c = body_[at];
    if (c == '{') {
      if (at == broken.from) {  // what stands before decides
        const std::size_t last = body_.find_last_not_of(" \t\r,", at - 1);
        if (last != std::string_view::npos && body_[last] == '\n') line_begin = last + 1;
        comma = last + 1 < at && body_.substr(last + 1, at - last - 1).find(',') != std::string_view::npos;
      }
      if (line_begin != std::string_view::npos && at - line_begin <= column) return at;
      const bool closed_enough = !count_brackets || closed + 1 >= static_cast<std::int64_t>(broken.depth);
      const std::string_view name = first_name(at);
      const bool alike = (own.empty() && name_.empty()) || (!name.empty() && (name == own || name == name_));
      if (comma && closed_enough && alike) return at;
    }
    if (c == '\n') line_begin = at + 1;
    if (c == ',') comma = true;
    if (c == '{' || c == '[') --closed;
    if (c == '}' || c == ']') ++closed;
    if (!is_blank(c) && c != ',') {
      line_begin = std::string_view::npos;
      comma = false;
    }
  }
  return std::string_view::npos;
}

}  // namespace connectors
