#include "finetune/text/template/parser.h"

#include <algorithm>
#include <array>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/expression_parser.h"
#include "finetune/text/template/statements.h"

namespace finetune::jinja {
namespace {

using platform::ErrorCode;
using Kind = Token::Kind;

class StatementParser {
 public:
  StatementParser(TokenStream& tokens, const TemplateLimits& limits) : tokens_(tokens), expressions_(tokens, limits) {}

  Body parse() { return parse_body({}); }

 private:
  using Parse = std::unique_ptr<Statement> (StatementParser::*)();
  struct Tag {
    std::string_view name;
    Parse parse;
  };

  // Up to a tag named in `ends`, whose name is the current token then; with none up to the end of the template.
  Body parse_body(std::initializer_list<std::string_view> ends) {
    const ExpressionParser::Level level(expressions_);
    Body body;
    while (!tokens_.is(Kind::kEnd)) {
      const int line = tokens_.line();
      std::unique_ptr<Statement> statement;
      if (tokens_.is(Kind::kData)) {
        auto data = std::make_unique<DataStatement>();
        data->data = tokens_.take().text;
        statement = std::move(data);
      } else if (tokens_.is(Kind::kPrintBegin)) {
        statement = parse_print();
      } else {
        tokens_.expect(Kind::kBlockBegin);
        if (tokens_.is_any_name(ends)) return body;
        statement = parse_tag(ends);
      }
      statement->line = line;
      body.push_back(std::move(statement));
    }
    if (ends.size() > 0) fail_unclosed(ends);
    return body;
  }

  [[noreturn]] void fail_unclosed(std::initializer_list<std::string_view> ends) const {
    std::string wanted;
    for (const std::string_view end : ends) wanted += (wanted.empty() ? "'" : " or '") + std::string(end) + "'";
    tokens_.fail("Unexpected end of template. These tags are missing: " + wanted);
  }

  std::unique_ptr<Statement> parse_print() {
    auto node = std::make_unique<PrintStatement>();
    tokens_.take();
    node->value = expressions_.parse_tuple(true);
    tokens_.expect(Kind::kPrintEnd);
    return node;
  }

  std::unique_ptr<Statement> parse_tag(std::initializer_list<std::string_view> ends) {
    static constexpr std::array<Tag, 10> kTags{{
        {"break", &StatementParser::parse_break},
        {"call", &StatementParser::parse_call},
        {"continue", &StatementParser::parse_continue},
        {"filter", &StatementParser::parse_filter},
        {"for", &StatementParser::parse_for},
        {"generation", &StatementParser::parse_generation},
        {"if", &StatementParser::parse_if},
        {"macro", &StatementParser::parse_macro},
        {"set", &StatementParser::parse_set},
        {"with", &StatementParser::parse_with},
    }};
    if (!tokens_.is(Kind::kName)) tokens_.fail_expected("a tag");
    const std::string& name = tokens_.current().text;
    const auto found = std::find_if(kTags.begin(), kTags.end(), [&](const Tag& tag) { return tag.name == name; });
    if (found != kTags.end()) {
      tokens_.take();
      return (this->*found->parse)();
    }
    if (name == "include" || name == "import" || name == "from" || name == "extends") {
      tokens_.fail("a chat template cannot load another one: " + name + "; write it into this template");
    }
    std::string reason = "Encountered unknown tag '" + name + "'.";
    if (ends.size() > 0) reason += " Awaited is '" + std::string(*(ends.end() - 1)) + "'";
    tokens_.fail(reason);
  }

  void end_block() { tokens_.expect(Kind::kBlockEnd); }
  // Over the name of a closing tag to its end.
  void close_tag() {
    tokens_.take();
    end_block();
  }

  Body parse_closed(std::string_view end) {
    Body body = parse_body({end});
    close_tag();
    return body;
  }

  // A body that runs as a function of its own: no loop around it can be left from inside.
  Body parse_function_body(std::string_view end) {
    const int outer = std::exchange(loops_, 0);
    Body body = parse_closed(end);
    loops_ = outer;
    return body;
  }

  std::unique_ptr<Statement> parse_jump(Flow flow, const char* name) {
    if (loops_ == 0) tokens_.fail(std::string("'") + name + "' outside loop");
    auto node = std::make_unique<JumpStatement>();
    node->flow = flow;
    end_block();
    return node;
  }
  std::unique_ptr<Statement> parse_break() { return parse_jump(Flow::kBreak, "break"); }
  std::unique_ptr<Statement> parse_continue() { return parse_jump(Flow::kContinue, "continue"); }

  std::unique_ptr<Statement> parse_if() {
    auto node = std::make_unique<IfStatement>();
    do {
      ExpressionPointer condition = expressions_.parse_tuple(false);
      end_block();
      Body body = parse_body({"elif", "else", "endif"});
      node->branches.emplace_back(std::move(condition), std::move(body));
    } while (tokens_.skip_name("elif"));
    if (tokens_.is_name("else")) {
      close_tag();
      node->otherwise = parse_body({"endif"});
    }
    close_tag();
    return node;
  }

  std::unique_ptr<Statement> parse_for() {
    auto node = std::make_unique<ForStatement>();
    node->target = expressions_.parse_target();
    if (!tokens_.skip_name("in")) tokens_.fail_expected("'in'");
    node->items = expressions_.parse_tuple(false);
    if (tokens_.skip_name("if")) node->condition = expressions_.parse_expression();
    node->recursive = tokens_.skip_name("recursive");
    end_block();
    ++loops_;
    node->body = parse_body({"else", "endfor"});
    --loops_;
    if (tokens_.is_name("else")) {
      close_tag();
      node->otherwise = parse_body({"endfor"});
    }
    close_tag();
    return node;
  }

  std::unique_ptr<Statement> parse_set() {
    Target target = expressions_.parse_target();
    if (tokens_.skip_sign("=")) {
      auto node = std::make_unique<SetStatement>();
      node->target = std::move(target);
      node->value = expressions_.parse_tuple(true);
      end_block();
      return node;
    }
    auto node = std::make_unique<SetBlock>();
    node->target = std::move(target);
    if (tokens_.skip_sign("|")) node->content.filters = expressions_.parse_filters();
    end_block();
    node->content.body = parse_function_body("endset");
    return node;
  }

  std::unique_ptr<Statement> parse_filter() {
    auto node = std::make_unique<FilterBlock>();
    node->content.filters = expressions_.parse_filters();
    end_block();
    node->content.body = parse_function_body("endfilter");
    return node;
  }

  std::unique_ptr<Statement> parse_with() {
    auto node = std::make_unique<WithBlock>();
    while (!tokens_.is(Kind::kBlockEnd)) {
      if (!node->values.empty()) tokens_.expect_sign(",");
      Target target;
      target.name = tokens_.expect_name();
      tokens_.expect_sign("=");
      node->values.emplace_back(std::move(target), expressions_.parse_expression());
    }
    end_block();
    node->body = parse_closed("endwith");
    return node;
  }

  std::unique_ptr<Statement> parse_generation() {
    auto node = std::make_unique<GenerationBlock>();
    end_block();
    node->body = parse_function_body("endgeneration");
    return node;
  }

  void parse_parameters(MacroDefinition& macro) {
    tokens_.expect_sign("(");
    while (!tokens_.is_sign(")")) {
      if (!macro.parameters.empty()) tokens_.expect_sign(",");
      MacroDefinition::Parameter parameter{tokens_.expect_name(), nullptr};
      if (tokens_.skip_sign("=")) {
        parameter.fallback = expressions_.parse_expression();
      } else if (!macro.parameters.empty() && macro.parameters.back().fallback) {
        tokens_.fail("non-default argument follows default argument");
      }
      macro.parameters.push_back(std::move(parameter));
    }
    tokens_.expect_sign(")");
  }

  void parse_macro_body(MacroDefinition& macro, std::string_view end) {
    const std::size_t before = expressions_.used_names().size();
    macro.body = parse_function_body(end);
    const auto& names = expressions_.used_names();
    const auto begin = names.begin() + static_cast<std::ptrdiff_t>(before);
    const auto uses = [&](const char* name) { return std::find(begin, names.end(), name) != names.end(); };
    macro.uses_varargs = uses("varargs");
    macro.uses_kwargs = uses("kwargs");
    macro.uses_caller = uses("caller");
  }

  std::unique_ptr<Statement> parse_macro() {
    auto node = std::make_unique<MacroStatement>();
    node->macro.name = tokens_.expect_name();
    parse_parameters(node->macro);
    end_block();
    parse_macro_body(node->macro, "endmacro");
    return node;
  }

  std::unique_ptr<Statement> parse_call() {
    auto node = std::make_unique<CallBlock>();
    node->caller.name = "caller";
    if (tokens_.is_sign("(")) parse_parameters(node->caller);
    node->call = expressions_.parse_expression();
    if (!dynamic_cast<const CallExpression*>(node->call.get())) tokens_.fail("expected call");
    end_block();
    parse_macro_body(node->caller, "endcall");
    return node;
  }

  TokenStream& tokens_;
  ExpressionParser expressions_;
  int loops_ = 0;  // around the present place, inside its function
};

}  // namespace

Body parse_template(std::string_view source, const TemplateLimits& limits) {
  if (source.size() > limits.template_bytes) {
    throw TemplateError(ErrorCode::kTooLarge, 1,
                        "a template of " + std::to_string(source.size()) + " bytes is over the limit of " +
                            std::to_string(limits.template_bytes) + " bytes");
  }
  if (!is_utf8(source)) throw TemplateError(ErrorCode::kInvalidInput, 1, "the template is not UTF-8");
  TokenStream tokens(tokenize(source));
  return StatementParser(tokens, limits).parse();
}

}  // namespace finetune::jinja
