#include "finetune/text/chat_format.h"

namespace finetune {

const std::vector<std::string>& nano_control_tokens() {
  static const std::vector<std::string> kTokens = {"<|pad|>",  "<|begin|>",     "<|end|>", "<|system|>",
                                                   "<|user|>", "<|assistant|>", "<|slot|>"};
  return kTokens;
}

std::string_view nano_chat_template() {
  return R"({{ bos_token }}
{%- for message in messages %}
  {%- if message.role not in ['system', 'user', 'assistant'] %}
    {{- raise_exception("message role must be system, user or assistant, not '" ~ message.role ~ "'") }}
  {%- endif %}
  {{- '<|' ~ message.role ~ '|>' }}
  {%- if message.role == 'assistant' %}
    {%- generation %}{{ message.content }}<|end|>{% endgeneration %}
  {%- else %}
    {{- message.content }}<|end|>
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}
)";
}

TokenSequence format_text(const Tokenizer& tokenizer, std::string_view text) {
  TokenSequence sequence;
  sequence.ids = tokenizer.opening();
  sequence.supervised.assign(sequence.ids.size(), 0);
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  sequence.ids.insert(sequence.ids.end(), ids.begin(), ids.end());
  if (const auto end = tokenizer.eos_id()) sequence.ids.push_back(*end);
  sequence.supervised.resize(sequence.ids.size(), 1);
  return sequence;
}

}  // namespace finetune
