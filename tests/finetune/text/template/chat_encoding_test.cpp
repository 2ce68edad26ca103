#include "finetune/text/template/chat_encoding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "tests/support/golden_folder.h"

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

TEST(ChatEncoding, PrintsTheSameDateOnEveryDay) {
  const ChatTemplate chat = ChatTemplate::parse("{{ strftime_now('%d %B %Y') }}");
  EXPECT_EQ(supervised_render(chat, talk(), {}).text, "26 July 2024");
}

// Among the tokenizers of the golden folder are such as put spaces before words, change letters and lose them.
TokenSequence answer_in(const std::filesystem::path& family, const std::string& before, const std::string& answer) {
  const Tokenizer tokenizer = Tokenizer::load(family);
  RenderedChat rendered{before + answer, {{before.size(), before.size() + answer.size()}}};
  return encode_render(tokenizer, rendered);
}

TEST(ChatEncodingGolden, FindsTheAnswerAlsoWhereATokenizerChangesTheText) {
  SKIP_WITHOUT_GOLDEN("tokenizers");
  std::size_t checked = 0;
  for (const auto& family : support::golden_cases("tokenizers")) {
    if (!std::filesystem::exists(family / "tokenizer.json")) continue;
    const TokenSequence sequence = answer_in(family, "how is it? ", "it is hot.");
    ASSERT_EQ(sequence.ids.size(), sequence.supervised.size()) << family;
    EXPECT_EQ(sequence.supervised.front(), 0) << family;
    EXPECT_EQ(sequence.supervised.back(), 1) << family;
    EXPECT_TRUE(std::is_sorted(sequence.supervised.begin(), sequence.supervised.end())) << family;
    ++checked;
  }
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0u);
}

}  // namespace
}  // namespace finetune
