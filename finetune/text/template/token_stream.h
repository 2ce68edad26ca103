// The tokens of one template as the parser walks over them. Belongs to one thread.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/template/lexer.h"

namespace finetune::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& following() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  int line() const { return current().line; }
  Token take() {
    const Token token = current();
    if (token.kind != Token::Kind::kEnd) ++at_;
    return token;
  }

  bool is(Token::Kind kind) const { return current().kind == kind; }
  bool is_sign(std::string_view sign) const { return is(Token::Kind::kSign) && current().text == sign; }
  bool is_name(std::string_view name) const { return is(Token::Kind::kName) && current().text == name; }
  bool is_any_name(std::initializer_list<std::string_view> names) const {
    for (const std::string_view name : names) {
      if (is_name(name)) return true;
    }
    return false;
  }
  bool skip_sign(std::string_view sign) { return is_sign(sign) && skip(); }
  bool skip_name(std::string_view name) { return is_name(name) && skip(); }

  void expect_sign(std::string_view sign) {
    if (!skip_sign(sign)) fail_expected("'" + std::string(sign) + "'");
  }
  std::string expect_name() {
    if (!is(Token::Kind::kName)) fail_expected("a name");
    return take().text;
  }
  void expect(Token::Kind kind) {
    if (!is(kind)) fail_expected(describe({kind, {}, 0}));
    take();
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw TemplateError(platform::ErrorCode::kInvalidInput, line(), reason);
  }
  [[noreturn]] void fail_expected(const std::string& wanted) const {
    if (is(Token::Kind::kEnd)) fail("unexpected end of template, expected " + wanted);
    fail("expected " + wanted + ", got " + describe(current()));
  }

  static std::string describe(const Token& token) {
    switch (token.kind) {
      case Token::Kind::kData: return "text";
      case Token::Kind::kPrintBegin: return "'{{'";
      case Token::Kind::kPrintEnd: return "'}}'";
      case Token::Kind::kBlockBegin: return "'{%'";
      case Token::Kind::kBlockEnd: return "'%}'";
      case Token::Kind::kEnd: return "end of template";
      default: return "'" + token.text + "'";
    }
  }

 private:
  bool skip() {
    take();
    return true;
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

}  // namespace finetune::jinja
