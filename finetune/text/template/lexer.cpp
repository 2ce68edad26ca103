#include "finetune/text/template/lexer.h"

#include <algorithm>
#include <array>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/literals.h"

namespace finetune::jinja {
namespace {

using platform::ErrorCode;

std::string normal_lines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normal_lines(source)) {}

  std::vector<Token> tokens() {
    while (at_ < source_.size()) read_data();
    add(Token::Kind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw TemplateError(ErrorCode::kInvalidInput, line_, reason);
  }

  bool looking_at(std::string_view text) const { return source_.compare(at_, text.size(), text) == 0; }

  void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void advance_to(std::size_t end) {
    const auto begin = source_.begin();
    line_ += static_cast<int>(
        std::count(begin + static_cast<std::ptrdiff_t>(at_), begin + static_cast<std::ptrdiff_t>(end), '\n'));
    at_ = end;
  }

  std::size_t after_space(std::size_t at) const {
    const std::string_view rest = std::string_view(source_).substr(at);
    return source_.size() - stripped(rest, true, false).size();
  }

  // The sign behind a tag's opening: '-', '+' or 0.
  char sign_at(std::size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
  }

  std::size_t next_tag() const {
    for (std::size_t at = source_.find('{', at_); at != std::string::npos; at = source_.find('{', at + 1)) {
      if (at + 1 < source_.size() && std::string_view("{%#").find(source_[at + 1]) != std::string_view::npos) return at;
    }
    return std::string::npos;
  }

  // Text up to a tag whose opening has `sign`, without the white space that the tag takes.
  std::string data_before(std::size_t end, char sign, bool may_strip) const {
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    if (sign == '-') return std::string(stripped(text, false, true));
    if (sign == '+' || !may_strip) return std::string(text);
    const std::size_t line_begin = text.rfind('\n') + 1;
    if (line_begin == 0 && !begins_line_) return std::string(text);
    if (stripped(text.substr(line_begin), true, true).empty()) text = text.substr(0, line_begin);
    return std::string(text);
  }

  void read_data() {
    const std::size_t tag = next_tag();
    if (tag == std::string::npos) {
      add(Token::Kind::kData, source_.substr(at_));
      return advance_to(source_.size());
    }
    const char sign = sign_at(tag + 2);
    const char kind = source_[tag + 1];
    std::string data = data_before(tag, sign, kind != '{');
    if (!data.empty()) add(Token::Kind::kData, std::move(data));
    advance_to(tag);
    const std::size_t inside = tag + 2 + (sign != '\0');
    if (kind == '#') return skip_comment(inside);
    if (kind == '%' && read_raw(inside)) return;
    add(kind == '{' ? Token::Kind::kPrintBegin : Token::Kind::kBlockBegin, {});
    advance_to(inside);
    read_tag(kind == '{');
  }

  // Moves behind a closing tag that begins at `close` (its sign included) and behind the white space that it takes.
  void close_tag(std::size_t close, bool trims) {
    const char sign = sign_at(close);
    std::size_t end = close + 2 + (sign != '\0');
    if (sign == '-') {
      end = after_space(end);
    } else if (sign == '\0' && trims && end < source_.size() && source_[end] == '\n') {
      ++end;
    }
    begins_line_ = source_[end - 1] == '\n';
    advance_to(end);
  }

  void skip_comment(std::size_t inside) {
    std::size_t close = source_.find("#}", inside);
    if (close == std::string::npos) fail("Missing end of comment tag");
    if (close > inside && sign_at(close - 1) != '\0') --close;
    close_tag(close, true);
  }

  // The end of `word` where a tag holds nothing else, at its closing sign; npos otherwise.
  std::size_t close_of_word(std::size_t inside, std::string_view word) const {
    const std::size_t begin = after_space(inside);
    if (source_.compare(begin, word.size(), word) != 0) return std::string::npos;
    const std::size_t close = after_space(begin + word.size());
    const std::size_t mark = close + (sign_at(close) != '\0');
    return source_.compare(mark, 2, "%}") == 0 ? close : std::string::npos;
  }

  bool read_raw(std::size_t inside) {
    const std::size_t close = close_of_word(inside, "raw");
    if (close == std::string::npos || sign_at(close) == '+') return false;
    close_tag(close, false);
    for (std::size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 2)) {
      const char sign = sign_at(tag + 2);
      const std::size_t end = close_of_word(tag + 2 + (sign != '\0'), "endraw");
      if (end == std::string::npos) continue;
      std::string data = data_before(tag, sign, true);
      if (!data.empty()) add(Token::Kind::kData, std::move(data));
      close_tag(end, true);
      return true;
    }
    fail("Missing end of raw directive");
  }

  bool closes(bool print) const {
    const std::size_t mark = at_ + (sign_at(at_) != '\0' && (source_[at_] == '-' || !print));
    return source_.compare(mark, 2, print ? "}}" : "%}") == 0;
  }

  void read_tag(bool print) {
    open_.clear();
    while (true) {
      advance_to(after_space(at_));
      if (at_ >= source_.size()) return;  // the parser says what is missing
      if (open_.empty() && closes(print)) {
        add(print ? Token::Kind::kPrintEnd : Token::Kind::kBlockEnd, {});
        return close_tag(at_, !print);
      }
      read_token();
    }
  }

  void read_token() {
    const char c = source_[at_];
    if (c >= '0' && c <= '9') return read_number_token();
    if (c == '\'' || c == '"') return read_text();
    if (!read_name()) read_sign();
  }

  void read_number_token() {
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    const NumberLiteral literal = read_number(source_, at_, after_dot, line_);
    add(literal.integer ? Token::Kind::kInteger : Token::Kind::kFloat, source_.substr(at_, literal.length));
    tokens_.back().integer = literal.integer.value_or(0);
    tokens_.back().number = literal.number;
    advance_to(at_ + literal.length);
  }

  void read_text() {
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != source_[at_]) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail("unexpected char \"" + source_.substr(at_, 1) + "\": the text has no end");
    add(Token::Kind::kText, unescaped(std::string_view(source_).substr(at_ + 1, end - at_ - 1), line_));
    advance_to(end + 1);
  }

  bool read_name() {
    std::size_t end = at_;
    while (end < source_.size()) {
      std::size_t next = end;
      if (!is_word_character(next_code_point(source_, next))) break;
      end = next;
    }
    if (end == at_) return false;
    add(Token::Kind::kName, source_.substr(at_, end - at_));
    advance_to(end);
    return true;
  }

  void read_sign() {
    static constexpr std::array<std::string_view, 27> kSigns{"**", "//", "==", "!=", ">=", "<=", "+", "-", "/",
                                                             "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                             ">",  "<",  "=",  ".",  ":",  "|",  ",", ";", "!"};
    const auto found =
        std::find_if(kSigns.begin(), kSigns.end(), [&](std::string_view sign) { return looking_at(sign); });
    if (found == kSigns.end() || *found == "!") fail("unexpected char '" + source_.substr(at_, 1) + "'");
    balance((*found)[0]);
    add(Token::Kind::kSign, std::string(*found));
    advance_to(at_ + found->size());
  }

  void balance(char sign) {
    static constexpr std::string_view kOpening = "([{";
    static constexpr std::string_view kClosing = ")]}";
    if (const std::size_t kind = kOpening.find(sign); kind != std::string_view::npos) {
      open_ += kClosing[kind];
    } else if (kClosing.find(sign) != std::string_view::npos) {
      if (open_.empty()) fail(std::string("unexpected '") + sign + "'");
      if (open_.back() != sign) fail(std::string("unexpected '") + sign + "', expected '" + open_.back() + "'");
      open_.pop_back();
    }
  }

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool begins_line_ = true;  // the last tag ended with a line feed, or none has been
  std::string open_;         // the closing brackets that are awaited
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).tokens(); }

}  // namespace finetune::jinja
