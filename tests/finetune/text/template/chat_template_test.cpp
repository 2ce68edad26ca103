#include "finetune/text/template/chat_template.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;

std::string rendered(std::string_view text, const json::object& variables = {}, const json::array& messages = {}) {
  return ChatTemplate::parse(text).render(messages, nullptr, variables).text;
}

const json::array& talk() {
  static const json::array kTalk = json::parse(R"([
      {"role": "user", "content": "압력이 높아요"}, {"role": "assistant", "content": "밸브를 여세요"},
      {"role": "user", "content": "thanks"}, {"role": "assistant", "content": "ok"}])")
                                       .as_array();
  return kTalk;
}

struct Construct {
  const char* text;
  const char* expected;
};

TEST(ChatTemplate, ComputesWhatTemplatesOfPublishedModelsUse) {
  const std::vector<Construct> constructs{
      {"{% for m in messages %}\n  {{ m.role }}:{{ m['content'] | length }}\n{% endfor %}\n",
       "  user:7\n  assistant:7\n  user:6\n  assistant:2\n"},
      {"{%- for m in messages[::-1] if m.role == 'user' -%}{{ loop.index }}{{ m.content[0] }}{%- endfor -%}", "1t2압"},
      {"{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + loop.index %}{% endfor %}{{ ns.n }}",
       "10"},
      {"{% set x = 1 %}{% for i in [2] %}{% set x = i %}{% endfor %}{{ x }}", "1"},
      {"{% macro f(a, b='!') %}{{ a ~ b }}{% endmacro %}{{ f('x') }}{{ f(b='?', a=1) }}", "x!1?"},
      {"{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join('/') }}",
       "압력이 높아요/thanks"},
      {"{{ {'a': [1, 1.5, none, true], '가': '\"'} | tojson }}", R"({"a": [1, 1.5, null, true], "가": "\""})"},
      {"{{ [1, 'it\\'s', none, (1,)] }}", "[1, \"it's\", None, (1,)]"},
      {"{{ '<think>a</think>b'.split('</think>')[-1] }}{{ ' x '.strip() }}", "bx"},
      {"{{ nope }}{{ nope is defined }}{{ nope | default('d') }}", "Falsed"},
      {"{{ 1 ~ 2 * 3 }} {{ -2 ** 2 }} {{ 'a' if false }}{{ 7 // -2 }}", "16 4 -4"},
      {"a\n    {%- if true %} b {%+ endif %}\n  {# c #}\nd", "a b d"},
      {"{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% else %}-{% endfor %}", "a1"},
      {"{% for i in [1, 2, 3] %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "13"},
      {"{% set x %}{{ 'a' }}b{% endset %}{{ x | upper }}", "AB"},
  };
  for (const Construct& construct : constructs) {
    EXPECT_EQ(rendered(construct.text, {}, talk()), construct.expected) << construct.text;
  }
}

TEST(ChatTemplate, MarksWhatIsGeneratedAlsoInsideAMacro) {
  const ChatTemplate chat = ChatTemplate::parse(
      "{% macro turn(m) %}<{{ m.role }}>{% generation %}{{ m.content }}{% endgeneration %}{% endmacro %}"
      "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% else %}{{ turn(m) ~ ';' }}{% endif %}"
      "{% endfor %}");
  const RenderedChat result = chat.render(talk());
  ASSERT_EQ(result.generated.size(), 2u);
  const auto cut = [&](const ByteSpan& span) { return result.text.substr(span.begin, span.end - span.begin); };
  EXPECT_EQ(cut(result.generated[0]), "밸브를 여세요");
  EXPECT_EQ(cut(result.generated[1]), "ok");
}

struct Fault {
  const char* text;
  int line;
  const char* part;  // of the message
};

TEST(ChatTemplate, NamesLineAndReasonOfAFault) {
  const std::vector<Fault> faults{
      {"a\n{{ 1 + }}", 2, "unexpected '}}'"},
      {"\n\n{% if true %}", 3, "endif"},
      {"{{ 'a' }}\n{% nonsense %}", 2, "unknown tag 'nonsense'"},
      {"\n{{ nope.a }}", 2, "'nope' is undefined"},
      {"\n\n{{ 'a'\n + 1 }}", 4, "can only concatenate str"},
      {"\n{{ x | unheard }}", 2, "No filter named 'unheard'"},
      {"{% include 'x' %}", 1, "cannot load another"},
      {"\n{% break %}", 2, "outside loop"},
      {"{{ ''.__class__ }}", 1, "unsafe"},
      {"{% set x = [] %}\n{{ x.append(1) }}", 2, "use a namespace"},
  };
  for (const Fault& fault : faults) {
    try {
      ADD_FAILURE() << fault.text << " gives " << rendered(fault.text);
    } catch (const TemplateError& error) {
      EXPECT_EQ(error.line(), fault.line) << error.what();
      EXPECT_NE(std::string(error.what()).find(fault.part), std::string::npos) << error.what();
      EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput) << error.what();
    }
  }
}

TEST(ChatTemplate, StopsAtTheLimitThatATemplateReaches) {
  const std::vector<Fault> faults{
      {"\n{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", 2, "steps"},
      {"\n{{ range(100001) }}", 2, "range of 100001 items"},
      {"{{ 'ab' * 10 ** 12 }}", 1, "repeated 1000000000000 times"},
      {"{{ 'a'.ljust(10 ** 12) }}", 1, "over the limit of 8388608 bytes"},
      {"{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", 1,
       "limit of"},
      {"{% macro f() %}\n{{ f() }}{% endmacro %}{{ f() }}", 2, "limit of 600 levels"},
      {"{% set ns = namespace(s=1) %}{% for i in range(999) %}{% set ns.s = [ns.s] %}{% endfor %}", 1, "200 levels"},
      {"{{ 9 ** 9 ** 9 }}", 1, "127 bits"},
      {"{% for a in range(9999) %}{{ 'a' * 7999999 }}{% endfor %}", 1, "output grows over the limit"},
  };
  for (const Fault& fault : faults) {
    try {
      ADD_FAILURE() << fault.text << " gives " << rendered(fault.text).size() << " bytes";
    } catch (const TemplateError& error) {
      EXPECT_EQ(error.line(), fault.line) << error.what();
      EXPECT_NE(std::string(error.what()).find(fault.part), std::string::npos) << error.what();
      EXPECT_EQ(error.code(), platform::ErrorCode::kTooLarge) << error.what();
    }
  }
}

TEST(ChatTemplate, RefusesATemplateThatIsTooLongOrTooDeep) {
  const auto deep = [](const char* open, int times) {
    std::string text = "{{ ";
    for (int i = 0; i < times; ++i) text += open;
    return text;
  };
  for (const std::string& text : {std::string(600 << 10, 'a'), deep("(", 5000), deep("not ", 5000), deep("- ", 5000),
                                  deep("1 + ", 5000) + "1 }}", deep("x", 1) + std::string(5000, '.')}) {
    EXPECT_THROW(ChatTemplate::parse(text), TemplateError) << text.substr(0, 20);
  }
}

TEST(ChatTemplate, FreesValuesThatHoldOneAnother) {
  // Seen by the leak checker: a namespace in itself, and macros in the scope that they were defined in.
  const std::string text =
      "{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.you = namespace(you=ns) %}"
      "{% macro f(x) %}{% macro g() %}{{ x }}{% endmacro %}{% set ns.g = g %}{{ g() }}{% endmacro %}{{ f(1) }}"
      "{% for i in range(5000) %}{% set ns.chain = namespace(before=ns.chain) %}{% endfor %}";
  EXPECT_EQ(rendered(text), "1");
}

TEST(ChatTemplate, GivesTheTextOfARefusalByTheTemplate) {
  try {
    rendered("{{ raise_exception('roles must alternate') }}");
    FAIL();
  } catch (const TemplateError& error) {
    EXPECT_TRUE(error.raised());
    EXPECT_EQ(error.reason(), "roles must alternate");
  }
}

TEST(ChatTemplate, IsReadFromAModelFolder) {
  const platform::TemporaryFolder folder;
  const auto write = [&](const char* name, const std::string& text) { std::ofstream(folder.path() / name) << text; };
  EXPECT_FALSE(ChatTemplate::load(folder.path()));
  write("tokenizer_config.json", R"({"chat_template": "one"})");
  EXPECT_EQ(ChatTemplate::load(folder.path())->render({}).text, "one");
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "tool_use", "template": "two"}, {"name": "default", "template": "three"}]})");
  EXPECT_EQ(ChatTemplate::load(folder.path())->render({}).text, "three");
  EXPECT_EQ(ChatTemplate::load(folder.path(), "tool_use")->render({}).text, "two");
  EXPECT_THROW(ChatTemplate::load(folder.path(), "rag"), platform::Error);
  write("chat_template.jinja", "four");
  EXPECT_EQ(ChatTemplate::load(folder.path())->render({}).text, "four");
}

TEST(ChatTemplate, RendersOnManyThreadsAtTheSameTime) {
  const ChatTemplate chat = ChatTemplate::parse("{% for m in messages %}{{ m.content ~ '|' }}{% endfor %}");
  const std::string expected = chat.render(talk()).text;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) EXPECT_EQ(chat.render(talk()).text, expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace finetune
