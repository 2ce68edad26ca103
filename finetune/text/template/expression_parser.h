// Expressions by recursive descent. The ladder of precedence is the template language's own: `~` binds tighter than
// `+`, unary minus tighter than `**`, which is left associative, and a filter tighter than every binary operator.
// Belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "finetune/text/template/expressions.h"
#include "finetune/text/template/token_stream.h"

namespace finetune::jinja {

class ExpressionParser {
 public:
  ExpressionParser(TokenStream& tokens, const TemplateLimits& limits) : tokens_(tokens), limits_(limits) {}

  ExpressionPointer parse_expression();
  /// Without an inline if: behind `in`, `if` and `elif`.
  ExpressionPointer parse_or();
  /// One expression, or several with commas as a tuple. `with_conditional`: each may be an inline if.
  ExpressionPointer parse_tuple(bool with_conditional);
  /// A name, a namespace's attribute, or several of them.
  Target parse_target();
  CallArguments parse_call_arguments();
  ExpressionPointer parse_unary(bool with_filters);
  /// `upper | replace('a', 'b')`: filters without a value.
  std::vector<std::unique_ptr<const FilterExpression>> parse_filters();

  /// Names in the order of their use, for what a macro asks for (varargs, kwargs, caller).
  std::vector<std::string>& used_names() { return used_names_; }
  /// Counts a level of the syntax while it lives.
  class Level {
   public:
    explicit Level(ExpressionParser& parser) : parser_(parser) { parser_.enter(); }
    ~Level() { --parser_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    ExpressionParser& parser_;
  };

 private:
  void enter();
  // Places a new expression over its parts; the height is limited.
  ExpressionPointer placed(std::unique_ptr<Expression> expression, int line, int parts_height);
  ExpressionPointer parse_and();
  ExpressionPointer parse_not();
  ExpressionPointer parse_comparison();
  ExpressionPointer parse_sum();
  ExpressionPointer parse_concatenation();
  ExpressionPointer parse_product();
  ExpressionPointer parse_power();
  ExpressionPointer parse_operand();
  using Parse = ExpressionPointer (ExpressionParser::*)();
  ExpressionPointer parse_binary(std::initializer_list<std::string_view> signs, Parse operand);
  ExpressionPointer parse_logical(std::string_view word, Parse operand);
  ExpressionPointer parse_primary();
  ExpressionPointer parse_name();
  ExpressionPointer parse_text();
  ExpressionPointer parse_number();
  ExpressionPointer parse_parentheses();
  ExpressionPointer parse_list();
  ExpressionPointer parse_dictionary();
  ExpressionPointer parse_postfix(ExpressionPointer value);
  ExpressionPointer parse_filters_of(ExpressionPointer value);
  ExpressionPointer parse_attribute(ExpressionPointer value);
  ExpressionPointer parse_brackets(ExpressionPointer value);
  ExpressionPointer parse_slice(ExpressionPointer value, ExpressionPointer start, int line);
  ExpressionPointer parse_call(ExpressionPointer value);
  ExpressionPointer parse_filter(ExpressionPointer value);
  ExpressionPointer parse_test(ExpressionPointer value);
  std::string parse_dotted_name();
  Target parse_single_target();
  bool ends_tuple() const;

  TokenStream& tokens_;
  const TemplateLimits& limits_;
  int level_ = 0;
  std::vector<std::string> used_names_;
};

}  // namespace finetune::jinja
