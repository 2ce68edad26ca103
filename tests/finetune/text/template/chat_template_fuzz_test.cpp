// Random damage to templates: never a crash and never a long run, only a TemplateError or a render.
#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "finetune/text/template/chat_template.h"

namespace finetune {
namespace {

namespace json = platform::json;

const std::vector<std::string>& sound_templates() {
  static const std::vector<std::string> kTemplates{
      "{%- macro say(turn, end='\\n') -%}{{- turn.content | trim ~ end -}}{%- endmacro -%}{% set ns = namespace(n=0) "
      "%}\n"
      "{%- for m in messages if m.role != 'tool' -%}{% set ns.n = ns.n + 1 %}<{{ m['role'] }}>{{ say(m, end='!') }}\n"
      "{%- if loop.last and loop.previtem is defined %}{% generation %}{{ m | tojson(indent=2) }}{% endgeneration %}"
      "{%- endif %}{%- endfor %}{{ ns.n }}",
      "{% for k, v in {'a': [1, 2.5], 'b': 'x'} | dictsort %}{{ k.upper().center(9) }}={{ v[::-1] }}{% else %}-{% "
      "endfor %}"
      "{% set t | replace('a', 'b') %}{{ range(5) | map('string') | join(', ') }}{% endset %}{{ t[1:-1] }}"
      "{{ '%05.1f|{}' % 3.14159 ~ '{:>5}'.format(t) if t is string and not t in ('a', 'b') else none }}",
      "{% for n in [[1, [2]], [3]] recursive %}{{ n if n is number else '(' ~ loop(n) ~ ')' }}{% endfor %}"
      "{% with a = messages | length, b = -2 ** 2 %}{{ a * b // 3 % 5 }}{% endwith %}{% filter indent(2) %}a\nb{% "
      "endfilter %}"
      "{% macro twice() %}{{ caller(1) }}{{ caller(2) }}{% endmacro %}{% call(x) twice() %}{{ x }}{% endcall %}{# end "
      "#}{% raw %}{{ {% endraw %}"};
  return kTemplates;
}

const std::vector<std::string>& fragments() {
  static const std::vector<std::string> kFragments{"{{ ",
                                                   " }}",
                                                   "{% ",
                                                   " %}",
                                                   "-%}",
                                                   "{%- ",
                                                   "{# ",
                                                   "#}",
                                                   "(",
                                                   ")",
                                                   "[",
                                                   "]",
                                                   "::",
                                                   "' ",
                                                   "\"",
                                                   " | ",
                                                   " is ",
                                                   " in ",
                                                   " ~ ",
                                                   " ** ",
                                                   "99999999",
                                                   "-1",
                                                   " if ",
                                                   " else ",
                                                   "range(",
                                                   ".split(",
                                                   ".join(",
                                                   "namespace(",
                                                   "loop",
                                                   ".x",
                                                   "| list",
                                                   "| tojson",
                                                   "{% endfor %}",
                                                   "{% for a in messages %}",
                                                   "{% endif %}",
                                                   "한",
                                                   "\\u",
                                                   "\n",
                                                   "* 1000000",
                                                   "caller()",
                                                   "[::-1]",
                                                   "| map('upper')"};
  return kFragments;
}

std::string damaged(std::string text, std::mt19937_64& random) {
  for (std::uint64_t times = 1 + random() % 3; times > 0; --times) {
    const std::size_t at = random() % (text.size() + 1);
    const std::size_t length = random() % 12;
    switch (random() % 5) {
      case 0: text.erase(at, length); break;
      case 1: text.insert(at, fragments()[random() % fragments().size()]); break;
      case 2: text.insert(random() % (text.size() + 1), text.substr(at, length * 4)); break;
      case 3: text.replace(at, std::min<std::size_t>(1, text.size() - at), 1, static_cast<char>(random() % 128)); break;
      default: text.replace(at, std::min(length, text.size() - at), fragments()[random() % fragments().size()]); break;
    }
  }
  return text;
}

TEST(ChatTemplateFuzz, EndsEveryDamagedTemplateWithARenderOrAnErrorWithItsLine) {
  const std::uint64_t seed = std::random_device{}();
  std::cout << "seed: " << seed << "\n";
  std::mt19937_64 random(seed);
  const json::array messages =
      json::parse(R"([{"role": "user", "content": " 안녕 "}, {"role": "assistant", "content": "hi"}])").as_array();
  TemplateLimits limits;
  limits.steps = 50'000;
  limits.memory_bytes = std::size_t{8} << 20;
  int sound = 0;
  constexpr int kRounds = 20000;
  for (int round = 0; round < kRounds; ++round) {
    const std::string text = damaged(sound_templates()[random() % sound_templates().size()], random);
    const auto begin = std::chrono::steady_clock::now();
    try {
      ChatTemplate::parse(text, limits).render(messages);
      ++sound;
    } catch (const TemplateError& error) {
      EXPECT_GE(error.line(), 1) << text;
      EXPECT_LE(error.line(),
                1 + std::count(text.begin(), text.end(), '\n') + std::count(text.begin(), text.end(), '\r'));
    }
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << text;
  }
  std::cout << "rendered " << sound << " of " << kRounds << "\n";
}

}  // namespace
}  // namespace finetune
