// The parts of an expression: literals, names, calls, filters and tests; and what stands left of an assignment.
#include <algorithm>

#include "finetune/text/template/expression_parser.h"

namespace finetune::jinja {
namespace {

using Kind = Token::Kind;

int height_of(const CallArguments& arguments) {
  int height = 0;
  for (const auto& argument : arguments.positional) height = std::max(height, argument->height);
  for (const auto& [name, argument] : arguments.named) height = std::max(height, argument->height);
  if (arguments.unpacked) height = std::max(height, arguments.unpacked->height);
  if (arguments.unpacked_named) height = std::max(height, arguments.unpacked_named->height);
  return height;
}

std::optional<Value> constant(const std::string& name) {
  if (name == "true" || name == "True") return boolean(true);
  if (name == "false" || name == "False") return boolean(false);
  if (name == "none" || name == "None") return none();
  return std::nullopt;
}

std::unique_ptr<Literal> literal(Value value) {
  auto node = std::make_unique<Literal>();
  node->value = std::move(value);
  return node;
}

}  // namespace

ExpressionPointer ExpressionParser::parse_primary() {
  const Level level(*this);
  switch (tokens_.current().kind) {
    case Kind::kName: return parse_name();
    case Kind::kText: return parse_text();
    case Kind::kInteger:
    case Kind::kFloat: return parse_number();
    default: break;
  }
  if (tokens_.is_sign("(")) return parse_parentheses();
  if (tokens_.is_sign("[")) return parse_list();
  if (tokens_.is_sign("{")) return parse_dictionary();
  if (tokens_.is(Kind::kEnd)) tokens_.fail_expected("an expression");
  tokens_.fail("unexpected " + TokenStream::describe(tokens_.current()));
}

ExpressionPointer ExpressionParser::parse_name() {
  const Token token = tokens_.take();
  if (const auto value = constant(token.text)) return placed(literal(*value), token.line, 0);
  used_names_.push_back(token.text);
  auto node = std::make_unique<NameExpression>();
  node->name = token.text;
  return placed(std::move(node), token.line, 0);
}

ExpressionPointer ExpressionParser::parse_text() {
  const int line = tokens_.line();
  std::string text;
  while (tokens_.is(Kind::kText)) text += tokens_.take().text;
  return placed(literal(literal_text(std::move(text))), line, 0);
}

ExpressionPointer ExpressionParser::parse_number() {
  const Token token = tokens_.take();
  const Value value = token.kind == Kind::kInteger ? integer(token.integer) : real(token.number);
  return placed(literal(value), token.line, 0);
}

ExpressionPointer ExpressionParser::parse_parentheses() {
  const int line = tokens_.take().line;
  if (tokens_.skip_sign(")")) return placed(literal(empty_tuple()), line, 0);
  ExpressionPointer value = parse_tuple(true);
  tokens_.expect_sign(")");
  return value;
}

ExpressionPointer ExpressionParser::parse_list() {
  const int line = tokens_.take().line;
  auto node = std::make_unique<SequenceExpression>();
  int height = 0;
  while (!tokens_.is_sign("]")) {
    if (!node->items.empty()) tokens_.expect_sign(",");
    if (tokens_.is_sign("]")) break;
    node->items.push_back(parse_expression());
    height = std::max(height, node->items.back()->height);
  }
  tokens_.expect_sign("]");
  return placed(std::move(node), line, height);
}

ExpressionPointer ExpressionParser::parse_dictionary() {
  const int line = tokens_.take().line;
  auto node = std::make_unique<DictionaryExpression>();
  int height = 0;
  while (!tokens_.is_sign("}")) {
    if (!node->entries.empty()) tokens_.expect_sign(",");
    if (tokens_.is_sign("}")) break;
    ExpressionPointer key = parse_expression();
    tokens_.expect_sign(":");
    node->entries.emplace_back(std::move(key), parse_expression());
    height = std::max({height, node->entries.back().first->height, node->entries.back().second->height});
  }
  tokens_.expect_sign("}");
  return placed(std::move(node), line, height);
}

bool ExpressionParser::ends_tuple() const {
  return tokens_.is(Kind::kPrintEnd) || tokens_.is(Kind::kBlockEnd) || tokens_.is_sign(")") ||
         tokens_.is_any_name({"in", "recursive"});
}

ExpressionPointer ExpressionParser::parse_tuple(bool with_conditional) {
  const int line = tokens_.line();
  auto node = std::make_unique<SequenceExpression>();
  node->kind = Sequence::Kind::kTuple;
  int height = 0;
  bool comma = false;
  while (node->items.empty() || !ends_tuple()) {
    node->items.push_back(with_conditional ? parse_expression() : parse_or());
    height = std::max(height, node->items.back()->height);
    if (!tokens_.skip_sign(",")) break;
    comma = true;
  }
  if (!comma) return std::move(node->items.front());
  return placed(std::move(node), line, height);
}

ExpressionPointer ExpressionParser::parse_call(ExpressionPointer value) {
  auto node = std::make_unique<CallExpression>();
  const int line = tokens_.line();
  node->callee = std::move(value);
  node->arguments = parse_call_arguments();
  const int height = std::max(node->callee->height, height_of(node->arguments));
  return placed(std::move(node), line, height);
}

std::string ExpressionParser::parse_dotted_name() {
  std::string name = tokens_.expect_name();
  while (tokens_.skip_sign(".")) name += "." + tokens_.expect_name();
  return name;
}

ExpressionPointer ExpressionParser::parse_filter(ExpressionPointer value) {
  auto node = std::make_unique<FilterExpression>();
  const int line = tokens_.take().line;
  node->name = parse_dotted_name();
  node->value = std::move(value);
  if (tokens_.is_sign("(")) node->arguments = parse_call_arguments();
  const int height = std::max(node->value->height, height_of(node->arguments));
  return placed(std::move(node), line, height);
}

std::vector<std::unique_ptr<const FilterExpression>> ExpressionParser::parse_filters() {
  std::vector<std::unique_ptr<const FilterExpression>> filters;
  do {
    auto node = std::make_unique<FilterExpression>();
    node->line = tokens_.line();
    node->name = parse_dotted_name();
    if (tokens_.is_sign("(")) node->arguments = parse_call_arguments();
    filters.push_back(std::move(node));
  } while (tokens_.skip_sign("|"));
  return filters;
}

ExpressionPointer ExpressionParser::parse_test(ExpressionPointer value) {
  auto node = std::make_unique<TestExpression>();
  const int line = tokens_.take().line;
  node->negated = tokens_.skip_name("not");
  node->name = parse_dotted_name();
  node->value = std::move(value);
  const bool opens = tokens_.is_sign("[") || tokens_.is_sign("{");
  const bool operand = tokens_.is(Kind::kName) || tokens_.is(Kind::kText) || tokens_.is(Kind::kInteger) ||
                       tokens_.is(Kind::kFloat) || opens;
  if (tokens_.is_sign("(")) {
    node->arguments = parse_call_arguments();
  } else if (operand && !tokens_.is_any_name({"else", "or", "and"})) {
    if (tokens_.is_name("is")) tokens_.fail("You cannot chain multiple tests with is");
    node->arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  const int height = std::max(node->value->height, height_of(node->arguments));
  return placed(std::move(node), line, height);
}

Target ExpressionParser::parse_single_target() {
  const Level level(*this);
  if (tokens_.skip_sign("(")) {
    Target target = parse_target();
    tokens_.expect_sign(")");
    return target;
  }
  Target target;
  target.name = tokens_.expect_name();
  if (constant(target.name)) tokens_.fail("can't assign to '" + target.name + "'");
  if (tokens_.skip_sign(".")) target.attribute = tokens_.expect_name();
  return target;
}

Target ExpressionParser::parse_target() {
  Target first = parse_single_target();
  if (!tokens_.is_sign(",")) return first;
  Target target;
  target.tuple = true;
  target.parts.push_back(std::move(first));
  while (tokens_.skip_sign(",")) {
    if (ends_tuple() || tokens_.is_sign("=")) break;
    target.parts.push_back(parse_single_target());
  }
  return target;
}

}  // namespace finetune::jinja
