// Chat templates: parsed and rendered within limits, or a TemplateError.
#include "finetune/text/template/chat_template.h"
#include "tests/fuzz/planted_bug.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  static const platform::json::array kMessages =
      platform::json::parse(
          R"([{"role": "user", "content": " 안녕 "}, {"role": "assistant", "content": "hi", "n": [1, 2.5, null]}])")
          .as_array();
  finetune::TemplateLimits limits;
  limits.steps = 20'000;
  limits.memory_bytes = std::size_t{8} << 20;
  try {
    const auto rendered = finetune::ChatTemplate::parse(text, limits).render(kMessages);
    fuzz::planted_bug(rendered.text.size() == 1);
  } catch (const finetune::TemplateError&) {
  }
  return 0;
}
