#include "finetune/text/template/chat_encoding.h"

#include <gtest/gtest.h>

namespace finetune {
namespace {

namespace json = platform::json;

json::array talk() {
  return json::parse(R"([{"role": "user", "content": "hot?"}, {"role": "assistant", "content": "yes"},
                         {"role": "user", "content": "and now?"}, {"role": "assistant", "content": "no"}])")
      .as_array();
}

std::vector<std::string> parts_of(const RenderedChat& rendered) {
  std::vector<std::string> parts;
  for (const ByteSpan& span : rendered.generated)
    parts.push_back(rendered.text.substr(span.begin, span.end - span.begin));
  return parts;
}

TEST(ChatEncoding, FindsTheAssistantsPartByWhatEachTurnAdds) {
  const ChatTemplate chat = ChatTemplate::parse(
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{% if add_generation_prompt %}<assistant>"
      "{% endif %}");
  EXPECT_EQ(parts_of(supervised_render(chat, talk(), {})), (std::vector<std::string>{"yes</>", "no</>"}));
}

TEST(ChatEncoding, TakesGenerationBlocksWhereTheTemplateHasThem) {
  const ChatTemplate chat = ChatTemplate::parse(
      "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% else %}"
      "{% generation %}{{ m.content }}{% endgeneration %}{% endif %};{% endfor %}");
  EXPECT_EQ(parts_of(supervised_render(chat, talk(), {})), (std::vector<std::string>{"yes", "no"}));
}

TEST(ChatEncoding, RefusesATemplateThatRewritesEarlierAnswers) {
  const ChatTemplate chat =
      ChatTemplate::parse("{% for m in messages %}{{ '!' if loop.last }}{{ m.content }};{% endfor %}");
  EXPECT_THROW(supervised_render(chat, talk(), {}), platform::Error);
}

}  // namespace
}  // namespace finetune
