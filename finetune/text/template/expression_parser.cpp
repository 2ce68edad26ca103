#include "finetune/text/template/expression_parser.h"

#include <algorithm>

namespace finetune::jinja {
namespace {

using platform::ErrorCode;
using Kind = Token::Kind;

int height_of(const ExpressionPointer& expression) { return expression ? expression->height : 0; }

template <class... Parts>
int highest(const Parts&... parts) {
  return std::max({height_of(parts)...});
}

}  // namespace

void ExpressionParser::enter() {
  if (++level_ <= limits_.nesting) return;
  --level_;
  throw TemplateError(ErrorCode::kTooLarge, tokens_.line(),
                      "the template is nested deeper than the limit of " + std::to_string(limits_.nesting) + " levels");
}

ExpressionPointer ExpressionParser::placed(std::unique_ptr<Expression> expression, int line, int parts_height) {
  expression->line = line;
  expression->height = parts_height + 1;
  if (expression->height > limits_.nesting) {
    throw TemplateError(ErrorCode::kTooLarge, line,
                        "an expression has more than the limit of " + std::to_string(limits_.nesting) + " levels");
  }
  return expression;
}

ExpressionPointer ExpressionParser::parse_expression() {
  const Level level(*this);
  ExpressionPointer value = parse_or();
  while (tokens_.is_name("if")) {
    const int line = tokens_.take().line;
    auto node = std::make_unique<ConditionalExpression>();
    node->yes = std::move(value);
    node->condition = parse_or();
    if (tokens_.skip_name("else")) node->no = parse_expression();
    const int height = highest(node->yes, node->condition, node->no);
    value = placed(std::move(node), line, height);
  }
  return value;
}

ExpressionPointer ExpressionParser::parse_logical(std::string_view word, Parse operand) {
  ExpressionPointer left = (this->*operand)();
  while (tokens_.is_name(word)) {
    const int line = tokens_.take().line;
    auto node = std::make_unique<LogicalExpression>();
    node->is_and = word == "and";
    node->left = std::move(left);
    node->right = (this->*operand)();
    const int height = highest(node->left, node->right);
    left = placed(std::move(node), line, height);
  }
  return left;
}

ExpressionPointer ExpressionParser::parse_or() { return parse_logical("or", &ExpressionParser::parse_and); }
ExpressionPointer ExpressionParser::parse_and() { return parse_logical("and", &ExpressionParser::parse_not); }

ExpressionPointer ExpressionParser::parse_not() {
  if (!tokens_.is_name("not")) return parse_comparison();
  const Level level(*this);
  auto node = std::make_unique<UnaryExpression>();
  const int line = tokens_.take().line;
  node->sign = "not";
  node->operand = parse_not();
  const int height = highest(node->operand);
  return placed(std::move(node), line, height);
}

ExpressionPointer ExpressionParser::parse_comparison() {
  const int line = tokens_.line();
  ExpressionPointer first = parse_sum();
  auto node = std::make_unique<ComparisonExpression>();
  int height = highest(first);
  while (true) {
    std::string sign;
    static constexpr auto kSigns = {"==", "!=", "<", "<=", ">", ">="};
    if (std::any_of(kSigns.begin(), kSigns.end(), [&](const char* known) { return tokens_.is_sign(known); })) {
      sign = tokens_.take().text;
    } else if (tokens_.skip_name("in")) {
      sign = "in";
    } else if (tokens_.is_name("not") && tokens_.following().kind == Kind::kName && tokens_.following().text == "in") {
      tokens_.take();
      tokens_.take();
      sign = "not in";
    } else {
      break;
    }
    node->rest.emplace_back(sign, parse_sum());
    height = std::max(height, highest(node->rest.back().second));
  }
  if (node->rest.empty()) return first;
  node->first = std::move(first);
  return placed(std::move(node), line, height);
}

ExpressionPointer ExpressionParser::parse_binary(std::initializer_list<std::string_view> signs, Parse operand) {
  ExpressionPointer left = (this->*operand)();
  while (std::any_of(signs.begin(), signs.end(), [&](std::string_view sign) { return tokens_.is_sign(sign); })) {
    auto node = std::make_unique<BinaryExpression>();
    const int line = tokens_.line();
    node->sign = tokens_.take().text;
    node->left = std::move(left);
    node->right = (this->*operand)();
    const int height = highest(node->left, node->right);
    left = placed(std::move(node), line, height);
  }
  return left;
}

ExpressionPointer ExpressionParser::parse_sum() {
  return parse_binary({"+", "-"}, &ExpressionParser::parse_concatenation);
}

ExpressionPointer ExpressionParser::parse_concatenation() {
  const int line = tokens_.line();
  ExpressionPointer first = parse_product();
  if (!tokens_.is_sign("~")) return first;
  auto node = std::make_unique<Concatenation>();
  node->parts.push_back(std::move(first));
  while (tokens_.skip_sign("~")) node->parts.push_back(parse_product());
  int height = 0;
  for (const auto& part : node->parts) height = std::max(height, highest(part));
  return placed(std::move(node), line, height);
}

ExpressionPointer ExpressionParser::parse_product() {
  return parse_binary({"*", "/", "//", "%"}, &ExpressionParser::parse_power);
}

ExpressionPointer ExpressionParser::parse_power() { return parse_binary({"**"}, &ExpressionParser::parse_operand); }
ExpressionPointer ExpressionParser::parse_operand() { return parse_unary(true); }

ExpressionPointer ExpressionParser::parse_unary(bool with_filters) {
  ExpressionPointer value;
  if (tokens_.is_sign("-") || tokens_.is_sign("+")) {
    const Level level(*this);
    auto node = std::make_unique<UnaryExpression>();
    const int line = tokens_.line();
    node->sign = tokens_.take().text;
    node->operand = parse_unary(false);
    const int height = highest(node->operand);
    value = placed(std::move(node), line, height);
  } else {
    value = parse_primary();
  }
  value = parse_postfix(std::move(value));
  return with_filters ? parse_filters_of(std::move(value)) : std::move(value);
}

ExpressionPointer ExpressionParser::parse_postfix(ExpressionPointer value) {
  while (true) {
    if (tokens_.is_sign(".")) {
      value = parse_attribute(std::move(value));
    } else if (tokens_.is_sign("[")) {
      value = parse_brackets(std::move(value));
    } else if (tokens_.is_sign("(")) {
      value = parse_call(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPointer ExpressionParser::parse_filters_of(ExpressionPointer value) {
  while (true) {
    if (tokens_.is_sign("|")) {
      value = parse_filter(std::move(value));
    } else if (tokens_.is_name("is")) {
      value = parse_test(std::move(value));
    } else if (tokens_.is_sign("(")) {
      value = parse_call(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPointer ExpressionParser::parse_attribute(ExpressionPointer value) {
  const int line = tokens_.take().line;
  const int height = highest(value);
  if (tokens_.is(Kind::kInteger)) {
    auto key = std::make_unique<Literal>();
    key->value = integer(tokens_.take().integer);
    auto node = std::make_unique<ItemExpression>();
    node->value = std::move(value);
    node->key = std::move(key);
    return placed(std::move(node), line, height);
  }
  auto node = std::make_unique<AttributeExpression>();
  node->value = std::move(value);
  node->name = tokens_.expect_name();
  return placed(std::move(node), line, height);
}

ExpressionPointer ExpressionParser::parse_brackets(ExpressionPointer value) {
  const int line = tokens_.take().line;
  if (tokens_.is_sign(":")) return parse_slice(std::move(value), nullptr, line);
  ExpressionPointer key = parse_expression();
  if (tokens_.is_sign(":")) return parse_slice(std::move(value), std::move(key), line);
  if (tokens_.is_sign(",")) tokens_.fail("several keys in one pair of brackets are not supported");
  tokens_.expect_sign("]");
  auto node = std::make_unique<ItemExpression>();
  node->value = std::move(value);
  node->key = std::move(key);
  const int height = highest(node->value, node->key);
  return placed(std::move(node), line, height);
}

ExpressionPointer ExpressionParser::parse_slice(ExpressionPointer value, ExpressionPointer start, int line) {
  auto node = std::make_unique<SliceExpression>();
  node->value = std::move(value);
  node->start = std::move(start);
  tokens_.expect_sign(":");
  if (!tokens_.is_sign(":") && !tokens_.is_sign("]")) node->stop = parse_expression();
  if (tokens_.skip_sign(":") && !tokens_.is_sign("]")) node->step = parse_expression();
  tokens_.expect_sign("]");
  const int height = highest(node->value, node->start, node->stop, node->step);
  return placed(std::move(node), line, height);
}

CallArguments ExpressionParser::parse_call_arguments() {
  CallArguments arguments;
  tokens_.expect_sign("(");
  bool first = true;
  while (!tokens_.is_sign(")")) {
    if (!std::exchange(first, false)) {
      tokens_.expect_sign(",");
      if (tokens_.is_sign(")")) break;
    }
    const bool named =
        tokens_.is(Kind::kName) && tokens_.following().kind == Kind::kSign && tokens_.following().text == "=";
    if (tokens_.skip_sign("**")) {
      if (arguments.unpacked_named) tokens_.fail("invalid syntax for function call expression");
      arguments.unpacked_named = parse_expression();
    } else if (tokens_.skip_sign("*")) {
      if (arguments.unpacked || arguments.unpacked_named) tokens_.fail("invalid syntax for function call expression");
      arguments.unpacked = parse_expression();
    } else if (named) {
      std::string name = tokens_.take().text;
      tokens_.take();
      arguments.named.emplace_back(std::move(name), parse_expression());
    } else {
      if (!arguments.named.empty() || arguments.unpacked) tokens_.fail("invalid syntax for function call expression");
      arguments.positional.push_back(parse_expression());
    }
  }
  tokens_.expect_sign(")");
  return arguments;
}

}  // namespace finetune::jinja
